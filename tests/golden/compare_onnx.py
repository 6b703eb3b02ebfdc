"""Exported ONNX in ONNX Runtime beside Dermatome itself, and exported safetensors in PyTorch.

    cmake --build build --target dermatome dermatome_forward
    python3 tests/golden/compare_onnx.py --build build [--write]

Also runs the small exports that are committed beside the weight files of the tests, which compare them with what is exported now; --write
makes these anew.

U-Net34 with random weights (the golden formula). Every file must pass onnx.checker; logits must be Dermatome's to 1e-4 of the largest,
at several sizes and batches of one file; with --pad a picture of 100 x 100 px must give what Dermatome gives for the picture padded to
128 (last row and column repeated) and cut back. The safetensors file must load into PyTorch's U-Net34 with strict=True.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime
import safetensors.torch
import torch

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / folder) for folder in ("tests/golden", "tests/models/weights", "bench/pytorch")]
from compare_weights import logits_of_dermatome  # noqa: E402
from make_golden import golden_state  # noqa: E402
from make_weights import HERE as SMALL, Tiny, tiny_state  # noqa: E402
from unet34 import UNet34  # noqa: E402

TOLERANCE = 1e-4
MEAN = numpy.array([0.485, 0.456, 0.406], numpy.float32).reshape(3, 1, 1)
DEVIATION = numpy.array([0.229, 0.224, 0.225], numpy.float32).reshape(3, 1, 1)
SIZES = ((1, 128, 128), (1, 256, 256), (2, 96, 160))


def export(build, weights, out, *flags):
    subprocess.run([build / "dermatome", "export", "--weights", weights, "--model", "unet34", "--out", out, *flags], check=True,
                   stdout=subprocess.DEVNULL)
    onnx.checker.check_model(onnx.load(out), full_check=True)
    return onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])


def padded(pixels, divisor=32):
    more = [(0, 0), (0, 0)] + [(0, -side % divisor) for side in pixels.shape[2:]]
    return numpy.pad(pixels, more, mode="edge")


def write_small(build):
    for name, flags in (("tiny.onnx", ()), ("tiny_whole.onnx", ("--fold-batch-norm", "--normalise", "--pad", "--probability"))):
        subprocess.run([build / "dermatome", "export", "--weights", SMALL / "plain.safetensors", "--model", SMALL / "tiny.graph", "--out",
                        SMALL / name, *flags], check=True)


class Comparison:
    def __init__(self, build, weights, folder):
        self.build, self.weights, self.folder, self.worst = build, weights, folder, 0

    def ours(self, image):
        return logits_of_dermatome(self.build, "unet34", self.weights, torch.from_numpy(image), self.folder)

    def row(self, what, shape, theirs, ours):
        difference = numpy.abs(theirs - ours).max() / numpy.abs(ours).max()
        assert theirs.shape == ours.shape, (theirs.shape, ours.shape)
        self.worst = max(self.worst, difference)
        print(f"{what:42} {'x'.join(map(str, shape)):12} difference {difference:.1e}")


def compare_onnx(comparison, random):
    build, weights, folder = comparison.build, comparison.weights, comparison.folder
    for flags in ((), ("--fold-batch-norm",)):
        session = export(build, weights, folder / "plain.onnx", *flags)
        for batch, height, width in SIZES:
            image = random.standard_normal((batch, 3, height, width), numpy.float32)
            comparison.row(" ".join(("onnx", *flags)), image.shape, session.run(None, {"image": image})[0], comparison.ours(image))
    flags = ("--fold-batch-norm", "--normalise", "--pad")
    session = export(build, weights, folder / "whole.onnx", *flags)
    for batch, height, width in ((1, 100, 100), (2, 33, 70), (1, 128, 128)):
        pixels = random.integers(0, 256, (batch, 3, height, width), numpy.uint8)
        image = (padded(pixels).astype(numpy.float32) / 255 - MEAN) / DEVIATION
        ours = comparison.ours(numpy.ascontiguousarray(image, numpy.float32))[:, :, :height, :width]
        comparison.row(" ".join(("onnx", *flags)), pixels.shape, session.run(None, {"image": pixels})[0], ours)
    session = export(build, weights, folder / "probability.onnx", "--normalise", "--pad", "--probability")
    comparison.row("onnx --normalise --pad --probability", pixels.shape, session.run(None, {"image": pixels})[0], 1 / (1 + numpy.exp(-ours)))
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["dermatome.threshold"] == "0.5" and metadata["dermatome.colour_constancy"] == "none", metadata


@torch.no_grad()
def compare_small(comparison, random):
    model = Tiny()
    model.load_state_dict(tiny_state())
    model.eval()
    image = random.standard_normal((2, 3, 8, 12), numpy.float32)
    session = onnxruntime.InferenceSession(str(SMALL / "tiny.onnx"), providers=["CPUExecutionProvider"])
    comparison.row("tiny.onnx, beside PyTorch", image.shape, session.run(None, {"image": image})[0], model(torch.from_numpy(image)).numpy())
    pixels = random.integers(0, 256, (1, 3, 10, 7), numpy.uint8)
    normalised = (padded(pixels, 4).astype(numpy.float32) / 255 - MEAN) / DEVIATION
    theirs = torch.sigmoid(model(torch.from_numpy(normalised))).numpy()[:, :, :10, :7]
    session = onnxruntime.InferenceSession(str(SMALL / "tiny_whole.onnx"), providers=["CPUExecutionProvider"])
    comparison.row("tiny_whole.onnx, beside PyTorch", pixels.shape, session.run(None, {"image": pixels})[0], theirs)


@torch.no_grad()
def compare_pytorch(comparison, random):
    out = comparison.folder / "exported.safetensors"
    subprocess.run([comparison.build / "dermatome", "export", "--weights", comparison.weights, "--model", "unet34", "--out", out], check=True,
                   stdout=subprocess.DEVNULL)
    model = UNet34()
    model.load_state_dict(safetensors.torch.load_file(out), strict=True)
    image = random.standard_normal((1, 3, 128, 128), numpy.float32)
    comparison.row("safetensors in PyTorch, strict=True", image.shape, model.eval()(torch.from_numpy(image)).numpy(), comparison.ours(image))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=REPOSITORY / "build")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    if arguments.write:
        write_small(build)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        weights = folder / "weights.safetensors"
        safetensors.torch.save_file(golden_state(UNet34), weights)
        comparison = Comparison(build, weights, folder)
        compare_onnx(comparison, numpy.random.default_rng(0))
        compare_small(comparison, numpy.random.default_rng(2))
        compare_pytorch(comparison, numpy.random.default_rng(1))
    print(f"largest difference {comparison.worst:.1e}, allowed {TOLERANCE:.0e}")
    sys.exit(int(comparison.worst > TOLERANCE))


if __name__ == "__main__":
    main()
