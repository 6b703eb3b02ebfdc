"""Weights of ResNet34 and U-Net34 in every kind of file, read by Dermatome: its logits beside PyTorch's.

    cmake --build build --target dermatome dermatome_forward
    python3 tests/golden/compare_weights.py --build build

Random weights (the golden formula), f32, batch norm in eval mode, 2 images of 64 x 64 px. Prints the largest difference relative to
the largest logit for each kind of file, and the time of `dermatome convert`; fails beyond 1e-4. Then the checkpoints of a short run are
read by safetensors and loaded into PyTorch. Needs torch, safetensors and Pillow.
"""
import argparse
import collections
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy
import PIL.Image
import safetensors.numpy
import safetensors.torch
import torch

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / folder) for folder in ("tests/golden", "tests/models/weights", "bench/pytorch")]
from make_golden import IMAGE_SHAPE, golden_state, make_tensor  # noqa: E402
from make_weights import save_tar  # noqa: E402
from unet34 import ResNet34, UNet34  # noqa: E402

TOLERANCE = 1e-4
FASTAI = {"conv1": "rn.0", "bn1": "rn.1", "layer1": "rn.4", "layer2": "rn.5", "layer3": "rn.6", "layer4": "rn.7"}


def fastai_name(key):
    first, _, rest = key.partition(".")
    return f"{FASTAI.get(first, first)}.{rest}"


def renamed(state, name):
    return collections.OrderedDict((name(key), value) for key, value in state.items())


def to_type(state, dtype):
    return collections.OrderedDict((key, value.to(dtype)) for key, value in state.items())


def old(state, path):
    torch.save(state, path, _use_new_zipfile_serialization=False)


KINDS = {
    "zip.pth": torch.save,
    "stream.pth": old,
    "tar.pth": lambda state, path: save_tar(state, path),
    "plain.safetensors": lambda state, path: safetensors.torch.save_file(state, path),
    "fastai.h5": lambda state, path: old(renamed(state, fastai_name), path),
    "wrapped.pth": lambda state, path: torch.save({"epoch": 1, "state_dict": renamed(state, lambda k: "module." + k)}, path),
    "f16.pth": lambda state, path: torch.save(to_type(state, torch.float16), path),
    "bf16_stream.pth": lambda state, path: old(to_type(state, torch.bfloat16), path),
    "f64.pth": lambda state, path: torch.save(to_type(state, torch.float64), path),
}
ROUNDED = {"f16.pth": torch.float16, "bf16_stream.pth": torch.bfloat16}


@torch.no_grad()
def logits_of_pytorch(model_class, state, image):
    model = model_class()
    model.load_state_dict(state, strict=False)
    return model.eval()(image).numpy()


def logits_of_dermatome(build, model, weights, image, folder):
    safetensors.numpy.save_file({"image": numpy.ascontiguousarray(image.numpy().transpose(0, 2, 3, 1))}, folder / "in.safetensors")
    subprocess.run([build / "dermatome_forward", model, weights, folder / "in.safetensors", folder / "out.safetensors"], check=True)
    output = safetensors.numpy.load_file(folder / "out.safetensors")["output"]
    return output.transpose(0, 3, 1, 2) if output.ndim == 4 else output


def compare(build, folder):
    worst = 0
    image = make_tensor("image", IMAGE_SHAPE)
    for model, model_class in (("resnet34", ResNet34), ("unet34", UNet34)):
        state = golden_state(model_class)
        for kind, write in KINDS.items():
            path = folder / kind
            write(collections.OrderedDict(state), path)
            rounded = to_type(to_type(state, ROUNDED.get(kind, torch.float32)), torch.float32)
            theirs = logits_of_pytorch(model_class, rounded, image)
            ours = logits_of_dermatome(build, model, path, image, folder)
            difference = numpy.abs(ours - theirs).max() / numpy.abs(theirs).max()
            start = time.perf_counter()
            subprocess.run([build / "dermatome", "convert", path, folder / "converted.safetensors"], check=True, stdout=subprocess.DEVNULL)
            seconds = time.perf_counter() - start
            print(f"{model:9} {kind:18} {path.stat().st_size / 1e6:6.1f} MB   difference {difference:.1e}   convert {seconds:.2f} s")
            worst = max(worst, difference)
            path.unlink()
    return worst


def check_checkpoints(build, folder):
    """A run's checkpoints, written by a run over made-up photographs, read by Python's safetensors and by PyTorch."""
    random = numpy.random.default_rng(7)
    for name, shape, suffix in (("data/photographs", (64, 64, 3), ""), ("data/masks", (64, 64), "_mask")):
        (folder / name).mkdir(parents=True)
        for i in range(4):
            pixels = random.integers(0, 256, shape) if len(shape) == 3 else 255 * (numpy.indices(shape).sum(0) < 40 + 20 * i)
            PIL.Image.fromarray(pixels.astype(numpy.uint8)).save(folder / name / f"{i}{suffix}.png")
    subprocess.run([build / "dermatome", "train", "--images", folder / "data/photographs", "--masks", folder / "data/masks", "--run",
                    folder / "run", "--validation-share", "0.25", "model=unet34", "size=64", "batch=3", "epochs=1"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run([build / "dermatome", "export", "--run", folder / "run", "--out", folder / "exported.safetensors"],
                   check=True, stdout=subprocess.DEVNULL)
    exported = safetensors.numpy.load_file(folder / "exported.safetensors")
    for name in ("best", "last"):
        held = safetensors.numpy.load_file(folder / "run" / f"{name}.safetensors")
        missing = [key for key in exported if key not in held]
        if missing:
            sys.exit(f"{name}.safetensors holds no {missing[0]}")
        model = UNet34()
        state = {key: torch.from_numpy(held[key]) for key in exported}
        model.load_state_dict({**state, **{key: value for key, value in model.state_dict().items() if key.endswith("num_batches_tracked")}}, strict=True)
        print(f"{name}.safetensors of a run: {len(held)} tensors, {len(exported)} of them the network's; PyTorch's U-Net34 takes them")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=REPOSITORY / "build")
    build = parser.parse_args().build.resolve()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        worst = compare(build, pathlib.Path(folder))
        check_checkpoints(build, pathlib.Path(folder))
    print(f"largest difference {worst:.1e}, allowed {TOLERANCE:.0e}")
    sys.exit(int(worst > TOLERANCE))


if __name__ == "__main__":
    main()
