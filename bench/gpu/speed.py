"""How fast the GPU is: steps beside PyTorch's, switches, convolutions beside the roofline, and the slowest nodes under ncu."""
import csv
import json

from gpu.base import HERE, Failed, OutOfTime, Part, Skipped, target
from sides import OURS, last_line

# case: batch, and the ratio to PyTorch's best that is asked for; all in bf16
CASES = {"train:256": (64, 1.3), "train:512": (16, 1.3), "train:128": (8, 1.5), "infer:256": (64, 1.5), "infer:128": (8, 1.5)}
MEMORY_RATIO = 0.6
ROOFLINE_SHARE = 0.6
PYTORCH = ("eager", "channels_last", "compile", "graph", "compile_graph")
BLOCK = 5  # steps behind each of which both programs wait for the GPU
RATE = "images_per_second_median"
SWITCHES = {"second-branch": ("--second-branch",), "no-capture": ("--no-capture",), "steps-per-launch": ("--steps-per-launch", 8),
            **{name: ("--disable-pass", name) for name in ("restructured_decoder", "fuse_batch_norm_relu", "batch_norm_sums",
                                                           "batch_norm_gradient_sums", "update_writes_copies")}}
SWITCHED = {"128": 8, "256": 64}  # side: batch
# Where U-Net34 spends its time: shape, channels, kernel, stride.
CONVOLUTIONS = {f"{shape}:{channels}:{kernel}": (shape, channels, kernel, stride) for shape, channels, kernel, stride in (
    ("64x64x64x64", 64, 3, 1), ("64x64x64x64", 128, 3, 2), ("64x32x32x128", 128, 3, 1), ("64x16x16x256", 256, 3, 1),
    ("64x8x8x512", 512, 3, 1), ("64x128x128x64", 128, 1, 1), ("64x256x256x3", 64, 7, 2))}
CONVOLVES = ("conv2d", "conv_transpose2d", "decoder_")  # how operations that convolve are called, fused ones too
PROFILED = ("train", 256, 64)
SLOWEST = 10
LAUNCHES = 8  # of one node, at most
METRICS = ("gpu__time_duration.sum", "dram__throughput.avg.pct_of_peak_sustained_elapsed",
           "sm__throughput.avg.pct_of_peak_sustained_elapsed")
NO_COUNTERS = ("ERR_NVGPUCTRPERM", "Failed to initialize the profiler", "LibraryNotLoaded")


def case_text(case):
    mode, size = case.split(":")
    return f"{'training' if mode == 'train' else 'inference'} {size} px batch {CASES[case][0]} bf16"


# Steps beside PyTorch.

def our_steps(machine, mode, size, batch):
    """One step a launch, and in training as many a launch as a block has: it waits for the GPU behind each launch."""
    found = {"each": machine.step(mode, size, batch, "bf16")}
    if mode == "train":
        found["block"] = machine.step(mode, size, batch, "bf16", "--steps-per-launch", BLOCK)
    return {**found, "peak_bytes": max(one["peak_buffer_bytes"] for one in found.values())}


def pytorch_steps(machine, mode, size, batch, config):
    python = machine.pytorch()
    result = machine.run([python, HERE / "pytorch/bench_step_gpu.py", "--mode", mode, "--size", size, "--batch", batch, "--type", "bf16",
                          "--config", config, "--steps-per-block", BLOCK], cwd=HERE / "pytorch")
    try:
        record = json.loads(last_line(result.stdout))
    except ValueError:
        raise Failed(f"it ended with {result.returncode}: {last_line(result.stderr)}") from None
    if result.returncode and not record.get("failed"):
        record["failed"] = f"it ended with {result.returncode}: {last_line(result.stderr)}"
    return record


def run_steps(machine, unit):
    mode, size, side = unit.split(":")
    batch = CASES[f"{mode}:{size}"][0]
    return our_steps(machine, mode, size, batch) if side == OURS else pytorch_steps(machine, mode, size, batch, side)


def with_ours(units):
    """Dermatome is measured anew with whatever it is compared with."""
    cases = {unit.rpartition(":")[0] for unit in units}
    return [unit for unit in STEP_UNITS if unit in units or unit in (f"{case}:{OURS}" for case in cases)]


def judge_case(case, units):
    sides = {name: units[f"{case}:{name}"] for name in (OURS, *PYTORCH) if f"{case}:{name}" in units}
    ours = sides.pop(OURS, None)
    if not ours or not sides:
        return []
    ways = [way for way in ("each", "block") if way in ours]
    best = {way: max(sides, key=lambda name: sides[name][way][RATE]) for way in ways}
    ratios = {way: ours[way][RATE] / sides[best[way]][way][RATE] for way in ways}
    thriftiest = min(sides, key=lambda name: sides[name]["peak_bytes"])
    least = min(ways, key=ratios.get)
    missing = [name for name in PYTORCH if name not in sides]
    without = f", without {', '.join(missing)}" if missing else ""
    return [target(f"{case_text(case)}, speed beside PyTorch's best ({best[least]}{without})", ratios[least], least=CASES[case][1],
                   ratios=ratios, best=best, without=missing),
            target(f"{case_text(case)}, peak memory beside PyTorch's least ({thriftiest}{without})",
                   ours["peak_bytes"] / sides[thriftiest]["peak_bytes"], most=MEMORY_RATIO, without=missing)]


def judge_steps(units):
    return [judged for case in CASES for judged in judge_case(case, units)]


# Switches.

def run_switches(machine, unit):
    """Steps with a switch, between two measurements without."""
    size, name = unit.split(":")
    plain, switched, again = (machine.step("train", size, SWITCHED[size], "bf16", *words) for words in ((), SWITCHES[name], ()))
    return {"switches": " ".join(str(word) for word in SWITCHES[name]), "ratio": 2 * switched[RATE] / (plain[RATE] + again[RATE]),
            RATE: [one[RATE] for one in (plain, switched, again)]}


# Convolutions beside the roofline.

def share_of_roofline(kernels):
    """The time that the roofline allows, as a share of the time that was taken."""
    seconds = sum(kernel["median_seconds"] for kernel in kernels)
    return sum(kernel["bound_seconds"] for kernel in kernels) / seconds if seconds else None


def by_operation(nodes):
    table = {}
    for node in nodes:
        table.setdefault(node["op"], []).append(node)
    rows = [{"op": op, "nodes": len(some), "seconds": sum(node["median_seconds"] for node in some), "share_of_roofline": share_of_roofline(some)}
            for op, some in table.items()]
    return sorted(rows, key=lambda row: -row["seconds"])


RATES = ("copy_bytes_per_second", "matrix_f32_flops_per_second", "matrix_bf16_flops_per_second")


def run_operations(machine, unit):
    kind, _, name = unit.partition(":")
    if kind == "step":
        mode, size = name.split(":")
        profile = machine.profile(mode, size, CASES[name][0])
        convolutions = [node for node in profile["nodes"] if node["op"].startswith(CONVOLVES)]
        if not convolutions:
            raise Failed("the profile holds no convolution")
        return {"share_of_roofline": share_of_roofline(convolutions), "share_of_kernels": sum(node["median_seconds"] for node in convolutions) /
                sum(node["median_seconds"] for node in profile["nodes"]), "operations": by_operation(convolutions),
                **{rate: profile[rate] for rate in RATES}}
    shape, channels, kernel, stride = CONVOLUTIONS[name]
    result = machine.our_json("bench", "op", "conv2d", "--device", "cuda", "--type", "bf16", "--shape", shape, "-a", f"channels={channels}",
                              "-a", f"kernel={kernel}", "-a", f"stride={stride}", "-a", f"pad={kernel // 2}", "-a", "bias=false", "--pass", "both")
    return {"share_of_roofline": share_of_roofline(result["kernels"]), **{key: result[key] for key in ("kernels", *RATES)}}


def judge_operations(units):
    return [target(f"convolutions of {case_text(name.removeprefix('step:'))}, share of the roofline by time", unit["share_of_roofline"],
                   least=ROOFLINE_SHARE) for name, unit in units.items() if name.startswith("step:") and unit["share_of_roofline"] is not None]


# The slowest nodes.

def slowest(profile):
    """What is prepared for a program is no step that could be run alone."""
    nodes = [node for node in profile["nodes"] if node["op"] != "(prepare)"]
    return sorted(nodes, key=lambda node: -node["median_seconds"])[:SLOWEST]


def kernels_of(log):
    """A row for each launch, from what ncu wrote."""
    rows = csv.DictReader(line for line in log.splitlines() if line.startswith('"'))
    return [{"kernel": row["Kernel Name"], **{metric: float(row[metric].replace(",", "")) for metric in METRICS}}
            for row in rows if row.get("ID")]  # the row of units has none


def under_ncu(machine, ncu, index):
    log = machine.work / f"ncu-{index}.csv"
    mode, size, batch = PROFILED
    result = machine.run([ncu, "--csv", "--page", "raw", "--print-units", "base", "--log-file", log, "--target-processes", "all", "--clock-control",
                          "none", "--profile-from-start", "off", "--launch-count", LAUNCHES, "--metrics", ",".join(METRICS), machine.binary,
                          "profile", "--device", "cuda", "--mode", mode, "--type", "bf16", "--size", size, "--batch", batch, "--seconds", 0.1,
                          "--from-node", index, "--nodes", 1])
    text = log.read_text(errors="replace") if log.exists() else ""
    if any(word in text + result.stderr + result.stdout for word in NO_COUNTERS):
        raise Skipped(f"ncu may not read the counters of this machine: {last_line(text or result.stderr)}")
    kernels = kernels_of(text)
    if result.returncode or not kernels:
        raise Failed(f"ncu saw {len(kernels)} kernels and ended with {result.returncode}: {last_line(result.stderr or text)}")
    return kernels


def node_text(node):
    return {key: node[key] for key in ("index", "name", "op", "kernel", "shape", "median_seconds", "bound_seconds", "bound_by")}


def run_profile(machine, unit):
    if unit == "ncu":
        ncu = machine.tool("ncu")  # told before minutes of measuring
    profile = machine.profile(*PROFILED)
    nodes = [node_text(node) for node in slowest(profile)]
    found = {"wall_seconds": profile["wall_seconds"], "kernel_seconds": profile["kernel_seconds"], "nodes": nodes}
    if unit == "table":
        return {**found, "bound_seconds": profile["bound_seconds"], "operations": by_operation(profile["nodes"])}
    for node in nodes:
        try:
            node["launches"] = under_ncu(machine, ncu, node["index"])
        except Failed as reason:
            node["failed"] = str(reason)
        except OutOfTime:
            node["failed"] = "the part's time was over; --only profile:ncu has all of it"
            break
    measured = [node for node in nodes if "launches" in node]
    if len(measured) < len(nodes):
        reason = next(node["failed"] for node in nodes if "failed" in node)
        found["failed"] = f"{len(measured)} of the {len(nodes)} slowest nodes were seen by ncu; then: {reason}"
    return found


STEP_UNITS = tuple(f"{case}:{side}" for case in CASES for side in (OURS, *PYTORCH))
PARTS = (
    Part("steps", "whole steps beside PyTorch's configurations, with ratios and peak memory", STEP_UNITS, run_steps, judge_steps, with_ours),
    Part("switches", "training steps with and without the second branch, the recording, several steps a launch and each fusion",
         tuple(f"{size}:{name}" for size in SWITCHED for name in SWITCHES), run_switches),
    Part("operations", "convolutions beside the roofline: of whole steps, and U-Net34's one by one (dermatome bench op)",
         (*(f"step:{case}" for case in CASES), *(f"conv:{name}" for name in CONVOLUTIONS)), run_operations, judge_operations),
    Part("profile", f"the {SLOWEST} slowest nodes of a training step, and each alone under ncu", ("table", "ncu"), run_profile),
)
