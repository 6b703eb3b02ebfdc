"""Writes unet34.json: what PyTorch computes for U-Net34 (and ResNet34) from a state that C++ can rebuild without any file.

State. Every tensor comes from a counter-based formula (RULES below, also in the file's header): FNV-1a of the key, splitmix64 of key
and flat index, a scale by the kind of tensor, rounded to float32, so that float32 and float64 runs start from the same numbers.

Format of unet34.json, an object:
  format, torch       version of this format; version of PyTorch that computed the numbers
  rules               the formula, the layout and the comparison as plain text, one sentence a line
  formula_check       key -> {hash, u, values}: FNV-1a hash (hexadecimal), the first four u, the first four float32 values
  initial_norm        key -> L2 norm of every tensor of the state, the image and the target, for finding a wrong formula early
  eval                batch norm in eval mode: logits, loss, gradients (BN frozen everywhere, gamma and beta still trained)
  train               batch norm in train mode: logits, loss, gradients, running (statistics after this one forward pass)
  adam                ten steps from the same state on the same batch, BN in train mode: losses (before each step), weights (after)
  resnet34            eval mode, same encoder state and image: logits [N, 1000]
A tensor is {norm, sum, samples} and, where PyTorch's float32 was run too, distance_f32. norm (L2) and sum are over the whole tensor;
samples[j] is the entry at flat index (j * numel) // len(samples) in PyTorch's layout. distance_f32 is
||float32 samples - samples|| / ||samples||, with samples from float64. Losses and samples of logits have all their digits, other
numbers 13 significant ones.
"""
import argparse
import json
import math
import pathlib
import sys

import numpy
import torch
from torch.nn import functional

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "bench" / "pytorch"))
from unet34 import ResNet34, UNet34  # noqa: E402

IMAGE_SHAPE = (2, 3, 64, 64)
DISCS = ((32, 30, 20), (20, 40, 12))  # x, y and radius of the lesion of each image
ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-7}
ADAM_STEPS = 10
# Primes that divide no tensor's size: otherwise the samples would all lie in one input channel, kernel tap or column.
LOGIT_SAMPLES = 61
GRADIENT_SAMPLES = (31, 13)  # of a 4-d tensor, of a vector
OTHER_SAMPLES = (17, 11)
DIGITS = 13
SIZE_LIMIT = 200_000

RULES = [
    "h(key) = 64-bit FNV-1a of the UTF-8 bytes of the key: start 0xcbf29ce484222325; per byte xor, then times 0x100000001b3.",
    "z(key, i) = splitmix64 finaliser of (h + (i + 1) * 0x9e3779b97f4a7c15) mod 2^64: z ^= z >> 30; z *= 0xbf58476d1ce4e5b9;"
    " z ^= z >> 27; z *= 0x94d049bb133111eb; z ^= z >> 31.",
    "u = (z >> 11) / 2^53, in [0, 1). i is the flat row-major index in PyTorch's layout: OIHW, IOHW for transposed convolutions.",
    "Values are computed in double and then rounded to float32.",
    "A module is a BN when the last part of its name starts with bn, or when its name ends in downsample.1.",
    "BN weight: 0.5 + u; when the key ends in .bn2.weight: (0.5 + u) * 0.3, so that 16 residual blocks do not explode."
    " BN bias: (2u - 1) * 0.2. running_mean: (2u - 1) * 0.1. running_var: 0.5 + u.",
    "Convolution weight: (2u - 1) * sqrt(6 / fan), fan = shape[1] * k * k; transposed convolutions (tr_conv and up5, 2x2 stride 2):"
    " fan = shape[0]. Other biases (x_conv, tr_conv, up5, fc): (2u - 1) * 0.1. fc.weight: (2u - 1) / sqrt(512).",
    "Keys: the state-dict keys of U-Net34 (layer1.0.conv1.weight, up1.tr_conv.bias, ...);"
    " ResNet34 uses the encoder's and fc.weight, fc.bias.",
    "Key image: [2,3,64,64], (2u - 1) * 2. Target [2,1,64,64]: 1 where (x-32)^2 + (y-30)^2 < 20^2 in the first image and"
    " (x-20)^2 + (y-40)^2 < 12^2 in the second, x the column and y the row, else 0.",
    "Loss: binary cross-entropy with logits, mean over all pixels. BN: eps 1e-5, momentum 0.1, running variance unbiased.",
    "Adam: lr 1e-3, betas 0.9 and 0.999, eps 1e-8, weight decay 1e-7 added to the gradient (coupled); the state starts at zero.",
    "Compare in float64 with tolerance 1e-7: ||samples - yours|| / ||samples|| and norm relative; sum relative to norm * sqrt(numel).",
]


def fnv1a(key):
    value = 0xCBF29CE484222325
    for byte in key.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def uniforms(key, count):
    """count numbers in [0, 1) as float64."""
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(fnv1a(key)) + numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z = z ^ (z >> numpy.uint64(31))
    return (z >> numpy.uint64(11)).astype(numpy.float64) / 2.0**53


def is_batch_norm(module_name):
    return module_name.split(".")[-1].startswith("bn") or module_name.endswith("downsample.1")


def values_of(key, shape, u):
    """The double values of one tensor of the state from its uniform numbers."""
    module_name, _, kind = key.rpartition(".")
    signed = 2 * u - 1
    if key == "image":
        return signed * 2
    if kind == "running_mean":
        return signed * 0.1
    if kind == "running_var":
        return 0.5 + u
    if is_batch_norm(module_name):
        if kind == "bias":
            return signed * 0.2
        return (0.5 + u) * 0.3 if key.endswith(".bn2.weight") else 0.5 + u
    if kind == "bias":
        return signed * 0.1
    if len(shape) == 2:
        return signed / math.sqrt(shape[1])
    transposed = module_name == "up5" or module_name.endswith("tr_conv")
    fan = shape[0] if transposed else shape[1] * shape[2] * shape[3]
    return signed * math.sqrt(6 / fan)


def make_tensor(key, shape):
    """The tensor of a key, float32 numbers."""
    values = values_of(key, shape, uniforms(key, math.prod(shape)))
    return torch.from_numpy(values.astype(numpy.float32)).reshape(shape)


def make_target():
    y, x = torch.meshgrid(torch.arange(IMAGE_SHAPE[2]), torch.arange(IMAGE_SHAPE[3]), indexing="ij")
    discs = [(x - cx) ** 2 + (y - cy) ** 2 < radius**2 for cx, cy, radius in DISCS]
    return torch.stack(discs).unsqueeze(1).float()


def golden_state(model_class):
    shapes = {key: tuple(value.shape) for key, value in model_class().state_dict().items()}
    return {key: make_tensor(key, shape) for key, shape in shapes.items() if not key.endswith("num_batches_tracked")}


def build(model_class, state, dtype):
    model = model_class()
    model.load_state_dict(state, strict=False)
    return model.to(dtype)


def forward_backward(model, image, target):
    """Logits, loss, and gradients by key, in the mode the model is in."""
    model.zero_grad()
    logits = model(image)
    loss = functional.binary_cross_entropy_with_logits(logits, target)
    loss.backward()
    gradients = {key: parameter.grad.clone() for key, parameter in model.named_parameters()}
    return {"logits": logits.detach(), "loss": loss.item(), "gradients": gradients}


def running_statistics(model):
    return {key: value.clone() for key, value in model.named_buffers() if not key.endswith("num_batches_tracked")}


def ten_adam_steps(model, image, target):
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), foreach=False, **ADAM)
    losses = []
    for _ in range(ADAM_STEPS):
        losses.append(forward_backward(model, image, target)["loss"])
        optimizer.step()
    return {"losses": losses, "weights": {key: parameter.detach().clone() for key, parameter in model.named_parameters()}}


def compute(state, dtype, adam=True, prepare=lambda model: model):
    """Everything about U-Net34 in one type; prepare may change the model before each part, to plant an error."""
    image, target = make_tensor("image", IMAGE_SHAPE).to(dtype), make_target().to(dtype)
    result = {"eval": forward_backward(prepare(build(UNet34, state, dtype)).eval(), image, target)}
    model = prepare(build(UNet34, state, dtype)).train()
    result["train"] = forward_backward(model, image, target)
    result["train"]["running"] = running_statistics(model)
    if adam:
        result["adam"] = ten_adam_steps(prepare(build(UNet34, state, dtype)), image, target)
    return result


@torch.no_grad()
def resnet34_logits(dtype):
    model = build(ResNet34, golden_state(ResNet34), dtype).eval()
    return model(make_tensor("image", IMAGE_SHAPE).to(dtype))


def sample(tensor, count):
    flat = tensor.detach().reshape(-1)
    count = min(count, flat.numel())
    return flat[torch.arange(count) * flat.numel() // count].double()


def distance(samples, other):
    """||other - samples|| / ||samples||, 0 where both are equal."""
    return 0.0 if torch.equal(samples, other) else ((other - samples).norm() / samples.norm()).item()


def short(value):
    return float(f"{value:.{DIGITS}g}")


def summarise(tensor, count, tensor_f32=None, digits=short):
    samples = sample(tensor, count)
    record = {"norm": short(tensor.double().norm().item()), "sum": short(tensor.double().sum().item())}
    if tensor_f32 is not None:
        record["distance_f32"] = float(f"{distance(samples, sample(tensor_f32, count)):.3g}")
    record["samples"] = [digits(value) for value in samples.tolist()]
    return record


def summarise_all(tensors, counts, tensors_f32=None):
    return {key: summarise(tensor, counts[0] if tensor.dim() == 4 else counts[1], tensors_f32[key] if tensors_f32 else None)
            for key, tensor in tensors.items()}


def summarise_pass(part, part_f32, counts):
    return {"logits": summarise(part["logits"], LOGIT_SAMPLES, part_f32["logits"], float), "loss": part["loss"],
            "gradients": summarise_all(part["gradients"], counts, part_f32["gradients"])}


def formula_check(state):
    keys = ("image", "conv1.weight", "layer1.0.bn2.weight", "layer2.0.downsample.1.bias", "up1.tr_conv.weight", "up1.x_conv.bias",
            "bn1.running_var", "up5.weight", "fc.weight")
    return {key: {"hash": f"{fnv1a(key):016x}", "u": uniforms(key, 4).tolist(), "values": state[key].reshape(-1)[:4].tolist()}
            for key in keys}


def golden(state, f64, f32):
    tensors = {**state, **golden_state(ResNet34), "image": make_tensor("image", IMAGE_SHAPE), "target": make_target()}
    train = summarise_pass(f64["train"], f32["train"], GRADIENT_SAMPLES)
    train["running"] = summarise_all(f64["train"]["running"], OTHER_SAMPLES)
    return {
        "format": 1, "torch": torch.__version__, "rules": RULES, "formula_check": formula_check(tensors),
        "initial_norm": {key: short(tensor.double().norm().item()) for key, tensor in tensors.items()},
        "eval": summarise_pass(f64["eval"], f32["eval"], OTHER_SAMPLES),
        "train": train,
        "adam": {"losses": f64["adam"]["losses"], "weights": summarise_all(f64["adam"]["weights"], OTHER_SAMPLES)},
        "resnet34": {"logits": summarise(resnet34_logits(torch.float64), LOGIT_SAMPLES, resnet34_logits(torch.float32), float)},
    }


def to_text(value, depth=0):
    """JSON with one tensor a line."""
    if isinstance(value, dict) and "samples" not in value and depth < 3:
        lines = [f"{json.dumps(key)}:{to_text(item, depth + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + "\n}"
    if value is RULES:
        return "[\n" + ",\n".join(json.dumps(rule) for rule in value) + "\n]"
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def distances(reference, other):
    """Distance of every compared quantity, by name."""
    result = {}
    for part in ("eval", "train"):
        result[part + " logits"] = distance(sample(reference[part]["logits"], LOGIT_SAMPLES), sample(other[part]["logits"], LOGIT_SAMPLES))
        result[part + " loss"] = abs(other[part]["loss"] / reference[part]["loss"] - 1)
    groups = [("eval", "gradients", OTHER_SAMPLES), ("train", "gradients", GRADIENT_SAMPLES), ("train", "running", OTHER_SAMPLES),
              ("adam", "weights", OTHER_SAMPLES)]
    for part, name, counts in groups:
        for key, tensor in reference.get(part, {}).get(name, {}).items():
            if part in other:
                count = counts[0] if tensor.dim() == 4 else counts[1]
                result[f"{part} {name} {key}"] = distance(sample(tensor, count), sample(other[part][name][key], count))
    if "adam" in other:
        result["adam last loss"] = abs(other["adam"]["losses"][-1] / reference["adam"]["losses"][-1] - 1)
    return result


def report(title, reference, other):
    """Prints, for every kind of quantity, the least, median and greatest distance."""
    kinds = {}
    for name, value in distances(reference, other).items():
        kinds.setdefault(" ".join(name.split()[:2]), []).append(value)
    print(title)
    for kind, values in kinds.items():
        print(f"  {kind:16} least {min(values):.1e}  median {numpy.median(values):.1e}  greatest {max(values):.1e}  ({len(values)})")


def with_batch_norm_eps(eps):
    def prepare(model):
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eps = eps
        return model
    return prepare


def flip_one_weight(model):
    with torch.no_grad():
        model.layer3[2].conv1.weight.view(-1)[12345] *= -1
    return model


def reorder_sums(model):
    """The same mathematics with sums in another order: shows the rounding noise of float64."""
    return model.to(memory_format=torch.channels_last)


def check_sensitivity(state, f64, f32):
    report("PyTorch float32 against float64", f64, f32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        autocast = compute(state, torch.float32, adam=False)
    report("PyTorch autocast to bfloat16 against float64 (mixed_precision_test.cpp has these figures)", f64, autocast)
    report("float64, sums in another order (noise)", f64, compute(state, torch.float64, prepare=reorder_sums))
    report("planted: BN eps 1e-4", f64, compute(state, torch.float64, adam=False, prepare=with_batch_norm_eps(1e-4)))
    report("planted: one weight's sign", f64, compute(state, torch.float64, adam=False, prepare=flip_one_weight))


def main():
    parser = argparse.ArgumentParser(description="Writes the golden numbers of U-Net34.")
    parser.add_argument("--out", default=pathlib.Path(__file__).with_name("unet34.json"), type=pathlib.Path)
    parser.add_argument("--skip-checks", action="store_true", help="do not measure noise and planted errors")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    state = golden_state(UNet34)
    f64, f32 = compute(state, torch.float64), compute(state, torch.float32)
    text = to_text(golden(state, f64, f32)) + "\n"
    if len(text) >= SIZE_LIMIT:
        raise SystemExit(f"{len(text)} bytes are too many for a committed file (limit {SIZE_LIMIT}): take fewer samples")
    arguments.out.write_text(text)
    print(f"{arguments.out.name}: {len(text)} bytes; losses {f64['adam']['losses']}")
    if not arguments.skip_checks:
        check_sensitivity(state, f64, f32)


if __name__ == "__main__":
    main()
