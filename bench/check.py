"""Fails when Dermatome has lost speed against the committed record of this kind of machine.

    python3 bench/check.py --binary build/dermatome --python ~/.cache/dermatome/pytorch/bin/python

Every case of the record is measured anew in interleaved rounds and compared as a ratio, never in images a second. The yardstick is
PyTorch's best configuration where the interpreter has the very version of the record; elsewhere the machine's own rates, and a case
counts as lost when it lost against the copy bandwidth and against the matrix rate alike (against one of them alone, the machine has
changed). A case that lost more than 8 % is measured once more and fails when it lost again. Without a record of the same processor and
instruction set there is nothing to compare with: that is said, and the exit code is 77 (skipped). Standard library only.
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


def losses(committed, measured, same_pytorch):
    """Share lost against each yardstick that both have; positive is slower now."""
    before, now = yardsticks(committed), yardsticks(measured)
    if not same_pytorch:
        before.pop("PyTorch", None)
    return {name: 1 - now[name] / before[name] for name in before if name in now}


def is_lost(shares):
    """PyTorch decides alone where it is at hand; the machine's own rates only together."""
    if "PyTorch" in shares:
        return shares["PyTorch"] > LIMIT
    return len(shares) > 0 and all(share > LIMIT for share in shares.values())


def line_of(fields, shares):
    text = ", ".join(f"{'lost' if share > 0 else 'won'} {abs(share):.1%} against {name}" for name, share in shares.items())
    return f"{case_of(fields)!s:<34}{text or 'nothing to compare with'}"


def check(committed, pytorch_version, measure, say):
    """Measures every case, the lost ones twice; the names of those that failed. `measure` turns a committed case into a new one."""
    failed = []
    for part in ("train", "inference"):
        about = committed.get(part, {"cases": [], "python": {}})
        same_pytorch = pytorch_version is not None and about["python"].get("torch") == pytorch_version
        for fields in about["cases"]:
            if not yardsticks(fields):
                continue
            for attempt in ("", "again: "):
                shares = losses(fields, measure(fields, same_pytorch), same_pytorch)
                say(attempt + line_of(fields, shares))
                if not is_lost(shares):
                    break
            else:
                failed.append(str(case_of(fields)))
    return failed


def measurer(programs, rounds, round_seconds, say):
    def measure(fields, with_pytorch):
        names = [OURS, best_pytorch(fields)] if with_pytorch and best_pytorch(fields) else [OURS]
        rates = record.rates(programs)
        sides, _ = compare(case_of(fields), names, programs, rounds, round_seconds, say)
        return {**fields, "sides": sides, "rates": rates}
    return measure


def judge(committed, pytorch_version, measure, say):
    """The exit code: 0 kept, 1 lost twice."""
    failed = check(committed, pytorch_version, measure, say)
    for name in failed:
        say(f"FAILED: {name} lost more than {LIMIT:.0%} twice in a row")
    if not failed:
        say(f"no case lost more than {LIMIT:.0%} twice in a row")
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
