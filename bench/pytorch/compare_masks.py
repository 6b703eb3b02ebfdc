"""How alike two masks of one photograph are: share of equal pixels and Jaccard index, as one JSON line."""
import json
import sys

import numpy
from PIL import Image


def main():
    first, second = (numpy.asarray(Image.open(path).convert("L")) > 127 for path in sys.argv[1:3])
    if first.shape != second.shape:
        sys.exit(f"the masks have {first.shape} and {second.shape} pixels")
    union = (first | second).sum()
    print(json.dumps({"pixels": list(first.shape[::-1]), "equal_share": float((first == second).mean()),
                      "jaccard": float((first & second).sum() / union) if union else 1.0}))


if __name__ == "__main__":
    main()
