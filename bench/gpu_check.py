"""Everything that only a machine with an NVIDIA GPU can prove about the GPU backend, in parts of a few minutes each.

    python3 bench/gpu_check.py --build build --python ~/.cache/dermatome/pytorch/bin/python [--only PART ...]

Parts, each merged into bench/results/<GPU>.json as it ends, so that a run can be stopped and continued part by part:
  tests      every GPU test: kernels against the reference, replayed against launched, bitwise reruns, training beside the CPU
  golden     the whole U-Net34 on the GPU against the reference device, node by node (--verify-nodes)
  resume     a run that is stopped and continued has the bits of one that was not
  memcheck   the kernels' tests under compute-sanitizer's memcheck
  racecheck  the same under racecheck
  steps      whole training and inference steps beside PyTorch's best configuration, with ratios and peak memory
  switches   training steps with and without the second branch, the recording, several steps a launch and each fusion
  operations convolutions of U-Net34 one by one (dermatome bench op)
  training   a training run on --data on GPU and CPU: Jaccard of both (skipped without --data)
  profile    the ten slowest nodes of a step, and their times under ncu where it is installed
What cannot be done here is written down as skipped, with the reason; the exit code is 1 where something failed. Standard library only.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PART_SECONDS = 590
# (mode, side, batch, the ratio to PyTorch's best that is asked for)
STEPS = [("train", 256, 64, 1.3), ("train", 512, 16, 1.3), ("train", 128, 8, 1.5), ("infer", 256, 64, 1.5), ("infer", 128, 8, 1.5)]
MEMORY_RATIO = 0.6
SWITCHES = [("--second-branch",), ("--no-capture",), ("--steps-per-launch", "8"), *(("--disable-pass", name) for name in
            ("restructured_decoder", "fuse_batch_norm_relu", "batch_norm_sums", "batch_norm_gradient_sums"))]
# shape, channels, kernel, stride: where U-Net34 spends its time
CONVOLUTIONS = [("64x64x64x64", 64, 3, 1), ("64x64x64x64", 128, 3, 2), ("64x32x32x128", 128, 3, 1), ("64x16x16x256", 256, 3, 1),
                ("64x8x8x512", 512, 3, 1), ("64x128x128x64", 128, 1, 1), ("64x256x256x3", 64, 7, 2)]


class Skipped(Exception):
    pass


def run(command, seconds=PART_SECONDS, **more):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=seconds, **more)


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def outcome_of(result):
    """Whether a test program passed, and its closing lines."""
    text = result.stdout + result.stderr
    failed = re.findall(r"^\[  FAILED  \] (\S+)", text, re.MULTILINE)
    passed = re.search(r"\[  PASSED  \] (\d+) test", text)
    return {"passed": result.returncode == 0 and passed is not None and int(passed.group(1)) > 0,
            "tests": int(passed.group(1)) if passed else 0, "failed": sorted(set(failed)), "last_line": last_line(text)}


def kill_in_the_middle(command, folder):
    """The steps that the run had logged when it was killed; None where it ended before."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    steps = folder / "steps.csv"
    while process.poll() is None:
        logged = len(steps.read_text().splitlines()) - 1 if steps.exists() else 0
        if logged >= 7:
            process.kill()
            process.wait()
            return logged
        time.sleep(0.01)
    return None


class Check:
    def __init__(self, options):
        self.options = options
        self.binary = options.build / "dermatome"
        self.tests = options.build / "dermatome_cuda_tests"

    def gpu(self):
        text = run([self.binary, "info"]).stdout
        found = re.search(r"^cuda:0\s+(.*)", text, re.MULTILINE)
        if not found:
            raise SystemExit("there is no GPU here: " + last_line("\n".join(line for line in text.splitlines() if line.startswith("GPU"))))
        return found.group(1).split(",")[0]

    def part_tests(self):
        return outcome_of(run([self.tests, "--gtest_filter=Cuda/OnGpu.*:GpuProgram.*:CudaMemory.*"]))

    def part_golden(self):
        result = run([self.binary, "bench", "step", "--device", "cuda", "--size", 64, "--batch", 2, "--seconds", 0.1, "--verify-nodes"])
        return {"passed": result.returncode == 0, "last_line": last_line(result.stderr)}

    def part_resume(self):
        with tempfile.TemporaryDirectory() as folder:
            common = [self.binary, "train", "--data", HERE.parent / "data/sample", "--device", "cuda", "--deterministic", "--threads", 1,
                      "size=64", "batch=8", "epochs=12", "checkpoint_every=2"]
            whole, part = pathlib.Path(folder, "whole"), pathlib.Path(folder, "part")
            first = run([*common, "--run", whole])
            if first.returncode:
                return {"passed": False, "last_line": last_line(first.stderr)}
            killed_at = kill_in_the_middle([str(word) for word in [*common, "--run", part]], part)
            again = run([self.binary, "train", "--run", part, "--resume", "--device", "cuda", "--deterministic", "--threads", 1])
            differ = [name for name in ("last.safetensors", "best.safetensors", "steps.csv")
                      if not (part / name).exists() or (whole / name).read_bytes() != (part / name).read_bytes()]
            return {"passed": again.returncode == 0 and killed_at is not None and not differ, "killed_at_step": killed_at,
                    "differ": differ, "last_line": last_line(again.stderr)}

    def sanitizer(self, tool):
        if not shutil.which("compute-sanitizer"):
            raise Skipped("compute-sanitizer is not installed")
        result = run(["compute-sanitizer", "--tool", tool, "--error-exitcode", 9, self.tests,
                      "--gtest_filter=Cuda/OnGpu.AgreesWithTheMeaningInF64/*"])
        return outcome_of(result)

    def part_memcheck(self):
        return self.sanitizer("memcheck")

    def part_racecheck(self):
        return self.sanitizer("racecheck")

    def ours(self, mode, size, batch, kind, *switches):
        result = run([self.binary, "bench", "step", "--device", "cuda", "--mode", mode, "--size", size, "--batch", batch,
                      "--type", kind, "--seconds", 5, "--json", "-", *switches])
        if result.returncode:
            return {"failed": last_line(result.stderr)}
        return json.loads(result.stdout)

    def theirs(self, mode, size, batch, kind):
        records = []
        for config in ("eager", "channels_last", "compile"):
            result = run([self.options.python, HERE / "pytorch/bench_step_gpu.py", "--mode", mode, "--size", size, "--batch", batch,
                          "--type", kind, "--config", config], cwd=HERE / "pytorch")
            records.append(json.loads(last_line(result.stdout)) if result.returncode == 0
                           else {"config": config, "failed": last_line(result.stderr)})
        return records

    def part_steps(self):
        cases = []
        for mode, size, batch, wanted in STEPS:
            ours, theirs = self.ours(mode, size, batch, "bf16"), self.theirs(mode, size, batch, "bf16")
            best = max((record for record in theirs if "failed" not in record), key=lambda record: record["images_per_second"], default=None)
            case = {"mode": mode, "size": size, "batch": batch, "type": "bf16", "wanted": wanted, "dermatome": ours, "pytorch": theirs}
            if best and "failed" not in ours:
                case["ratio"] = ours["images_per_second_best"] / best["images_per_second"]
                case["memory_ratio"] = ours["peak_buffer_bytes"] / min(record["peak_bytes"] for record in theirs if "failed" not in record)
            cases.append(case)
        return {"passed": all(case.get("ratio", 0) >= case["wanted"] and case.get("memory_ratio", 9) <= MEMORY_RATIO for case in cases),
                "memory_wanted": MEMORY_RATIO, "cases": cases}

    def part_switches(self):
        cases = []
        for size, batch in ((128, 8), (256, 64)):
            for switches in SWITCHES:
                before, record, after = (self.ours("train", size, batch, "bf16", *some) for some in ((), switches, ()))
                case = {"size": size, "batch": batch, "switches": " ".join(switches)}
                if any("failed" in each for each in (before, record, after)):
                    case["failed"] = [each.get("failed") for each in (before, record, after)]
                else:
                    plain = (before["images_per_second_best"] + after["images_per_second_best"]) / 2
                    case["ratio"] = record["images_per_second_best"] / plain
                cases.append(case)
        return {"passed": all("failed" not in case for case in cases), "cases": cases}

    def part_operations(self):
        records = []
        for shape, channels, kernel, stride in CONVOLUTIONS:
            result = run([self.binary, "bench", "op", "conv2d", "--device", "cuda", "--type", "bf16", "--shape", shape, "-a",
                          f"channels={channels}", "-a", f"kernel={kernel}", "-a", f"stride={stride}", "-a", f"pad={kernel // 2}",
                          "-a", "bias=false", "--pass", "both", "--json", "-"])
            records.append({"shape": shape, "channels": channels, "kernel": kernel, "stride": stride,
                            "result": json.loads(result.stdout) if result.returncode == 0 else last_line(result.stderr)})
        return {"passed": all(not isinstance(record["result"], str) for record in records), "operations": records}

    def part_training(self):
        if not self.options.data:
            raise Skipped("name a folder of photographs with --data")
        scores = {}
        with tempfile.TemporaryDirectory() as folder:
            for device, kind in (("cuda", "bf16"), ("cuda", "f32"), ("cpu", "f32")):
                path = pathlib.Path(folder, f"{device}-{kind}")
                result = run([self.binary, "train", "--data", self.options.data, "--run", path, "--device", device, "--type", kind,
                              "size=128", "batch=16", f"epochs={self.options.epochs}"], seconds=3600)
                rows = (path / "log.csv").read_text().splitlines() if result.returncode == 0 else []
                names = rows[0].split(",") if rows else []
                column = next((i for i, name in enumerate(names) if "validation" in name and "jaccard" in name and "thresholded" not in name), None)
                scores[f"{device} {kind}"] = float(rows[-1].split(",")[column]) if column is not None else last_line(result.stderr)
        numbers = [score for score in scores.values() if isinstance(score, float)]
        return {"passed": len(numbers) == 3 and max(numbers) - min(numbers) < 0.03, "jaccard": scores}

    def part_profile(self):
        command = [self.binary, "profile", "--device", "cuda", "--type", "bf16", "--size", 256, "--batch", 64]
        result = run([*command, "--json", "-"])
        if result.returncode:
            return {"passed": False, "last_line": last_line(result.stderr)}
        record = {"passed": True, "profile": json.loads(result.stdout)}
        if shutil.which("ncu"):
            slow = run(["ncu", "--csv", "--launch-count", 400, "--metrics", "gpu__time_duration.sum", *command])
            record["ncu"] = slow.stdout.splitlines()[-400:]
        else:
            record["ncu"] = "skipped: ncu is not installed"
        return record


PARTS = [name.removeprefix("part_") for name in vars(Check) if name.startswith("part_")]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--python", default=sys.executable, help="interpreter with PyTorch for CUDA")
    parser.add_argument("--data", help="folder of photographs and masks, for the part training")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--out", type=pathlib.Path, help="JSON file; by default bench/results/<GPU>.json")
    return parser.parse_args()


def main():
    options = parse_arguments()
    check = Check(options)
    gpu = check.gpu()
    path = options.out or HERE / "results" / (re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-") + ".json")
    record = json.loads(path.read_text()) if path.exists() else {"gpu": gpu, "parts": {}}
    record["info"] = run([check.binary, "info"]).stdout.splitlines()
    good = True
    for part in options.only:
        print(f"== {part}", flush=True)
        try:
            result = getattr(check, f"part_{part}")()
        except Skipped as reason:
            result = {"skipped": str(reason)}
        except subprocess.TimeoutExpired as error:
            result = {"passed": False, "last_line": f"took longer than {error.timeout:.0f} s"}
        good = good and ("skipped" in result or result["passed"])
        record["parts"][part] = result
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")
        print("   " + (f"skipped: {result['skipped']}" if "skipped" in result else "passed" if result["passed"] else "FAILED"), flush=True)
    print(f"written to {path}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
