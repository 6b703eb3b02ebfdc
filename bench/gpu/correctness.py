"""Whether the GPU computes the right thing: its tests, node by node, a resumed run, and NVIDIA's checkers of memory and races."""
import json
import re
import shutil
import subprocess
import time

from gpu.base import MASKS, PHOTOGRAPHS, SAMPLE, Failed, OutOfTime, Part, Skipped, end_group
from sides import last_line

TESTS = {"kernels": "Cuda/OnGpu.*", "programs": "GpuProgram.*", "memory": "CudaMemory.*", "products": "GpuProducts.*"}
GOLDEN = "Cuda/Golden*"
SANITIZED = "Cuda/OnGpu.AgreesWithTheMeaningInF64/*"
SHARDS = 4  # of the kernels' cases, each a unit
KILLED_BEHIND = 7  # steps, so that a checkpoint lies before and the next one after
FEW = 8  # photographs under a sanitizer
KEPT_LINES = 60  # of what a sanitizer found


def outcome_of(result):
    """How the tests of a program went."""
    text = result.stdout + result.stderr
    failed = sorted(set(re.findall(r"^\[  FAILED  \] ([^\s,.]+\.[^\s,]+)", text, re.MULTILINE)))
    counts = {word: re.search(rf"\[  {word} +\] (\d+) test", text) for word in ("PASSED", "SKIPPED")}
    found = {"tests": int(counts["PASSED"].group(1)) if counts["PASSED"] else 0,
             "skipped": int(counts["SKIPPED"].group(1)) if counts["SKIPPED"] else 0}
    if failed:
        found["failed"] = "failed: " + ", ".join(failed)
    elif result.returncode:
        found["failed"] = f"the tests ended with {result.returncode}: {last_line(text)}"
    elif not found["tests"]:
        found["failed"] = "no test ran"
    return found


def run_tests(machine, unit):
    return outcome_of(machine.run([machine.test_program(), f"--gtest_filter={TESTS[unit]}"]))


def run_golden(machine, unit):
    return outcome_of(machine.run([machine.test_program(), f"--gtest_filter={GOLDEN}"]))


def run_nodes(machine, unit):
    machine.ours("bench", "step", "--device", "cuda", "--mode", unit, "--size", 64, "--batch", 2, "--seconds", 0.1, "--verify-nodes")
    return {}


def kill_in_the_middle(machine, command, folder, environment):
    """Kills a training once it has logged some steps; gives how many."""
    process = machine.start(command, environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    steps = folder / "steps.csv"
    try:
        while process.poll() is None:
            logged = len(steps.read_text().splitlines()) - 1 if steps.exists() else 0
            if logged >= KILLED_BEHIND:
                return logged
            if machine.left() < 0:
                raise OutOfTime
            time.sleep(0.01)
    finally:
        end_group(process)
    raise Failed(f"the run that was to be killed behind step {KILLED_BEHIND} had ended before, with {process.returncode}")


def plans_of(file):
    return json.loads(file.read_text())["plans"] if file.exists() else {}


def run_resume(machine, unit):
    """The resumed run may not find plans in the user's file: those that lie in its folder must do."""
    common = ["--device", "cuda", "--deterministic", "--threads", 1]
    settings = ["--data", SAMPLE, "size=64", "batch=8", "epochs=12", "checkpoint_every=2"]
    folder = machine.work / "resume"
    folder.mkdir()
    whole, part, again = folder / "whole", folder / "part", folder / "again.json"
    known = {"DERMATOME_PLANS": str(folder / "known.json")}
    machine.ours("train", *common, *settings, "--run", whole, environment=known)
    killed_at = kill_in_the_middle(machine, [machine.binary, "train", *common, *settings, "--run", part], part, known)
    stored = plans_of(part / "plans.json")
    machine.ours("train", *common, "--run", part, "--resume", environment={"DERMATOME_PLANS": str(again)})
    kept = plans_of(part / "plans.json")
    changed = [key for key in stored if kept.get(key) != stored[key] or key in plans_of(again)]
    differ = [name for name in ("last.safetensors", "best.safetensors", "steps.csv")
              if not (part / name).exists() or (whole / name).read_bytes() != (part / name).read_bytes()]
    found = {"killed_at_step": killed_at, "plans": len(stored), "plans_chosen_anew": len(changed), "differ": differ}
    if differ:
        found["failed"] = f"other bits than in a run that was not stopped: {', '.join(differ)}"
    elif not stored:
        found["failed"] = "the run stored no plans"
    elif changed:
        found["failed"] = f"{len(changed)} of {len(stored)} plans that the run had stored were chosen anew"
    return found


def sanitized(machine, checker, command, environment):
    """What compute-sanitizer says about a program."""
    tool = machine.tool("compute-sanitizer")
    result = machine.run([tool, "--tool", checker, "--error-exitcode", 9, "--target-processes", "all", *command], environment)
    lines = [line for line in (result.stdout + result.stderr).splitlines() if line.startswith("=========")]
    text = "\n".join(lines)
    if "Device not supported" in text:
        raise Skipped("compute-sanitizer does not serve this machine: Device not supported")
    summaries = re.findall(r"SUMMARY: (\d+) (?:errors?|hazards?)", text)
    found = {"summary": next((line for line in reversed(lines) if "SUMMARY" in line), None)}
    if not summaries:  # a program that it did not watch has no finding either
        found["failed"] = f"{checker} gave no summary; the program ended with {result.returncode}: {last_line(result.stdout + result.stderr)}"
    elif any(int(count) for count in summaries):
        found["failed"] = f"{checker} found something: {found['summary'].lstrip('= ')}"
        found["lines"] = lines[:KEPT_LINES]
    return found, result


def sanitized_kernels(machine, checker, shard):
    program = machine.test_program()
    environment = {"GTEST_TOTAL_SHARDS": str(SHARDS), "GTEST_SHARD_INDEX": str(int(shard) - 1)}
    found, result = sanitized(machine, checker, [program, f"--gtest_filter={SANITIZED}"], environment)
    return {**outcome_of(result), **found}


def few_photographs(folder):
    """A data set of the first photographs of the sample."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for photograph in sorted(PHOTOGRAPHS.glob("*.jpg"))[:FEW]:
        shutil.copy(photograph, folder / "images")
        shutil.copy(MASKS / f"{photograph.stem}_segmentation.png", folder / "masks")
    return ["--images", folder / "images", "--masks", folder / "masks"]


def sanitized_training(machine, checker):
    """A few steps and a validation. The plans are chosen before: a sanitizer would watch every candidate."""
    machine.tool("compute-sanitizer")
    folder = machine.work / checker
    data = few_photographs(folder / "data")
    known = {"DERMATOME_PLANS": str(folder / "plans.json")}
    command = ["train", *data, "--validation-share", 0.25, "--device", "cuda", "--threads", 1, "size=64", "batch=2", "epochs=1"]
    machine.ours(*command, "--run", folder / "before", environment=known)
    found, result = sanitized(machine, checker, [machine.binary, *command, "--run", folder / "watched"], known)
    if result.returncode and "failed" not in found:
        found["failed"] = f"the training ended with {result.returncode}: {last_line(result.stderr)}"
    return found


def sanitizer_part(checker, about):
    def run(machine, unit):
        kind, _, shard = unit.partition(":")
        return sanitized_kernels(machine, checker, shard) if kind == "kernels" else sanitized_training(machine, checker)
    return Part(checker, about, (*(f"kernels:{shard}" for shard in range(1, SHARDS + 1)), "training"), run)


PARTS = (
    Part("tests", "every GPU test: kernels against the reference, replayed against launched, bitwise reruns, training beside the CPU",
         tuple(TESTS), run_tests),
    Part("golden", "U-Net34 against PyTorch's golden numbers", ("unet34",), run_golden),
    Part("nodes", "U-Net34 on the GPU, each node beside the reference device (--verify-nodes)", ("train", "infer"), run_nodes),
    Part("resume", "a run that is killed and resumed, with the plans that it stored, has the bits of one that was not", ("killed",), run_resume),
    sanitizer_part("memcheck", "compute-sanitizer's memcheck over the kernels' tests and a short training"),
    sanitizer_part("racecheck", "compute-sanitizer's racecheck over the same"),
)
