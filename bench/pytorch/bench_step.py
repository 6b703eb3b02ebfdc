"""Times one U-Net34 training step or one inference pass in PyTorch: the baseline of the step benchmarks.

The batch lies in memory as float tensors, so only the step counts. A training step is forward, binary cross-entropy, backward, Adam and
zero_grad(set_to_none=True); inference is the forward pass to logits under torch.inference_mode.

Configurations: nchw and channels_last are eager; compile is torch.compile (inductor) on channels_last, in inference with frozen
weights (folded batch norm, prepacked convolutions). bf16 means autocast over float32 master weights in training, and the whole model
in bfloat16 in inference. Adam is the fused or the foreach kernel, whichever is faster here, tried on real gradients.

--allocator reuse (the default) tells glibc to keep freed memory, so that a step does not ask the kernel for its activations anew.
Measured at 128 px, batch 16, f32, channels_last, one thread, three runs of each in turn, images per processor second, medians: training
12.9 -> 16.9 with 9 % more memory, inference 40.3 -> 61.7 with about the same. --allocator glibc is what PyTorch does when nobody sets
anything. cpu_share is processor time over wall time of the timed steps: below the number of threads, other programs were in the way.

With --rounds-server the process answers each line `run K` on standard input with one line {"seconds": [K numbers], ...} on standard output
(after a first line with the settings), until `quit` or the end of input: a driver can alternate between programs that stay warm.
"""
import argparse
import contextlib
import json
import math
import os
import pathlib
import statistics
import sys
import time

import torch
from torch.nn import functional

from rounds import forget_peak, peak_now, resident_now, serve_rounds, timed
from unet34 import UNet34, initialise

IMPORT_BYTES = resident_now()
MINIMUM_STEPS = 5
ADAM_TRIALS = 5
REUSE_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "1000000000000", "MALLOC_TOP_PAD_": "67108864"}
ADAM_SETTINGS = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-7}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--mode", choices=("train", "infer"), default="train")
    parser.add_argument("--type", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--config", choices=("nchw", "channels_last", "compile"), default="channels_last")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--allocator", choices=("reuse", "glibc"), default="reuse")
    parser.add_argument("--seconds", type=float, default=20, help="time steps for so long, at least five")
    parser.add_argument("--warm-up", type=int, default=5, help="steps before the first timed one")
    parser.add_argument("--steps", type=int, help="time exactly so many steps instead")
    parser.add_argument("--json", help="write the result here instead of to standard output")
    parser.add_argument("--rounds-server", action="store_true")
    return parser.parse_args()


def restart_with_allocator(allocator):
    """glibc reads these variables only when a process starts, so the program starts itself again with them."""
    if allocator == "reuse" and any(os.environ.get(name) != value for name, value in REUSE_MEMORY.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **REUSE_MEMORY})


def make_batch(arguments, memory_format):
    generator = torch.Generator().manual_seed(0)
    shape = (arguments.batch, 3, arguments.size, arguments.size)
    image = torch.randn(shape, generator=generator).contiguous(memory_format=memory_format)
    target = (torch.rand((arguments.batch, 1, arguments.size, arguments.size), generator=generator) > 0.5).float()
    return image, target


def autocast(arguments):
    if arguments.type == "bf16":
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return contextlib.nullcontext()


def trial_seconds(kind, parameters_with_gradients):
    """Seconds of one Adam step of that kind; learning rate 0 leaves the weights as they are. Infinite where there is no such kernel."""
    try:
        trial = torch.optim.Adam(parameters_with_gradients, **{**ADAM_SETTINGS, "lr": 0.0, kind: True})
        trial.step()
        return min(timed(trial.step, 2))
    except RuntimeError:
        return math.inf


def choose_adam(parameters_with_gradients):
    """An optimiser of the faster of Adam's two fast kinds, its name, and the seconds of both; they take turns, least time counts."""
    times = {"fused": math.inf, "foreach": math.inf}
    for _ in range(ADAM_TRIALS):
        for kind in times:
            times[kind] = min(times[kind], trial_seconds(kind, parameters_with_gradients))
    kind = min(times, key=times.get)
    return torch.optim.Adam(parameters_with_gradients, **{**ADAM_SETTINGS, kind: True}), kind, times


def make_train_step(arguments, memory_format):
    model = initialise(UNet34()).to(memory_format=memory_format).train()
    image, target = make_batch(arguments, memory_format)

    def loss_of(image, target):
        with autocast(arguments):
            logits = model(image)
        return functional.binary_cross_entropy_with_logits(logits.float(), target)

    compiled_loss = torch.compile(loss_of) if arguments.config == "compile" else loss_of
    compiled_loss(image, target).backward()
    optimizer, adam, adam_times = choose_adam(list(model.parameters()))
    optimizer.zero_grad(set_to_none=True)

    def step():
        loss = compiled_loss(image, target)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step, {"adam": adam, "adam_seconds": adam_times}


def make_infer_step(arguments, memory_format):
    dtype = torch.bfloat16 if arguments.type == "bf16" else torch.float32
    model = initialise(UNet34()).to(dtype=dtype, memory_format=memory_format).eval()
    image = make_batch(arguments, memory_format)[0].to(dtype)
    if arguments.config == "compile":
        from torch._inductor import config as inductor_config
        inductor_config.freezing = True
        model = torch.compile(model)

    def step():
        with torch.inference_mode():
            return model(image)

    return step, {}


def make_step(arguments):
    torch.manual_seed(0)
    memory_format = torch.contiguous_format if arguments.config == "nchw" else torch.channels_last
    make = make_train_step if arguments.mode == "train" else make_infer_step
    return make(arguments, memory_format)


def timed_for(step, seconds):
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < MINIMUM_STEPS:
        times += timed(step, 1)
    return times


def settings_of(arguments, extra, prepare_seconds):
    return {"program": "pytorch", "torch": torch.__version__, "size": arguments.size, "batch": arguments.batch, "mode": arguments.mode,
            "type": arguments.type, "config": arguments.config, "threads": torch.get_num_threads(),
            "allocator": arguments.allocator, "import_rss_bytes": IMPORT_BYTES, "prepare_seconds": prepare_seconds, **extra}


def result_of(arguments, settings, times, cpu_seconds, start_peak):
    steps_peak = peak_now()
    return {**settings, "steps": len(times), "cpu_share": cpu_seconds / sum(times),
            "images_per_second_median": arguments.batch / statistics.median(times),
            "images_per_second_best": arguments.batch / min(times),
            "peak_rss_bytes": max(start_peak, steps_peak), "steps_peak_rss_bytes": steps_peak, "step_seconds": times}


def main():
    arguments = parse_arguments()
    restart_with_allocator(arguments.allocator)
    torch.set_num_threads(arguments.threads)
    start = time.perf_counter()
    step, extra = make_step(arguments)
    timed(step, arguments.warm_up)
    settings = settings_of(arguments, extra, time.perf_counter() - start)
    if arguments.rounds_server:
        return serve_rounds(step, settings)
    start_peak = peak_now()
    forget_peak()
    cpu_start = time.process_time()
    times = timed(step, arguments.steps) if arguments.steps else timed_for(step, arguments.seconds)
    result = result_of(arguments, settings, times, time.process_time() - cpu_start, start_peak)
    text = json.dumps(result) + "\n"
    if arguments.json:
        pathlib.Path(arguments.json).write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
