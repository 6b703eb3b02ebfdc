#!/usr/bin/env python3
"""What passes of the compiler, or kernels, bring: Dermatome with and without them, two warm processes that take turns every few steps.

    python3 bench/passes.py --without restructured_decoder --case train:128:8:f32 --case infer:128:8:f32
    python3 bench/passes.py --without fuse_conv_batch_norm fuse_conv_add_relu fuse_conv_batch_norm_relu --case infer:256:4:bf16
    python3 bench/passes.py --without-kernel narrow --case infer:128:8:f32

Prints images a second from the fastest tenth of the steps and from the median, and the gain of each; nothing else may run meanwhile.
Standard library only.
"""
import argparse
import os
import pathlib
import statistics

from sides import Case, Programs, Side, command_of, report_others, take_turns

STEPS_A_TURN = 2


def case_of(text):
    try:
        mode, size, batch, kind = text.split(":")
        return Case(mode, int(size), int(batch), kind)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no case such as train:128:8:f32") from None


def sides_of(case, programs, passes, kernels):
    command = command_of("dermatome", case, programs)
    disabled = [word for name in passes for word in ("--disable-pass", name)]
    disabled += [word for name in kernels for word in ("--disable-kernel", name)]
    return [Side("with", command, programs.environment()), Side("without", [*command, *disabled], programs.environment())]


def measure(case, programs, passes, kernels, seconds):
    sides = sides_of(case, programs, passes, kernels)
    try:
        step = statistics.median(sides[0].run(STEPS_A_TURN))
        others = take_turns(sides, max(6, round(seconds / (2 * STEPS_A_TURN * step))), STEPS_A_TURN * step)
    finally:
        for side in sides:
            side.stop()
    times = {side.name: [time for turn in side.rounds for time in turn] for side in sides}
    return {name: (statistics.quantiles(values, n=10)[0], statistics.median(values)) for name, values in times.items()}, others


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=pathlib.Path("build/dermatome"))
    parser.add_argument("--without", nargs="+", default=[], metavar="PASS")
    parser.add_argument("--without-kernel", nargs="+", default=[], metavar="IMPLEMENTATION")
    parser.add_argument("--case", type=case_of, action="append", required=True, metavar="MODE:SIZE:BATCH:TYPE")
    parser.add_argument("--seconds", type=float, default=20, help="for each case")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    if not options.without and not options.without_kernel:
        parser.error("name what to leave out: --without PASS or --without-kernel IMPLEMENTATION")
    programs = Programs(options.binary.resolve(), pathlib.Path(), pathlib.Path(), options.threads)
    print("| | fastest tenth without | with | gain | median without | with | gain |\n|---|---|---|---|---|---|---|")
    for case in options.case:
        times, others = measure(case, programs, options.without, options.without_kernel, options.seconds)
        cells = []
        for with_it, without in zip(times["with"], times["without"]):
            cells += [f"{case.batch / without:.1f}", f"{case.batch / with_it:.1f}", f"{without / with_it - 1:.1%}"]
        print(f"| {case} | {' | '.join(cells)} |", flush=True)
        report_others(others, print)


if __name__ == "__main__":
    main()
