"""Speed of Dermatome beside PyTorch's in one run: warm processes take turns, and one table of ratios is printed.

Every side is a process that answers "run K" with the seconds of K steps, so all sides of a case are warm and are timed within the same
minutes; only one computes at a time. A side's speed is the median over its rounds; the ratio compares Dermatome with the best PyTorch
configuration of the same type. Standard library only; PyTorch runs under the interpreter given by --python.

    python3 bench/run.py --binary build/dermatome --python ~/.cache/dermatome/pytorch/bin/python
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CASES = [("train", 128, 8), ("train", 256, 4), ("infer", 128, 8), ("infer", 256, 4)]
PYTORCH_CONFIGS = ("nchw", "channels_last", "compile")


class Side:
    """A benchmark process that waits for work."""

    def __init__(self, name, command, threads):
        self.name = name
        self.rounds = []
        self.peak = 0
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=HERE.parent)
        self.answer()  # the line that says it is ready

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended early")
        return json.loads(line)

    def run(self, steps):
        self.process.stdin.write(f"run {steps}\n")
        self.process.stdin.flush()
        result = self.answer()
        self.peak = result.get("peak_rss_bytes", self.peak)
        return result["seconds"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)


def sides_of(case, arguments):
    mode, size, batch = case
    common = ["--size", str(size), "--batch", str(batch), "--mode", mode, "--threads", str(arguments.threads), "--rounds-server"]
    yield "dermatome", [str(pathlib.Path(arguments.binary).resolve()), "bench", "step", "--model", "unet34", "--type", "f32", *common]
    for config in PYTORCH_CONFIGS:
        yield f"pytorch {config}", [arguments.python, str(HERE / "pytorch" / "bench_step.py"), "--type", "f32", "--config", config, *common]


def measure(case, arguments):
    """Images a second of each side: median over rounds of the median step, and the best step."""
    _, _, batch = case
    sides = []
    try:
        for name, command in sides_of(case, arguments):
            try:
                sides.append(Side(name, command, arguments.threads))
            except (RuntimeError, OSError, ValueError) as error:
                print(f"  {name} is left out: {error}", file=sys.stderr)
        steps = {side.name: max(2, round(arguments.round_seconds / statistics.median(side.run(3)))) for side in sides}
        for _ in range(arguments.rounds):
            for side in sides:
                side.rounds.append(side.run(steps[side.name]))
    finally:
        for side in sides:
            side.stop()
    return {
        side.name: {
            "images_per_second_median": batch / statistics.median(statistics.median(times) for times in side.rounds),
            "images_per_second_best": batch / min(min(times) for times in side.rounds),
            "peak_rss_bytes": side.peak,
            "rounds": [statistics.median(times) for times in side.rounds],
        }
        for side in sides
    }


def machine():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", text)
    return {"processor": model.group(1) if model else platform.processor(), "cores": len(os.sched_getaffinity(0)), "kernel": platform.release()}


def information(binary):
    text = subprocess.run([binary, "info"], capture_output=True, text=True, check=True).stdout
    return {line[:17].strip(): line[17:].strip() for line in text.splitlines() if line.strip()}


def print_table(results):
    print(f"\n{'case':<24}{'side':<22}{'images/s':>10}{'best':>9}{'peak MiB':>10}{'ratio':>8}")
    for result in results:
        ours = result["sides"]["dermatome"]["images_per_second_median"]
        for name, side in result["sides"].items():
            ratio = "" if name == "dermatome" else f"{ours / side['images_per_second_median']:.2f}"
            case = f"{result['mode']} {result['size']} px batch {result['batch']}"
            print(f"{case:<24}{name:<22}{side['images_per_second_median']:>10.2f}{side['images_per_second_best']:>9.2f}"
                  f"{side['peak_rss_bytes'] / 2**20:>10.0f}{ratio:>8}")
        if result["ratio_to_best_pytorch"] is not None:
            print(f"{'':<24}{'against the best':<22}{'':>29}{result['ratio_to_best_pytorch']:>8.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/dermatome")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--round-seconds", type=float, default=3)
    parser.add_argument("--cases", help="for example train:128:8,infer:256:4")
    parser.add_argument("--out", help="JSON file; by default bench/results/<processor>.json")
    arguments = parser.parse_args()
    cases = CASES
    if arguments.cases:
        cases = [(mode, int(size), int(batch)) for mode, size, batch in (case.split(":") for case in arguments.cases.split(","))]
    results = []
    for case in cases:
        mode, size, batch = case
        print(f"{mode} {size} px batch {batch} on {arguments.threads} threads", file=sys.stderr)
        sides = measure(case, arguments)
        peers = [side["images_per_second_median"] for name, side in sides.items() if name != "dermatome"]
        ratio = sides["dermatome"]["images_per_second_median"] / max(peers) if peers else None
        results.append({"mode": mode, "size": size, "batch": batch, "type": "f32", "threads": arguments.threads, "sides": sides,
                        "ratio_to_best_pytorch": ratio})
    print_table(results)
    versions = subprocess.run([arguments.python, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True)
    record = {"date": datetime.date.today().isoformat(), "machine": machine(), "dermatome": information(arguments.binary),
              "pytorch": versions.stdout.strip() or None, "rounds": arguments.rounds, "round_seconds": arguments.round_seconds,
              "results": results}
    name = re.sub(r"[^A-Za-z0-9]+", "-", record["machine"]["processor"]).strip("-").lower()
    instruction_set = record["dermatome"].get("instruction set", "").replace("+", "-")
    out = pathlib.Path(arguments.out) if arguments.out else HERE / "results" / f"{name}-{instruction_set}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\nwritten to {out}")


if __name__ == "__main__":
    main()
