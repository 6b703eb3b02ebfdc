"""Times one U-Net34 training step or one inference pass in PyTorch on a GPU: the baseline of bench/gpu_check.py.

The batch lies on the GPU; a training step is forward, binary cross-entropy, backward, fused Adam and zero_grad(set_to_none=True). Configurations:
eager (NCHW), channels_last, compile (torch.compile, max-autotune, which replays CUDA graphs, on channels_last). bf16 is autocast over
float32 master weights in training and the whole model in bfloat16 in inference. tf32 is off for f32 unless --tf32. Prints one JSON line.
"""
import argparse
import json
import statistics

import torch
from torch.nn import functional

from unet34 import UNet34, initialise

ADAM_SETTINGS = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-7}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--mode", choices=("train", "infer"), default="train")
    parser.add_argument("--type", choices=("f32", "bf16"), default="bf16")
    parser.add_argument("--config", choices=("eager", "channels_last", "compile"), default="channels_last")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--warm-up", type=int, default=10)
    parser.add_argument("--tf32", action="store_true")
    return parser.parse_args()


def make_step(options):
    """The step as a function without arguments, and whether it moves weights."""
    device = torch.device("cuda")
    layout = torch.contiguous_format if options.config == "eager" else torch.channels_last
    net = UNet34()
    initialise(net)
    net = net.to(device, memory_format=layout)
    image = torch.randn(options.batch, 3, options.size, options.size, device=device).to(memory_format=layout)
    target = (torch.rand(options.batch, 1, options.size, options.size, device=device) > 0.5).float()
    half = options.type == "bf16"
    compiled = torch.compile(net, mode="max-autotune") if options.config == "compile" else net
    if options.mode == "infer":
        net.eval()
        if half:
            net.bfloat16()
            image = image.bfloat16()

        @torch.inference_mode()
        def infer():
            compiled(image)
        return infer
    optimiser = torch.optim.Adam(net.parameters(), fused=True, **ADAM_SETTINGS)

    def train():
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=half):
            logits = compiled(image)
        functional.binary_cross_entropy_with_logits(logits.float(), target).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return train


def timed(step, options):
    for _ in range(options.warm_up):
        step()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    seconds = []
    while sum(seconds) < options.seconds or len(seconds) < 5:
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(5):
            step()
        end.record()
        end.synchronize()
        seconds.append(start.elapsed_time(end) / 1000 / 5)
    return seconds


def main():
    options = parse_arguments()
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.tf32
    seconds = timed(make_step(options), options)
    print(json.dumps({**vars(options), "gpu": torch.cuda.get_device_name(), "torch": torch.__version__,
                      "seconds_min": min(seconds), "seconds_median": statistics.median(seconds),
                      "images_per_second": options.batch / min(seconds), "peak_bytes": torch.cuda.max_memory_allocated()}))


if __name__ == "__main__":
    main()
