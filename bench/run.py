"""Speed and memory of Dermatome beside its peers: warm processes take turns, one table of ratios, one JSON for each machine.

    python3 bench/run.py --binary build/dermatome --python ~/.cache/dermatome/pytorch/bin/python [--only PART[:TYPE] ...]

Parts: train, inference (each with :f32 or :bf16 to take one type alone), memory, predict, frozen, scaling. Each takes a few minutes and
is merged into bench/results/<processor>-<instruction set>.json, case by case, so the suite can be run and interrupted piece by piece.
Run nothing else meanwhile. Standard library only; the peers run under the interpreter given by --python.
"""
import argparse
import os
import pathlib
import sys

import parts
import print_record
import record
from sides import Absent, Case, Programs

ORIGINALS = "DERMATOME_ORIGINALS"  # names the folder where no option does
ALL_PARTS = ("train", "inference", "memory", "predict", "frozen", "scaling")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/dermatome")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--cache", default="~/.cache/dermatome/bench", help="compiled kernels, exported nets and checkpoints")
    parser.add_argument("--originals", default=os.environ.get(ORIGINALS) or "isic2017-original",
                        help=f"photographs at their own size, for the part predict; by default the folder in {ORIGINALS}, or isic2017-original")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--round-seconds", type=float, default=1.2)
    parser.add_argument("--only", nargs="+", default=list(ALL_PARTS), metavar="PART[:TYPE]")
    parser.add_argument("--out", help="JSON file; by default bench/results/<processor>-<instruction set>.json")
    arguments = parser.parse_args()
    for wanted in arguments.only:
        part, _, kind = wanted.partition(":")
        if part not in ALL_PARTS or kind not in ("", *parts.TYPES) or (kind and part not in parts.SHAPES):
            parser.error(f"--only {wanted}: parts are {', '.join(ALL_PARTS)}; train and inference take :f32 or :bf16")
    return arguments


def say(line):
    print(line, file=sys.stderr, flush=True)


def measured_cases(part, kind, programs, options):
    """The cases of a part, one by one as they are measured."""
    if part in parts.SHAPES:
        for case in parts.speed_cases(part, [kind] if kind else parts.TYPES):
            say(f"{case} on {programs.threads} threads")
            yield parts.measure_speed(case, programs, options, say)
    elif part == "memory":
        for case in parts.MEMORY_CASES:
            say(f"memory: {case}")
            yield parts.measure_memory(case, programs, say)
    elif part == "predict":
        photograph = pathlib.Path(options.originals).expanduser() / parts.PHOTOGRAPH
        if not photograph.exists():
            raise Absent(f"there is no {photograph}; BENCH_OPTIONS=\"--originals FOLDER\" or {ORIGINALS} names the folder isic2017-original")
        say(f"predict: {photograph.name}")
        yield parts.measure_predict(photograph.resolve(), programs, options.rounds, say)
    elif part == "frozen":
        for case in (Case("train", 128, 8, "f32"), Case("train", 256, 4, "f32")):
            say(f"frozen stages: {case}")
            yield parts.measure_frozen(case, programs, options, say)
    else:
        for mode in parts.MODES.values():
            say(f"scaling: {mode} by threads, batch and side on up to {programs.threads} threads")
            yield from parts.measure_scaling(mode, programs, options, say)


def run_part(part, kind, programs, options, result, out):
    """Measures a part into the record, which is saved after each case; why it was left out, else None."""
    circumstances = record.circumstances(programs)
    fresh, left_out = [], None
    try:
        for case in measured_cases(part, kind, programs, options):
            fresh.append({**case, "measured": {"date": circumstances["date"], "commit": circumstances["commit"]}})
            result[part] = {**circumstances, "cases": record.merge_cases(result.get(part, {}).get("cases", []), fresh[-1:])}
            record.save(out, result)
    except Absent as reason:
        left_out = f"{part} is left out: {reason}"
        say(f"  {left_out}")
    print_record.print_part(part, fresh)
    return left_out


def main():
    arguments = parse_arguments()
    programs = Programs(pathlib.Path(arguments.binary).resolve(), pathlib.Path(arguments.python).expanduser(),
                        pathlib.Path(arguments.cache).expanduser(), arguments.threads)
    machine = record.machine(record.information(programs.binary))
    out = pathlib.Path(arguments.out) if arguments.out else record.file_of(machine)
    result = record.load(out) or {"format": record.FORMAT, "machine": machine}
    commit = record.commit()
    left_out = [run_part(*wanted.partition(":")[::2], programs, arguments, result, out) for wanted in arguments.only]
    print_record.print_ratios(result)
    written = None in left_out
    print(f"\nwritten to {out}" if written else "\nnothing was measured")
    for sentence in (*left_out, record.warning_of(commit) if written else None):
        if sentence is not None:
            print(sentence)


if __name__ == "__main__":
    main()
