"""Times one U-Net34 training step or one inference pass in PyTorch on a GPU: the baseline of bench/gpu_check.py.

The batch lies on the GPU as floats. A training step is forward, binary cross-entropy, backward, fused Adam and zero_grad(set_to_none=True);
it does not augment, which Dermatome's step does. Configurations:
  eager          NCHW, one launch a kernel
  channels_last  the same in NHWC
  compile        NHWC, net and loss by torch.compile (max-autotune, which replays CUDA graphs of forward and backward); Adam stays outside
  graph          channels_last, and the whole step, a capturable Adam included, is one CUDA graph
  compile_graph  the whole step of compiled kernels (max-autotune-no-cudagraphs) is one CUDA graph; at inference the weights are frozen, so
                 that batch norm is folded into them
bf16 is autocast over float32 master weights in training and the whole model in bfloat16 in inference. tf32 is off for f32 unless --tf32.

Time is the host's, from the first call until torch.cuda.synchronize() returns, which is called behind each step ("each") and behind each
block of --steps-per-block ("block"). `dermatome bench step` waits for the GPU behind each launch, so its steps compare with "each", and
with --steps-per-launch N those of a training with "block". Its step augments as well, so the comparison leans to PyTorch's side.

peak_bytes is the largest sum of what is allocated at one time in a step, without what the CUDA context takes. A replay allocates nothing,
so with graph and compile_graph it is that of the capture. What compile records is out of sight: there it is what PyTorch has reserved once
its unused memory is given back, a little more than what is in use.

Prints one JSON line; where something fails it holds "failed", a sentence, and the exit code is 1.
"""
import argparse
import gc
import json
import statistics
import sys
import time

import torch
from torch.nn import functional

from unet34 import UNet34, initialise

ADAM_SETTINGS = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-7}
CONFIGS = ("eager", "channels_last", "compile", "graph", "compile_graph")
COMPILE_MODES = {"compile": "max-autotune", "compile_graph": "max-autotune-no-cudagraphs"}
CAPTURED = ("graph", "compile_graph")
LONGEST_SENTENCE = 400


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--mode", choices=("train", "infer"), default="train")
    parser.add_argument("--type", choices=("f32", "bf16"), default="bf16")
    parser.add_argument("--config", choices=CONFIGS, default="channels_last")
    parser.add_argument("--seconds", type=float, default=5, help="how long to time each way of synchronising")
    parser.add_argument("--steps-per-block", type=int, default=5)
    parser.add_argument("--warm-up", type=int, default=10)
    parser.add_argument("--tf32", action="store_true")
    return parser.parse_args()


def compiled(function, options):
    mode = COMPILE_MODES.get(options.config)
    return torch.compile(function, mode=mode) if mode else function


def make_training(options, net, image):
    """The step, and what must come before it: gradients of the step before are dropped."""
    in_graph = options.config in CAPTURED
    target = (torch.rand(options.batch, 1, options.size, options.size, device="cuda") > 0.5).float()

    def loss_of(image, target):
        # Casts that are kept from one step to the next would be missing in a captured one.
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=options.type == "bf16", cache_enabled=not in_graph):
            logits = net(image)
        return functional.binary_cross_entropy_with_logits(logits.float(), target)

    loss = compiled(loss_of, options)
    optimiser = torch.optim.Adam(net.parameters(), fused=True, capturable=in_graph, **ADAM_SETTINGS)

    def step():
        loss(image, target).backward()
        optimiser.step()
    return step, lambda: optimiser.zero_grad(set_to_none=True)


def make_inference(options, net, image):
    net.eval()
    if options.type == "bf16":
        net.bfloat16()
        image = image.bfloat16()
    if options.config == "compile_graph":
        from torch._inductor import config as inductor_config
        inductor_config.freezing = True
    forward = compiled(net, options)

    def step():
        with torch.inference_mode():
            return forward(image)
    return step, lambda: None


def make_step(options):
    """The step as a function without arguments, and what must come before it."""
    layout = torch.contiguous_format if options.config == "eager" else torch.channels_last
    net = UNet34()
    initialise(net)
    net = net.to("cuda", memory_format=layout)
    image = torch.randn(options.batch, 3, options.size, options.size, device="cuda").to(memory_format=layout)
    return (make_training if options.mode == "train" else make_inference)(options, net, image)


def forget_peak():
    """Gives back what is not in use, and counts the peak anew."""
    torch.cuda.synchronize()
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def captured(step, forget, warm_up):
    """A function that replays the step, and the peak of memory while it was captured."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(warm_up):
            forget()
            step()
    torch.cuda.current_stream().wait_stream(aside)
    forget()  # so that backward allocates the gradients in the graph's own memory
    forget_peak()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = step()

    def replay(graph=graph, result=result):  # the result's memory stays its own
        graph.replay()
    return replay, torch.cuda.max_memory_allocated()


def one_by_one(step, forget, warm_up):
    """The step with what comes before it; its peak of memory is taken once it was timed."""
    def whole():
        step()
        forget()
    for _ in range(warm_up):
        whole()
    forget_peak()
    return whole, None


def timed(step, block, seconds):
    """Seconds of a step, of each block of them, for about so many seconds."""
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        for _ in range(block):
            step()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / block)
    return times


def figures(times, batch):
    return {"steps_timed": len(times), "seconds_median": statistics.median(times), "seconds_min": min(times),
            "images_per_second_median": batch / statistics.median(times), "images_per_second_best": batch / min(times)}


def measured(options):
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.tf32
    prepare = captured if options.config in CAPTURED else one_by_one
    step, peak = prepare(*make_step(options), options.warm_up)
    step()
    torch.cuda.synchronize()
    record = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__,
              "each": figures(timed(step, 1, options.seconds), options.batch),
              "block": figures(timed(step, options.steps_per_block, options.seconds), options.batch)}
    if peak is None:
        peak = torch.cuda.max_memory_reserved() if options.config == "compile" else torch.cuda.max_memory_allocated()
    return {**record, "peak_bytes": peak}


def sentence_of(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'without a word'}"[:LONGEST_SENTENCE]


def main():
    options = parse_arguments()
    try:
        record = {**vars(options), **measured(options)}
    except Exception as error:  # whatever PyTorch and its compiler raise: the other configurations go on
        record = {**vars(options), "failed": sentence_of(error)}
    print(json.dumps(record))
    return 1 if "failed" in record else 0


if __name__ == "__main__":
    sys.exit(main())
