"""Compares `dermatome evaluate --predictions DIR --truth DIR` with the ISIC challenge's own scorer, photograph by photograph.

    python3 bench/official_scores.py --dermatome build/dermatome --predictions masks --truth ISIC-2017_Training_Part1_GroundTruth
    python3 bench/official_scores.py --dermatome build/dermatome --predictions masks.zip --truth ISIC-2017_Training_Part1_GroundTruth
    python3 bench/official_scores.py --make-golden tests/golden/official_scores

Prints the largest difference of each metric and exits with 1 where one is above 1e-6. Needs isic-challenge-scoring from PyPI.
An archive is what `dermatome submit` writes: the official scorer unpacks it by its own rules, and refuses what it would refuse.
--make-golden draws small masks with their edge cases and writes what the official scorer says of them; the tests read both.
"""
import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np
from PIL import Image
from isic_challenge_scoring.load_image import iter_image_pairs
from isic_challenge_scoring.segmentation import SegmentationScore
from isic_challenge_scoring.unzip import unzip_all

TOLERANCE = 1e-6
OFFICIAL_NAMES = {"jaccard": "jaccard", "thresholded_jaccard": "threshold_jaccard", "dice": "dice", "accuracy": "accuracy",
                  "sensitivity": "sensitivity", "specificity": "specificity"}


def official(truth, predictions):
    """(mean, {id: scores}) of the official scorer; a photograph's scores are those of a set that holds it alone."""
    pairs = list(iter_image_pairs(truth, predictions))
    renamed = lambda score: {ours: float(score.macro_average[theirs]) for ours, theirs in OFFICIAL_NAMES.items()}
    return renamed(SegmentationScore(pairs)), {pair.image_id: renamed(SegmentationScore([pair])) for pair in pairs}


def compare(arguments):
    command = [arguments.dermatome.resolve(), "evaluate", "--predictions", arguments.predictions, "--truth", arguments.truth, "--json", "-"]
    ours = json.loads(subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE).stdout)
    mean, per_image = official(arguments.truth, arguments.predictions)
    images = {row["id"]: row for row in ours["per_image"]}
    if images.keys() != per_image.keys():
        sys.exit(f"other photographs: {sorted(images.keys() ^ per_image.keys())}")
    worst = 0
    print(f"{len(images)} photographs")
    print(f"{'metric':<20} {'official mean':>14} {'dermatome':>14} {'largest difference of a photograph':>36}")
    for name in OFFICIAL_NAMES:
        largest = max(abs(images[i][name] - per_image[i][name]) for i in images)
        worst = max(worst, largest, abs(ours[name] - mean[name]))
        print(f"{name:<20} {mean[name]:14.9f} {ours[name]:14.9f} {largest:36.2e}")
    print(f"largest difference {worst:.1e}, allowed {TOLERANCE:.0e}")
    return 0 if worst <= TOLERANCE else 1


def ellipse(height, width, cy, cx, ry, rx):
    y, x = np.mgrid[:height, :width]
    return np.where(((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1, 255, 0).astype(np.uint8)


def golden_pairs():
    """(truth, prediction) of the ordinary case and of every edge of the definitions."""
    lesion = ellipse(41, 57, 20, 28, 11, 15)
    moved = ellipse(41, 57, 22, 31, 10, 14)
    empty, full = np.zeros_like(lesion), np.full_like(lesion, 255)
    # Values about the cut at > 128; too few to be classes of their own.
    edged, soft = lesion.copy(), moved.copy()
    edged.flat[[3, 8, 13, 18, 23]] = [127, 128, 129, 130, 254]
    soft.flat[:: 7] = np.arange(len(soft.flat[:: 7])) % 256
    at_threshold, below = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
    at_threshold.flat[:13] = below.flat[:12] = 255  # 13/20 is 0.65 exactly
    twenty = np.zeros((20, 20), np.uint8)
    twenty.flat[:20] = 255
    return [(lesion, moved), (lesion, lesion), (empty, empty), (empty, moved), (lesion, empty), (full, full), (full, lesion),
            (lesion, full), (edged, moved), (lesion, soft), (twenty, at_threshold), (twenty, below),
            (ellipse(1, 9, 0, 4, 1, 2), ellipse(1, 9, 0, 5, 1, 2))]


def make_golden(folder):
    for name in ("truth", "predictions"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, (truth, prediction) in enumerate(golden_pairs()):
        for name, pixels in (("truth", truth), ("predictions", prediction)):
            Image.fromarray(pixels).save(folder / name / f"ISIC_{number:07d}_segmentation.png", optimize=True)
    mean, per_image = official(folder / "truth", folder / "predictions")
    (folder / "scores.json").write_text(json.dumps({"mean": mean, "per_image": per_image}, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dermatome", type=pathlib.Path, default=pathlib.Path("build/dermatome"))
    parser.add_argument("--predictions", type=pathlib.Path)
    parser.add_argument("--truth", type=pathlib.Path)
    parser.add_argument("--make-golden", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.make_golden:
        make_golden(arguments.make_golden)
    elif arguments.predictions and arguments.truth:
        if arguments.predictions.suffix == ".zip":
            arguments.predictions, unpacked = unzip_all(arguments.predictions)
        sys.exit(compare(arguments))
    else:
        parser.error("give --predictions and --truth, or --make-golden")


if __name__ == "__main__":
    main()
