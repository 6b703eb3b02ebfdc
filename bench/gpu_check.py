"""Everything that only a machine with an NVIDIA GPU can prove about the GPU backend.

    python3 bench/gpu_check.py --build build --python ~/.cache/dermatome/pytorch/bin/python [--only PART[:UNIT] ...]
    python3 bench/gpu_check.py --list

A part is made of units: --only steps takes all of that part, --only steps:train:256 those that begin so, --only steps:train:256:graph one.
Each part ends within --part-seconds; what no longer fits is named, and can be measured by another call. Every unit is merged into
bench/results/<GPU>.json as it ends, so a run can be stopped and continued piece by piece.

A unit passed, failed, or was skipped, with the reason in a sentence: a tool or PyTorch is missing, for example. Figures that are asked for
(ratios, shares) are judged beside: a missed target is a finding, not a failure. The exit code is 1 where a unit failed, 2 for a wrong
command, 130 after an interruption. Standard library only.
"""
import argparse
import datetime
import difflib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

import record as records
from gpu import base, correctness, masks, speed

PARTS = {part.name: part for part in (*correctness.PARTS, *masks.PARTS, *speed.PARTS)}


def guess(word, known):
    near = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {near[0]}?)" if near else ""


def units_of(wanted):
    """The part and its units that PART or PART:BEGINNING names; ValueError with a sentence where it names none."""
    name, _, beginning = wanted.partition(":")
    if name not in PARTS:
        raise ValueError(f"there is no part '{name}'{guess(name, PARTS)}; the parts are {', '.join(PARTS)}")
    part = PARTS[name]
    units = [unit for unit in part.units if not beginning or unit == beginning or unit.startswith(beginning + ":")]
    if not units:
        words = [unit.split(":") for unit in part.units]
        beginnings = {":".join(some[:count]) for some in words for count in range(1, len(some) + 1)}
        raise ValueError(f"the part {name} has no unit '{beginning}'{guess(beginning, sorted(beginnings))}; --list names them all")
    return part, units


def plan_of(wanted):
    """Parts with their units, in the order in which they were asked for, each unit once."""
    plan = {}
    for part, units in map(units_of, wanted):
        asked = plan.setdefault(part.name, [])
        asked += [unit for unit in units if unit not in asked]
    return [(PARTS[name], list(PARTS[name].complete(units))) for name, units in plan.items()]


def list_text():
    lines = []
    for part in PARTS.values():
        lines.append(f"{part.name:<11} {part.about}")
        lines += [f"    {part.name}:{unit}" for unit in part.units]
    return "\n".join(lines)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"), help="folder with dermatome and dermatome_cuda_tests")
    parser.add_argument("--python", default=sys.executable, help="interpreter with PyTorch for CUDA")
    parser.add_argument("--data", type=pathlib.Path, help="folder of photographs and masks, for the part training")
    parser.add_argument("--epochs", type=int, default=6, help="of the part training")
    parser.add_argument("--only", nargs="+", default=list(PARTS), metavar="PART[:UNIT]")
    parser.add_argument("--part-seconds", type=float, default=580, help="the time that one part may take")
    parser.add_argument("--out", type=pathlib.Path, help="JSON file; by default bench/results/<GPU>.json")
    parser.add_argument("--list", action="store_true", help="name all parts and units, and end")
    options = parser.parse_args()
    # A path stays right in another folder; links are kept, because that of a virtual environment leads to the interpreter without it.
    options.python = os.path.abspath(shutil.which(options.python) or options.python)
    try:
        options.plan = plan_of(options.only)
    except ValueError as reason:
        parser.error(str(reason))
    return options


def information(machine):
    """What `dermatome info` says, line by line, and the name of the GPU."""
    if not machine.binary.exists():
        raise SystemExit(f"there is no {machine.binary}; build it, or name the folder of the build with --build")
    try:
        lines = machine.ours("info").splitlines()
    except base.Failed as reason:
        raise SystemExit(str(reason)) from None
    found = next((match for line in lines if (match := re.match(r"cuda:0\s+(.*)", line))), None)
    if not found:
        why = [line for line in lines if line.startswith(("CUDA", "GPU"))]
        raise SystemExit("there is no GPU here: " + (re.sub(r"\s+", " ", why[-1]) if why else "dermatome info names none"))
    return lines, found.group(1).split(",")[0]


def load(path, gpu):
    if not path.exists():
        return {"format": base.FORMAT, "gpu": gpu, "parts": {}}
    try:
        record = json.loads(path.read_text())
        known = record["format"] == base.FORMAT and record["gpu"] == gpu
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise SystemExit(f"{path} is not of this program and GPU; name another file with --out")
    return record


def say(line):
    print(line, flush=True)


def run_part(machine, part, units, record, path, commit):
    """Runs units one by one, each merged and saved as it ends; gives their states."""
    machine.start_part()
    states = []
    for unit in units:
        say(f"== {part.name}:{unit}")
        result = base.outcome(machine, part, unit)
        result["measured"] = {"date": datetime.date.today().isoformat(), "commit": commit}
        base.merge(record, part, unit, result)
        records.save(path, record)
        states.append(result["state"])
        say(f"   {result['state']}{': ' + result['why'] if 'why' in result else ''}")
    for judged in record["parts"][part.name]["targets"]:
        say("   " + base.target_text(judged))
    return states


def main():
    options = parse_arguments()
    if options.list:
        print(list_text())
        return 0
    states = []
    with tempfile.TemporaryDirectory() as work:
        machine = base.Machine(options, work)
        lines, gpu = information(machine)
        path = options.out or records.HERE / "results" / (re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-") + ".json")
        record = load(path, gpu)
        record["info"] = lines
        commit = records.commit()
        try:
            for part, units in options.plan:
                states += run_part(machine, part, units, record, path, commit)
        except KeyboardInterrupt:
            say(f"\nstopped; what had ended is in {path}")
            return 130
    targets = [judged for part, _ in options.plan for judged in record["parts"][part.name]["targets"]]
    say(", ".join(f"{states.count(state)} {state}" for state in (base.PASSED, base.FAILED, base.SKIPPED)) +
        f"; of {len(targets)} targets {sum(not judged['met'] for judged in targets)} are missed; written to {path}")
    return 1 if base.FAILED in states else 0


if __name__ == "__main__":
    sys.exit(main())
