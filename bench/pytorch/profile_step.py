"""Where PyTorch's time goes in a training step: self time by kind of operation, and the rate of its convolutions.

    python3 bench/pytorch/profile_step.py --size 128 --batch 8 --type bf16 --config channels_last --threads 2

Takes the options of bench_step.py; eager configurations only (a compiled step is one opaque kernel after another).
"""
import sys

import torch

import bench_step
from rounds import timed
from unet34 import UNet34

STEPS = 8
KINDS = (
    ("convolution forward", ("aten::mkldnn_convolution", "aten::_convolution", "aten::convolution", "aten::conv", "aten::slow_conv",
                             "aten::mkldnn_transpose", "aten::thnn_conv")),
    ("convolution backward", ("aten::convolution_backward", "ConvolutionBackward", "aten::mkldnn_convolution_backward")),
    ("batch norm forward", ("aten::native_batch_norm", "aten::batch_norm", "aten::_batch_norm")),
    ("batch norm backward", ("aten::native_batch_norm_backward", "NativeBatchNormBackward")),
    ("ReLU", ("aten::relu", "aten::clamp_min", "aten::threshold_backward", "ReluBackward")),
    ("pool", ("aten::max_pool", "MaxPool")),
    ("concat", ("aten::cat", "CatBackward", "aten::slice", "aten::narrow")),
    ("Adam", ("aten::_fused_adam", "aten::_foreach", "Optimizer")),
    ("copy, cast, layout", ("aten::copy_", "aten::_to_copy", "aten::to", "aten::contiguous", "aten::clone", "ToCopyBackward")),
    ("add", ("aten::add", "AddBackward")),
)


def kind_of(name):
    """The longest matching name decides, so that batch norm's backward is not taken for its forward."""
    name = name.removeprefix("autograd::engine::evaluate_function: ")
    matches = [(len(start), kind) for kind, starts in KINDS for start in starts if name.startswith(start)]
    return max(matches)[1] if matches else "other"


def convolution_flops(size, batch):
    """FLOPs of one forward pass, and of both gradients (the first convolution needs none of its input)."""
    model, calls = UNet34(), []

    def count(module, inputs, output):
        taps = module.kernel_size[0] * module.kernel_size[1]
        transposed = isinstance(module, torch.nn.ConvTranspose2d)
        pixels = (inputs[0] if transposed else output).numel() / (module.in_channels if transposed else module.out_channels)
        calls.append(2 * pixels * module.in_channels * module.out_channels * taps)

    for module in model.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            module.register_forward_hook(count)
    with torch.inference_mode():
        model(torch.zeros(batch, 3, size, size))
    return sum(calls), 2 * sum(calls) - calls[0]


def main():
    arguments = bench_step.parse_arguments()
    if arguments.config == "compile":
        sys.exit("a compiled step cannot be told by operation; use --config nchw or channels_last")
    bench_step.restart_with_allocator(arguments.allocator)
    torch.set_num_threads(arguments.threads)
    step, _ = bench_step.make_step(arguments)
    plain = min(timed(step, arguments.warm_up))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        wall = sum(timed(step, STEPS))
    kinds, rest = {}, {}
    for event in profiler.key_averages():
        kind = kind_of(event.key)
        kinds[kind] = kinds.get(kind, 0) + event.self_cpu_time_total * 1e-6 / STEPS
        if kind == "other":
            rest[event.key] = event.self_cpu_time_total * 1e-6 / STEPS
    flops = dict(zip(("convolution forward", "convolution backward"), convolution_flops(arguments.size, arguments.batch)))
    total = sum(kinds.values())
    print(f"{arguments.mode} {arguments.size} px batch {arguments.batch} {arguments.type} {arguments.config} on {arguments.threads} threads: "
          f"best step {plain * 1e3:.1f} ms, {wall / STEPS * 1e3:.1f} ms under the profiler")
    print(f"{'kind':<24}{'ms':>9}{'share':>8}{'GFLOP/s':>10}")
    for kind, seconds in sorted(kinds.items(), key=lambda item: -item[1]):
        rate = f"{flops[kind] / seconds / 1e9:>10.1f}" if kind in flops else ""
        print(f"{kind:<24}{seconds * 1e3:>9.2f}{seconds / total:>8.1%}{rate}")
    print("other: " + ", ".join(f"{name} {seconds * 1e3:.2f}" for name, seconds in sorted(rest.items(), key=lambda item: -item[1])[:6]))


if __name__ == "__main__":
    main()
