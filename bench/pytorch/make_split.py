"""Draws the validation part of a data folder once, with a fixed seed, and writes it as a table `image,part`.

The committed split_200.csv is `make_split.py --data isic2017-256 --out split_200.csv` (2000 images, 200 for validation, seed 2017).
"""
import argparse
import csv
import pathlib
import random


def image_stems(folder):
    return sorted(path.stem for path in pathlib.Path(folder).rglob("*.jpg"))


def write_split(stems, validation_count, seed, out):
    validation = set(random.Random(seed).sample(stems, validation_count))
    with open(out, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "part"])
        writer.writerows([stem, "validation" if stem in validation else "train"] for stem in stems)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with the photographs, searched in depth")
    parser.add_argument("--out", required=True)
    parser.add_argument("--validation", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2017)
    arguments = parser.parse_args()
    write_split(image_stems(arguments.data), arguments.validation, arguments.seed, arguments.out)


if __name__ == "__main__":
    main()
