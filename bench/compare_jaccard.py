"""Compares two evaluations of the same photographs image by image: means, their difference, its standard error.

    python3 bench/compare_jaccard.py ours.json bench/results/pytorch_reference_128.json

Each file is what `dermatome evaluate --json` or bench/pytorch/train_reference.py writes. Standard library only.
"""
import json
import math
import statistics
import sys


def per_image(path):
    """Jaccard index by photograph."""
    rows = json.load(open(path))["per_image"]
    if isinstance(rows, dict):
        return rows
    return {row.get("id", row.get("image")): row["jaccard"] for row in rows}


def main():
    ours, theirs = (per_image(path) for path in sys.argv[1:3])
    shared = sorted(ours.keys() & theirs.keys())
    if len(shared) != len(ours) or len(shared) != len(theirs):
        sys.exit(f"the files share {len(shared)} photographs of {len(ours)} and {len(theirs)}")
    differences = [ours[name] - theirs[name] for name in shared]
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    print(f"photographs            {len(shared)}")
    print(f"first                  {statistics.mean(ours[name] for name in shared):.4f}")
    print(f"second                 {statistics.mean(theirs[name] for name in shared):.4f}")
    print(f"mean difference        {statistics.mean(differences):+.4f}")
    print(f"its standard error     {error:.4f}")


if __name__ == "__main__":
    main()
