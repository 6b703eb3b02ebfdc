"""Fails when Dermatome has lost speed against the committed record of this kind of machine.

    python3 bench/check.py --binary build/dermatome --python ~/.cache/dermatome/pytorch/bin/python

Every case of the record is measured anew on as many threads as it was recorded with, and compared as a ratio, never in images a second:
with PyTorch's best configuration of that day, where the interpreter has the very version of the record, and with the machine's own copy
bandwidth and matrix rate, measured in front of every round and taken in the median.

A case is lost when it lost more than 8 % against every yardstick that can be had. Dermatome that became slower loses against all of them
alike. Where it lost against some alone, these have changed: virtual machines copy at half or twice the rate from one hour to the next,
and multiply and run PyTorch as ever. The price is that a loss hides while one of the rates is low; a rate that is far from the record's is
therefore told. A case that is lost is measured once more, and fails when it is lost again; so does one that cannot be run any more.

Medians of rounds are compared. The fastest steps are printed beside them, and decide where the rounds of a side that is compared, then or
now, fall into two states of the machine, so that its median says how often it was in which.

Where nothing can be compared (no record of the same processor and instruction set, fewer cores than its threads, or a record without the
PyTorch that is here and without rates) that is said, and the exit code is 77 (skipped). Standard library only.
"""
import argparse
import dataclasses
import os
import pathlib
import sys

import record
from sides import OURS, Case, Programs, compare

LIMIT = 0.08
MOVED = 0.25  # a rate of the machine that differs so much from the record's is told
TWO_STATES = 1.2  # the slowest round of a side over its fastest
SKIPPED = 77
MEDIANS = "images_per_second_median"
FASTEST = "images_per_second_best"


def case_of(fields):
    return Case(fields["mode"], fields["size"], fields["batch"], fields["type"])


def best_pytorch(fields):
    """The PyTorch side of a case that is fastest in the median, None without one."""
    speeds = {name: side[MEDIANS] for name, side in fields["sides"].items() if name.startswith("pytorch ") and "absent" not in side}
    return max(speeds, key=speeds.get) if speeds else None


def rates_of(fields):
    """The machine's own rates that a case of this type is compared with, by their names in a sentence."""
    rates = fields.get("rates") or {}
    keys = {"the copy bandwidth": "copy_bytes_per_second", "the matrix rate": f"matrix_{fields['type']}_flops"}
    return {name: rates[key] for name, key in keys.items() if rates.get(key)}


def yardsticks(fields, figure=MEDIANS):
    """Images a second of Dermatome over each thing that it can be compared with: PyTorch, and the machine's own rates."""
    ours = fields["sides"][OURS].get(figure)
    if ours is None:
        return {}
    ratios = {name: ours / rate for name, rate in rates_of(fields).items()}
    pytorch = best_pytorch(fields)
    if pytorch is not None and figure in fields["sides"][pytorch]:
        ratios = {"PyTorch": ours / fields["sides"][pytorch][figure], **ratios}
    return ratios


def usable_yardsticks(committed, same_pytorch, figure=MEDIANS):
    return {name: ratio for name, ratio in yardsticks(committed, figure).items() if same_pytorch or name != "PyTorch"}


def losses(committed, measured, same_pytorch, figure=MEDIANS):
    """Share lost against each yardstick that both have; positive is slower now."""
    before, now = usable_yardsticks(committed, same_pytorch, figure), yardsticks(measured, figure)
    return {name: 1 - now[name] / before[name] for name in before if name in now}


def has_two_states(fields, same_pytorch):
    """Whether the rounds of Dermatome, or of the PyTorch that it is compared with, are so far apart that no noise explains it."""
    names = [OURS, best_pytorch(fields)] if same_pytorch else [OURS]
    rounds = [fields["sides"][name].get("rounds") for name in names if name is not None]
    return any(max(seconds) > TWO_STATES * min(seconds) for seconds in rounds if seconds)


def is_lost(shares):
    return len(shares) > 0 and all(share > LIMIT for share in shares.values())


def text_of(shares):
    return ", ".join(f"{'lost' if share > 0 else 'won'} {abs(share):.1%} against {name}" for name, share in shares.items())


def line_of(fields, medians, fastest, by_fastest):
    """What a case lost by medians and by fastest steps, the deciding ones first."""
    if not medians:
        return f"{case_of(fields)!s:<34}nothing to compare with"
    line = f"{case_of(fields)!s:<34}{text_of(fastest if by_fastest else medians)}"
    if by_fastest:
        return f"{line} by the fastest steps, which decide because rounds lie in two states; by medians {text_of(medians)}"
    return f"{line}; by the fastest steps {text_of(fastest)}" if fastest else line


def moved_rates(committed, measured):
    """A sentence for each rate of the machine that is far from the record's."""
    before, now = rates_of(committed), rates_of(measured)
    return [f"  the machine is in another state than when the record was made: {name} is {now[name] / before[name]:.2f} times the record's"
            for name in before if name in now and abs(now[name] / before[name] - 1) > MOVED]


def recorded_cases(committed, pytorch_version):
    """Every case that Dermatome could do when it was recorded, and whether the PyTorch of that day is the one here."""
    for part in ("train", "inference"):
        about = committed.get(part, {"cases": [], "python": {}})
        same_pytorch = pytorch_version is not None and about["python"].get("torch") == pytorch_version
        yield from ((fields, same_pytorch) for fields in about["cases"] if "absent" not in fields["sides"][OURS])


def check_case(fields, same_pytorch, measure, say, cores):
    """What became of a case: "kept", "lost", or "incomparable". It is measured only where something can be compared, and twice when lost."""
    if fields["threads"] > cores:
        say(f"{case_of(fields)!s:<34}was recorded on {fields['threads']} threads, and {cores_text(cores)} here: skipped")
        return "incomparable"
    if not usable_yardsticks(fields, same_pytorch):
        say(line_of(fields, {}, {}, False))
        return "incomparable"
    for attempt in ("", "again: "):
        measured = measure(fields, same_pytorch)
        gone = measured["sides"][OURS].get("absent")
        if gone is not None:
            say(f"{attempt}{case_of(fields)!s:<34}cannot be run any more: {gone}")
            continue
        medians, fastest = (losses(fields, measured, same_pytorch, figure) for figure in (MEDIANS, FASTEST))
        by_fastest = len(fastest) > 0 and any(has_two_states(one, same_pytorch) for one in (fields, measured))
        say(attempt + line_of(fields, medians, fastest, by_fastest))
        for sentence in moved_rates(fields, measured):
            say(sentence)
        if not is_lost(fastest if by_fastest else medians):
            return "kept" if medians else "incomparable"
    return "lost"


def cores_text(cores):
    return "1 core is usable" if cores == 1 else f"{cores} cores are usable"


def why_incomparable(committed, pytorch_version, cores):
    """The sentence about a record with which nothing here can be compared."""
    cases = [fields for fields, _ in recorded_cases(committed, None)]
    if not cases:
        return "the record holds no case of training or inference"
    if all(fields["threads"] > cores for fields in cases):
        return f"the record was made on {min(fields['threads'] for fields in cases)} threads, and {cores_text(cores)} here"
    versions = sorted({committed[part]["python"].get("torch", "none") for part in ("train", "inference") if part in committed})
    rates = "has no rates of the machine" if not any(fields.get("rates") for fields in cases) else "has rates that this build does not measure"
    return f"the record {rates}, and its PyTorch ({', '.join(versions)}) could not be measured here (here: {pytorch_version or 'none'})"


def measurer(programs, rounds, round_seconds, say):
    def measure(fields, with_pytorch):
        names = [OURS, best_pytorch(fields)] if with_pytorch and best_pytorch(fields) else [OURS]
        here = dataclasses.replace(programs, threads=fields["threads"])
        rates = []
        take_rates = (lambda: rates.append(record.rates(here))) if rates_of(fields) else (lambda: None)
        sides, _ = compare(case_of(fields), names, here, rounds, round_seconds, say, take_rates)
        return {**fields, "sides": sides, "rates": record.median_of(rates) if rates else None}
    return measure


def judge(committed, pytorch_version, measure, say, cores):
    """The exit code: 0 kept, 1 lost twice, 77 where no case could be compared. `measure` turns a committed case into a new one."""
    results = [(str(case_of(fields)), check_case(fields, same_pytorch, measure, say, cores))
               for fields, same_pytorch in recorded_cases(committed, pytorch_version)]
    failed = [name for name, result in results if result == "lost"]
    incomparable = sum(result == "incomparable" for _, result in results)
    if incomparable == len(results):
        say(f"SKIPPED: {why_incomparable(committed, pytorch_version, cores)}; `make bench` renews it")
        return SKIPPED
    for name in failed:
        say(f"FAILED: {name} lost more than {LIMIT:.0%}, or could not be run, twice in a row")
    if incomparable:
        say(f"{incomparable} of {len(results)} cases could not be compared")
    if not failed:
        say(f"no case that was compared lost more than {LIMIT:.0%} twice in a row")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/dermatome")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--cache", default="~/.cache/dermatome/bench")
    parser.add_argument("--results", type=pathlib.Path, default=record.HERE / "results")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--round-seconds", type=float, default=0.5)
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    programs = Programs(pathlib.Path(arguments.binary).resolve(), pathlib.Path(arguments.python).expanduser(),
                        pathlib.Path(arguments.cache).expanduser(), cores)
    file = record.file_of(record.machine(record.information(programs.binary)), arguments.results)
    committed = record.load(file)
    if committed is None:
        print(f"SKIPPED: there is no {file}, so no record of this processor and instruction set; `make bench` writes one")
        return SKIPPED
    pytorch_version = record.python_versions(programs.python).get("torch")
    return judge(committed, pytorch_version, measurer(programs, arguments.rounds, arguments.round_seconds, print), print, cores)


if __name__ == "__main__":
    sys.exit(main())
