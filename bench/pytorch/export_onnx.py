"""Writes U-Net34 (random weights, evaluation mode, logits) as ONNX at one fixed shape, for the inference runtimes.

    python3 bench/pytorch/export_onnx.py --size 256 --batch 4 --out unet34.onnx

Fixed shapes are what the runtimes are fastest with. The file is checked: ONNX Runtime's logits must equal PyTorch's.
"""
import argparse
import os
import pathlib

import numpy
import onnxruntime
import torch

from unet34 import UNet34, initialise

TOLERANCE = 1e-4  # of the largest logit


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", required=True)
    return parser.parse_args()


def check(path, image, logits):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ours = session.run(None, {"image": image.numpy()})[0]
    worst = numpy.abs(ours - logits).max() / numpy.abs(logits).max()
    if worst > TOLERANCE:
        raise SystemExit(f"ONNX Runtime's logits are {worst:.1e} away from PyTorch's; the benchmark would compare different nets")


def main():
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model = initialise(UNet34()).eval()
    image = torch.randn((arguments.batch, 3, arguments.size, arguments.size), generator=torch.Generator().manual_seed(0))
    part = pathlib.Path(arguments.out).with_suffix(".part")
    torch.onnx.export(model, (image,), str(part), input_names=["image"], output_names=["logits"], dynamo=False)
    with torch.inference_mode():
        check(part, image, model(image).numpy())
    os.replace(part, arguments.out)


if __name__ == "__main__":
    main()
