"""Writes losses.json: what PyTorch computes in float64 for the losses of segmentation, with their gradients by autograd.

Three images of 3 x 4 pixels, the last one without lesion; the numbers are exact in float32. Each case holds a recipe's settings, the
mean loss and its gradient by the logits.
"""
import json
import pathlib

import torch
from torch.nn import functional

SHAPE = (3, 3, 4)
CASES = [{"loss": "bce"}, {"loss": "jaccard"}, {"loss": "jaccard", "over": "batch"}, {"loss": "log_jaccard"},
         {"loss": "log_jaccard", "over": "batch", "epsilon": 0.01}, {"loss": "dice"}, {"loss": "dice", "over": "batch", "epsilon": 3.0},
         {"loss": "focal"}, {"loss": "focal", "gamma": 0.5, "alpha": 0.75}, {"loss": "bce + log_jaccard"},
         {"loss": "bce + 0.5 jaccard"}, {"loss": "0.3 bce + 2 focal + 0.7 jaccard + 0.1 log_jaccard + 1.5 dice"}]


def inputs():
    generator = torch.Generator().manual_seed(8)
    logits = (3 * torch.randn(SHAPE, generator=generator)).double()
    target = (torch.rand(SHAPE, generator=generator) > 0.6).double()
    target[2] = 0
    return logits.requires_grad_(), target


def term(name, logits, target, over, epsilon, gamma, alpha):
    p = torch.sigmoid(logits)
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if name == "bce":
        return cross_entropy.mean()
    if name == "focal":  # as torchvision.ops.sigmoid_focal_loss
        hit = p * target + (1 - p) * (1 - target)
        return ((alpha * target + (1 - alpha) * (1 - target)) * (1 - hit) ** gamma * cross_entropy).mean()
    axes = (0, 1, 2) if over == "batch" else (1, 2)
    common, predicted, truth = (p * target).sum(axes), p.sum(axes), target.sum(axes)
    jaccard = (common + epsilon) / (predicted + truth - common + epsilon)
    dice = (2 * common + epsilon) / (predicted + truth + epsilon)
    return {"jaccard": 1 - jaccard, "log_jaccard": -jaccard.log(), "dice": 1 - dice}[name].mean()


def compute(case):
    settings = {"over": "image", "epsilon": 1.0, "gamma": 2.0, "alpha": 0.25, **{key: case[key] for key in case if key != "loss"}}
    logits, target = inputs()
    loss = 0
    for part in case["loss"].split(" + "):
        *weight, name = part.split(" ")
        loss = loss + float(weight[0] if weight else 1) * term(name, logits, target, **settings)
    loss.backward()
    return {"loss": case["loss"], **settings, "value": loss.item(), "gradient": logits.grad.flatten().tolist()}


def main():
    logits, target = inputs()
    head = {"torch": torch.__version__, "shape": SHAPE, "logits": logits.flatten().tolist(), "target": target.flatten().tolist()}
    lines = [f"{json.dumps(key)}:{json.dumps(value)}" for key, value in head.items()]
    cases = ",\n".join(json.dumps(compute(case)) for case in CASES)
    pathlib.Path(__file__).with_name("losses.json").write_text("{\n" + ",\n".join(lines) + ',\n"cases":[\n' + cases + "\n]}\n")


if __name__ == "__main__":
    main()
