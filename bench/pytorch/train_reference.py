"""Trains U-Net34 from random weights in PyTorch with Dermatome's default recipe: the quality that the engine has to reach.

Everything is trainable, batch normalisation is live, Adam with coupled weight decay, one use_clr(20, 10) cycle over all epochs.
Writes one JSON with the settings, the history of the epochs, and per-image Jaccard values for a paired comparison.
"""
import argparse
import csv
import json
import math
import pathlib
import time

import numpy
import torch
from PIL import Image
from torch.nn import functional

from augment import augment, normalise
from unet34 import UNet34, initialise

CLR_DIV, CLR_CUT_DIV = 20, 10
MASK_SUFFIX = "_segmentation.png"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="ISIC 2017 folder layout, square images")
    parser.add_argument("--split", required=True, help="table image,part with part train or validation")
    parser.add_argument("--out", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=1e-7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="only so many images of each part, to try the script")
    return parser.parse_args()


def read_split(path, limit):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return [[row["image"] for row in rows if row["part"] == part][:limit] for part in ("train", "validation")]


def area_reduce(pixels, size):
    """[H,W,C] to sums over the factor x factor blocks, [size,size,C], and the number of pixels in a block."""
    factor = pixels.shape[0] // size
    if pixels.shape[:2] != (size * factor, size * factor):
        raise ValueError(f"{pixels.shape[1]}x{pixels.shape[0]} pixels is no whole multiple of {size}x{size}")
    blocks = pixels.reshape(size, factor, size, factor, -1).astype(numpy.int64)
    return blocks.sum(axis=(1, 3)), factor * factor


def load_image(path, size):
    sums, area = area_reduce(numpy.asarray(Image.open(path).convert("RGB")), size)
    return ((2 * sums + area) // (2 * area)).astype(numpy.uint8).transpose(2, 0, 1)


def load_mask(path, size):
    """The mask at the training size, 0 or 1, and the stored mask's truth for scoring (> 128, as the official scorer)."""
    stored = numpy.asarray(Image.open(path).convert("L"))[:, :, None]
    sums, area = area_reduce(stored, size)
    return (sums > 127 * area).astype(numpy.uint8).transpose(2, 0, 1), stored[:, :, 0] > 128


def load_part(folder, stems, size):
    """uint8 images [N,3,S,S], uint8 masks [N,1,S,S], and the truths at the stored size [N,H,W]."""
    photographs = {path.stem: path for path in pathlib.Path(folder).rglob("*.jpg")}
    masks = {path.name.removesuffix(MASK_SUFFIX): path for path in pathlib.Path(folder).rglob("*" + MASK_SUFFIX)}
    images = [load_image(photographs[stem], size) for stem in stems]
    small_and_stored = [load_mask(masks[stem], size) for stem in stems]
    small, stored = zip(*small_and_stored)
    return tuple(torch.from_numpy(numpy.stack(arrays)) for arrays in (images, small, stored))


def use_clr(iteration, total, lr_max):
    """fastai 0.7's slanted triangle, per batch: up over total // cut_div batches, then down to lr_max / div."""
    cut = max(1, total // CLR_CUT_DIV)
    part = iteration / cut if iteration <= cut else 1 - (iteration - cut) / (total - cut)
    return lr_max * (1 + part * (CLR_DIV - 1)) / CLR_DIV


def train_epoch(model, optimizer, images, masks, batch, rate_of, generator):
    """One pass in a new order, the short last batch kept; the mean loss over the images."""
    model.train()
    order = torch.randperm(len(images), generator=generator)
    loss_sum = 0.0
    for number, chosen in enumerate(order.split(batch)):
        x, target = augment(images[chosen], masks[chosen], generator)
        for group in optimizer.param_groups:
            group["lr"] = rate_of(number)
        logits = model(x.contiguous(memory_format=torch.channels_last))
        loss = functional.binary_cross_entropy_with_logits(logits, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(chosen)
    return loss_sum / len(images)


def ratio(numerator, denominator):
    """Element by element; 1 where the denominator is 0 (the empty cases)."""
    return torch.where(denominator > 0, numerator / denominator.clamp(min=1), torch.ones_like(numerator))


def image_metrics(predicted, truth):
    """Per-image metrics of boolean masks [N,H,W] as in the official ISIC scorer."""
    def count(mask):
        return mask.flatten(1).sum(1).double()
    tp, fp = count(predicted & truth), count(predicted & ~truth)
    fn, tn = count(~predicted & truth), count(~predicted & ~truth)
    jaccard = ratio(tp, tp + fp + fn)
    return {
        "jaccard": jaccard,
        "thresholded_jaccard": torch.where(jaccard >= 0.65, jaccard, torch.zeros_like(jaccard)),
        "dice": ratio(2 * tp, 2 * tp + fp + fn),
        "accuracy": (tp + tn) / (tp + fp + fn + tn),
        "sensitivity": ratio(tp, tp + fn),
        "specificity": ratio(tn, tn + fp),
    }


@torch.inference_mode()
def evaluate(model, images, masks, truths, batch):
    """Mean loss at the training size, and per-image metrics on the stored grid."""
    model.eval()
    loss_sum, metrics = 0.0, []
    for x, target, truth in zip(images.split(batch), masks.split(batch), truths.split(batch)):
        x = normalise(x.float() / 255).contiguous(memory_format=torch.channels_last)
        logits = model(x)
        loss_sum += functional.binary_cross_entropy_with_logits(logits, target.float(), reduction="mean").item() * len(x)
        probability = functional.interpolate(logits.sigmoid(), size=truth.shape[1:], mode="bilinear", align_corners=False)
        metrics.append(image_metrics(probability[:, 0] > 0.5, truth))
    return loss_sum / len(images), {name: torch.cat([part[name] for part in metrics]) for name in metrics[0]}


def means(metrics):
    return {name: values.mean().item() for name, values in metrics.items()}


def settings_of(arguments, train_count, validation_count):
    return {
        "network": "U-Net34, small head", "weights": "random", "seed": arguments.seed, "size": arguments.size,
        "batch": arguments.batch, "epochs": arguments.epochs, "lr": arguments.lr, "schedule": f"use_clr({CLR_DIV},{CLR_CUT_DIV})",
        "weight_decay": arguments.weight_decay, "weight_decay_kind": "coupled L2", "adam_betas": [0.9, 0.999], "adam_eps": 1e-8,
        "loss": "binary cross-entropy with logits, mean", "augmentation": "default", "split": pathlib.Path(arguments.split).name,
        "threads": arguments.threads, "train_images": train_count, "validation_images": validation_count,
        "torch": torch.__version__,
    }


def train(arguments, train_part, validation_part):
    """Runs all epochs; returns the history and the last epoch's per-image metrics."""
    torch.manual_seed(arguments.seed)
    model = initialise(UNet34()).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.lr, betas=(0.9, 0.999), eps=1e-8,
                                 weight_decay=arguments.weight_decay, fused=True)
    generator = torch.Generator().manual_seed(arguments.seed)
    images, masks, _ = train_part
    batches = math.ceil(len(images) / arguments.batch)
    history, metrics = [], None
    for epoch in range(arguments.epochs):
        start = time.perf_counter()
        def rate_of(number, first=epoch * batches):
            return use_clr(first + number, batches * arguments.epochs, arguments.lr)
        train_loss = train_epoch(model, optimizer, images, masks, arguments.batch, rate_of, generator)
        trained = time.perf_counter()
        validation_loss, metrics = evaluate(model, *validation_part, arguments.batch)
        history.append({"epoch": epoch + 1, "lr_last": rate_of(batches - 1), "train_loss": train_loss,
                        "validation_loss": validation_loss, **means(metrics),
                        "train_seconds": trained - start, "validation_seconds": time.perf_counter() - trained})
        print(json.dumps(history[-1]), flush=True)
    return history, metrics


def main():
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    start = time.perf_counter()
    train_stems, validation_stems = read_split(arguments.split, arguments.limit)
    train_part = load_part(arguments.data, train_stems, arguments.size)
    validation_part = load_part(arguments.data, validation_stems, arguments.size)
    load_seconds = time.perf_counter() - start
    print(f"{len(train_stems)} training and {len(validation_stems)} validation images in {load_seconds:.1f} s", flush=True)
    history, metrics = train(arguments, train_part, validation_part)
    result = {
        "settings": settings_of(arguments, len(train_stems), len(validation_stems)),
        "final": means(metrics),
        "seconds": {"load": load_seconds, "train": sum(epoch["train_seconds"] for epoch in history),
                    "validation": sum(epoch["validation_seconds"] for epoch in history), "all": time.perf_counter() - start},
        "history": history,
        "per_image": {stem: round(value, 6) for stem, value in zip(validation_stems, metrics["jaccard"].tolist())},
    }
    pathlib.Path(arguments.out).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["final"]), flush=True)


if __name__ == "__main__":
    main()
