"""Fails when Dermatome has lost speed against the committed record of this kind of machine.

    python3 bench/check.py --binary build/dermatome --python ~/.cache/dermatome/pytorch/bin/python

Every case of the record is measured anew in interleaved rounds and compared as a ratio, never in images a second. The yardstick is
PyTorch's best configuration where the interpreter has the very version of the record; elsewhere the machine's own rates, and a case
counts as lost when it lost against the copy bandwidth and against the matrix rate alike (against one of them alone, the machine has
changed). A case that lost more than 8 % is measured once more and fails when it lost again; one that cannot be run any more fails too.
Where nothing can be compared (no record of the same processor and instruction set, or one without the PyTorch that is here and without
rates) that is said, and the exit code is 77 (skipped). Standard library only.
"""
import argparse
import os
import pathlib
import sys

import record
from sides import OURS, Case, Programs, compare

LIMIT = 0.08
SKIPPED = 77


def case_of(fields):
    return Case(fields["mode"], fields["size"], fields["batch"], fields["type"])


def best_pytorch(fields):
    """The fastest PyTorch side of a case, None without one."""
    speeds = {name: side["images_per_second_median"] for name, side in fields["sides"].items()
              if name.startswith("pytorch ") and "absent" not in side}
    return max(speeds, key=speeds.get) if speeds else None


def yardsticks(fields):
    """Images a second of Dermatome over each thing that it can be compared with: PyTorch, and the machine's own rates."""
    ours = fields["sides"][OURS].get("images_per_second_median")
    if ours is None:
        return {}
    ratios = {}
    pytorch = best_pytorch(fields)
    if pytorch is not None:
        ratios["PyTorch"] = ours / fields["sides"][pytorch]["images_per_second_median"]
    rates = fields.get("rates") or {}
    for name, key in (("the copy bandwidth", "copy_bytes_per_second"), ("the matrix rate", f"matrix_{fields['type']}_flops")):
        if rates.get(key):
            ratios[name] = ours / rates[key]
    return ratios


def usable_yardsticks(committed, same_pytorch):
    return {name: ratio for name, ratio in yardsticks(committed).items() if same_pytorch or name != "PyTorch"}


def losses(committed, measured, same_pytorch):
    """Share lost against each yardstick that both have; positive is slower now."""
    before, now = usable_yardsticks(committed, same_pytorch), yardsticks(measured)
    return {name: 1 - now[name] / before[name] for name in before if name in now}


def is_lost(shares):
    """PyTorch decides alone where it is at hand; the machine's own rates only together."""
    if "PyTorch" in shares:
        return shares["PyTorch"] > LIMIT
    return len(shares) > 0 and all(share > LIMIT for share in shares.values())


def line_of(fields, shares):
    text = ", ".join(f"{'lost' if share > 0 else 'won'} {abs(share):.1%} against {name}" for name, share in shares.items())
    return f"{case_of(fields)!s:<34}{text or 'nothing to compare with'}"


def recorded_cases(committed, pytorch_version):
    """Every case that Dermatome could do when it was recorded, and whether the PyTorch of that day is the one here."""
    for part in ("train", "inference"):
        about = committed.get(part, {"cases": [], "python": {}})
        same_pytorch = pytorch_version is not None and about["python"].get("torch") == pytorch_version
        yield from ((fields, same_pytorch) for fields in about["cases"] if "absent" not in fields["sides"][OURS])


def check_case(fields, same_pytorch, measure, say):
    """What became of a case: "kept", "lost", or "incomparable". It is measured only where something can be compared, and twice when lost."""
    if not usable_yardsticks(fields, same_pytorch):
        say(line_of(fields, {}))
        return "incomparable"
    for attempt in ("", "again: "):
        measured = measure(fields, same_pytorch)
        gone = measured["sides"][OURS].get("absent")
        if gone is not None:
            say(f"{attempt}{case_of(fields)!s:<34}cannot be run any more: {gone}")
            continue
        shares = losses(fields, measured, same_pytorch)
        say(attempt + line_of(fields, shares))
        if not is_lost(shares):
            return "kept" if shares else "incomparable"
    return "lost"


def why_incomparable(committed, pytorch_version):
    """The sentence about a record with which nothing here can be compared."""
    cases = [fields for fields, _ in recorded_cases(committed, None)]
    if not cases:
        return "the record holds no case of training or inference"
    versions = sorted({committed[part]["python"].get("torch", "none") for part in ("train", "inference") if part in committed})
    rates = "has no rates of the machine" if not any(fields.get("rates") for fields in cases) else "has rates that this build does not measure"
    return f"the record {rates}, and its PyTorch ({', '.join(versions)}) could not be measured here (here: {pytorch_version or 'none'})"


def measurer(programs, rounds, round_seconds, say):
    def measure(fields, with_pytorch):
        names = [OURS, best_pytorch(fields)] if with_pytorch and best_pytorch(fields) else [OURS]
        rates = record.rates(programs)
        sides, _ = compare(case_of(fields), names, programs, rounds, round_seconds, say)
        return {**fields, "sides": sides, "rates": rates}
    return measure


def judge(committed, pytorch_version, measure, say):
    """The exit code: 0 kept, 1 lost twice, 77 where no case could be compared. `measure` turns a committed case into a new one."""
    results = [(str(case_of(fields)), check_case(fields, same_pytorch, measure, say))
               for fields, same_pytorch in recorded_cases(committed, pytorch_version)]
    failed = [name for name, result in results if result == "lost"]
    incomparable = sum(result == "incomparable" for _, result in results)
    if incomparable == len(results):
        say(f"SKIPPED: {why_incomparable(committed, pytorch_version)}; `make bench` renews it")
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
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--round-seconds", type=float, default=0.5)
    arguments = parser.parse_args()
    programs = Programs(pathlib.Path(arguments.binary).resolve(), pathlib.Path(arguments.python).expanduser(),
                        pathlib.Path(arguments.cache).expanduser(), arguments.threads)
    file = record.file_of(record.machine(record.information(programs.binary)), arguments.results)
    committed = record.load(file)
    if committed is None:
        print(f"SKIPPED: there is no {file}, so no record of this processor and instruction set; `make bench` writes one")
        return SKIPPED
    pytorch_version = record.python_versions(programs.python).get("torch")
    return judge(committed, pytorch_version, measurer(programs, arguments.rounds, arguments.round_seconds, print), print)


if __name__ == "__main__":
    sys.exit(main())
