"""One photograph from file to mask in PyTorch: what `dermatome predict` is timed against.

    python3 bench/pytorch/predict_one.py --make-checkpoint RUN/last.safetensors --checkpoint unet34.pth     (once)
    python3 bench/pytorch/predict_one.py --checkpoint unet34.pth --size 256 PHOTOGRAPH MASK.png

Reads the state dict (memory-mapped), decodes and resizes with Pillow, runs U-Net34 in evaluation mode, brings the probabilities to the
photograph's own size and writes the 8-bit mask. Settings found fastest for a single photograph: eager channels_last float32 (compiling
takes longer than all the rest), weights not initialised before they are loaded, JPEG decoded at a reduced scale (draft) before the box
filter, PNG at compression level 1.
"""
import argparse

import numpy
import torch
from PIL import Image
from torch.nn import functional

from unet34 import UNet34

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--make-checkpoint", metavar="SAFETENSORS", help="convert these weights to --checkpoint, and do nothing else")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("photograph", nargs="?")
    parser.add_argument("mask", nargs="?")
    return parser.parse_args()


def make_checkpoint(safetensors, path):
    from safetensors.torch import load_file
    wanted = UNet34().state_dict()
    stored = load_file(safetensors)
    torch.save({key: stored[key].reshape(value.shape) if key in stored else value for key, value in wanted.items()}, path)


def load_model(path):
    with torch.device("meta"):
        model = UNet34()
    model.load_state_dict(torch.load(path, mmap=True, weights_only=True), assign=True)
    return model.eval().to(memory_format=torch.channels_last)


def read_photograph(path, size):
    """Normalised [1, 3, size, size], and (height, width) of the photograph."""
    image = Image.open(path)
    width, height = image.size
    image.draft("RGB", (size, size))
    pixels = numpy.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BOX), numpy.float32) / 255
    x = torch.from_numpy((pixels - numpy.float32(MEAN)) / numpy.float32(DEVIATION))
    return x.permute(2, 0, 1)[None], (height, width)


@torch.inference_mode()
def predict(arguments):
    model = load_model(arguments.checkpoint)
    x, stored_size = read_photograph(arguments.photograph, arguments.size)
    probability = functional.interpolate(model(x).sigmoid(), size=stored_size, mode="bilinear", align_corners=False)
    mask = (probability[0, 0] > 0.5).to(torch.uint8).mul_(255)
    Image.fromarray(mask.numpy()).save(arguments.mask, compress_level=1)


def main():
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    if arguments.make_checkpoint:
        make_checkpoint(arguments.make_checkpoint, arguments.checkpoint)
    else:
        predict(arguments)


if __name__ == "__main__":
    main()
