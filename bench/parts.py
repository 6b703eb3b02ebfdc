"""The parts of the benchmark suite: each measures for a few minutes and returns what goes into the machine's record."""
import json
import statistics
import subprocess
import time

import record
from sides import HERE, OURS, PYTORCH_CONFIGS, Absent, Case, Side, command_of, compare, last_line, peers_of, report_others, take_turns

TYPES = ("f32", "bf16")
SHAPES = {"train": ((128, 8), (256, 4)), "inference": ((128, 8), (256, 4), (256, 1))}
MODES = {"train": "train", "inference": "infer"}
MEMORY_CASES = (Case("train", 256, 16, "f32"), Case("train", 256, 16, "bf16"))
LEAST_ROUNDS = 5  # of the parts that compare points of one program
FROZEN = ((), ("encoder.early",), ("encoder.early", "encoder.late"))
PHOTOGRAPH = "ISIC-2017_Training_Data/ISIC_0000085.jpg"  # of isic2017-original
PREDICT_SIZE = 256


def best_of(sides):
    """The name of the fastest peer that took part, None when Dermatome stood alone."""
    speeds = {name: side["images_per_second_median"] for name, side in sides.items() if name != OURS and "absent" not in side}
    return max(speeds, key=speeds.get) if speeds else None


def ratio_to(sides, name, figure="images_per_second_median"):
    if name is None or "absent" in sides[OURS]:
        return None
    return sides[OURS][figure] / sides[name][figure]


def case_fields(case, threads):
    return {"mode": case.mode, "size": case.size, "batch": case.batch, "type": case.type, "threads": threads}


def speed_cases(part, types):
    return [Case(MODES[part], size, batch, kind) for kind in types for size, batch in SHAPES[part]]


def measure_speed(case, programs, options, report):
    """One case with every side: images a second, peak memory, and the ratio to the best peer; the machine's own rates in front of each
    round, because they move too."""
    rates = []
    sides, others = compare(case, [OURS, *peers_of(case)], programs, options.rounds, options.round_seconds, report,
                            lambda: rates.append(record.rates(programs)))
    best = best_of(sides)
    return {**case_fields(case, programs.threads), "rates": record.median_of(rates), "others_share": others, "sides": sides,
            "best_peer": best, "ratio": ratio_to(sides, best), "ratio_of_best_steps": ratio_to(sides, best, "images_per_second_best")}


def run_json(command, programs):
    """The last line that a program prints, as JSON; Absent with its own words when it fails."""
    result = subprocess.run(command, env=programs.environment(), capture_output=True, text=True, cwd=HERE.parent)
    if result.returncode != 0:
        raise Absent(last_line(result.stderr))
    return json.loads(result.stdout[result.stdout.index("{"):])


def our_memory(case, programs):
    figures = run_json(programs.ours("bench", "step", "--mode", case.mode, "--size", case.size, "--batch", case.batch, "--type", case.type,
                                     "--threads", programs.threads, "--seconds", 0.1, "--json", "-"), programs)
    return {"peak_rss_bytes": figures["peak_bytes"], "arena_bytes": figures["arena_bytes"],
            "arena_lower_bound_bytes": figures["arena_lower_bound_bytes"]}


def pytorch_memory(case, config, allocator, programs):
    """The peak of the steps alone: what compiling needed before does not count."""
    figures = run_json(programs.script("bench_step.py", "--mode", case.mode, "--size", case.size, "--batch", case.batch, "--type", case.type,
                                       "--config", config, "--allocator", allocator, "--threads", programs.threads, "--warm-up", 2,
                                       "--steps", 2), programs)
    return {"peak_rss_bytes": figures["steps_peak_rss_bytes"], "import_rss_bytes": figures["import_rss_bytes"]}


def measure_memory(case, programs, report):
    """Peak resident memory of a few training steps; the peer is PyTorch's thriftiest configuration."""
    measurements = {OURS: lambda: our_memory(case, programs)}
    for config in PYTORCH_CONFIGS:
        for allocator in ("glibc", "reuse"):
            measurements[f"pytorch {config}, {allocator}"] = lambda c=config, a=allocator: pytorch_memory(case, c, a, programs)
    sides = {}
    for name, measure in measurements.items():
        try:
            sides[name] = measure()
        except Absent as reason:
            sides[name] = {"absent": str(reason)}
            report(f"  {name} is left out: {reason}")
    peaks = {name: side["peak_rss_bytes"] for name, side in sides.items() if name != OURS and "absent" not in side}
    best = min(peaks, key=peaks.get) if peaks else None
    ours = sides[OURS].get("peak_rss_bytes")
    return {**case_fields(case, programs.threads), "sides": sides, "best_peer": best, "ratio": ours / peaks[best] if ours and best else None}


def prepare_prediction(programs, report):
    """A checkpoint of ours and the same weights as a PyTorch state dict, made once."""
    run = programs.cache / f"predict_{PREDICT_SIZE}"
    if not (run / "last.safetensors").exists():
        report("  training one epoch on data/sample for the checkpoint")
        command = programs.ours("train", "--data", "data/sample", "--run", run, "--overwrite", f"size={PREDICT_SIZE}", "batch=8", "epochs=1")
        subprocess.run(command, env=programs.environment(), cwd=HERE.parent, check=True, capture_output=True)
    checkpoint = programs.cache / "unet34.pth"
    if not checkpoint.exists() or checkpoint.stat().st_mtime < (run / "last.safetensors").stat().st_mtime:
        command = programs.script("predict_one.py", "--make-checkpoint", run / "last.safetensors", "--checkpoint", checkpoint)
        subprocess.run(command, env=programs.environment(), check=True, capture_output=True)
    return run / "last.safetensors", checkpoint


def wall_seconds(command, programs):
    start = time.perf_counter()
    result = subprocess.run(command, env=programs.environment(), capture_output=True, text=True, cwd=HERE.parent)
    if result.returncode != 0:
        raise Absent(last_line(result.stderr))
    return time.perf_counter() - start


def measure_predict(photograph, programs, rounds, report):
    """One photograph from program start to written mask, everything in the page cache; the sides take turns."""
    weights, checkpoint = prepare_prediction(programs, report)
    out = programs.cache / "masks"
    out.mkdir(parents=True, exist_ok=True)
    commands = {OURS: programs.ours("predict", "--weights", weights, "--threads", programs.threads, "--out", out, photograph),
                "pytorch": programs.script("predict_one.py", "--checkpoint", checkpoint, "--size", PREDICT_SIZE, "--threads", programs.threads,
                                           photograph, out / "pytorch.png")}
    times = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            seconds = wall_seconds(command, programs)
            if turn > 0:  # the first turn fills the page cache
                times[name].append(seconds)
    agreement = run_json(programs.script("compare_masks.py", out / f"{photograph.stem}_segmentation.png", out / "pytorch.png"), programs)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {"photograph": photograph.name, **agreement, "threads": programs.threads, "size": PREDICT_SIZE,
            "sides": {name: {"seconds_median": medians[name], "seconds_best": min(values), "rounds": values} for name, values in times.items()},
            "ratio": medians["pytorch"] / medians[OURS]}


def frozen_name(groups):
    return "nothing frozen" if not groups else "frozen: " + ", ".join(groups)


def turns_of(starts, options, report, share_of_round=1.0):
    """Sides by name, started one by one from (name, command, environment) and taking turns in LEAST_ROUNDS or more; the share of others."""
    sides = {}
    try:
        for name, command, environment in starts:
            sides[name] = Side(name, command, environment)
        others = take_turns(list(sides.values()), max(LEAST_ROUNDS, options.rounds), options.round_seconds * share_of_round)
    finally:
        for side in sides.values():
            side.stop()
    report_others(others, report)
    return sides, others


def frozen_command(case, groups, programs):
    return command_of(OURS, case, programs) + [word for group in groups for word in ("--frozen", group)]


def measure_frozen(case, programs, options, report):
    """Training steps with more and more of the network frozen, taking turns."""
    starts = [(frozen_name(groups), frozen_command(case, groups, programs), programs.environment()) for groups in FROZEN]
    sides, others = turns_of(starts, options, report)
    results = {name: side.result(case.batch) for name, side in sides.items()}
    whole = results[frozen_name(())]["images_per_second_median"]
    for result in results.values():
        result["time_share"] = whole / result["images_per_second_median"]
    return {**case_fields(case, programs.threads), "others_share": others, "sides": results}


def scaling_points(mode, threads):
    """(axis, case, threads) of every point of a mode: threads, batch, and the side of the photographs."""
    yield from (("threads", Case(mode, 128, 8, "f32"), count) for count in range(1, threads + 1))
    yield from (("batch", Case(mode, 128, batch, "f32"), threads) for batch in (1, 2, 4, 8, 16, 32))
    yield from (("size", Case(mode, size, 2, "f32"), threads) for size in (64, 128, 192, 256, 384, 512))


def measure_scaling(mode, programs, options, report):
    """All points of a mode, taking turns; a point that lies on two axes is measured once. A dozen processes stay warm."""
    points = list(scaling_points(mode, programs.threads))
    names = {(case, threads): f"{case} on {threads} threads" for _, case, threads in points}
    starts = [(name, command_of(OURS, case, programs, threads), programs.environment(threads)) for (case, threads), name in names.items()]
    sides, others = turns_of(starts, options, report, share_of_round=0.5)
    results = {name: sides[name].result(case.batch) for (case, _), name in names.items()}
    kept = ("images_per_second_median", "images_per_second_best", "rounds")
    return [{"axis": axis, **case_fields(case, threads), "others_share": others,
             **{key: results[names[case, threads]][key] for key in kept}} for axis, case, threads in points]
