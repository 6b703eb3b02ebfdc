"""What the parts of bench/gpu_check.py share: how programs are run within the time of a part, what a part is, and how results are kept."""
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
from typing import Callable

from sides import last_line

HERE = pathlib.Path(__file__).resolve().parents[1]
SAMPLE = HERE.parent / "data/sample"
PHOTOGRAPHS = SAMPLE / "ISIC-2017_Training_Data"
MASKS = SAMPLE / "ISIC-2017_Training_Part1_GroundTruth"
FORMAT = 2  # of the results
LEAST_SECONDS = 20  # with less left of a part's time, nothing is started any more
TOOLKITS = ("/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer")  # where NVIDIA's tools lie when they are not on the path
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Skipped(Exception):
    """Why something cannot be done here."""


class Failed(Exception):
    """What went wrong, in a sentence."""


class OutOfTime(Exception):
    """The part's time was over before a program had ended."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A part is made of units, which are run one by one and can be asked for one by one."""
    name: str
    about: str
    units: tuple[str, ...]
    run: Callable  # (machine, unit) -> what was found; the key "failed" says what is wrong with it
    judge: Callable = lambda units: []  # the targets that all units together meet or miss
    complete: Callable = lambda units: units  # the units that belong to those that were asked for


def target(what, found, least=None, most=None, **more):
    """A figure beside what is asked for."""
    met = (least is None or found >= least) and (most is None or found <= most)
    return {"what": what, "found": found, "wanted": least if most is None else most, "wanted_is": "least" if most is None else "most",
            "met": met, **more}


def target_text(judged):
    relation = "at least" if judged["wanted_is"] == "least" else "at most"
    return f"target {'met' if judged['met'] else 'MISSED'}: {judged['what']}: {judged['found']:.3g}, {relation} {judged['wanted']:.3g} is wanted"


def end_group(process):
    """Ends a program with all that it started: a profiler's target would run on without it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.communicate()


class Machine:
    """The programs under test and the clock of a part. `work` is a folder for what only this call needs."""

    def __init__(self, options, work):
        self.build = options.build.resolve()
        self.binary = self.build / "dermatome"
        self.python = options.python
        self.data = options.data
        self.epochs = options.epochs
        self.work = pathlib.Path(work)
        self.part_seconds = options.part_seconds
        self.without_pytorch = None  # not asked yet; then why it is not there, or nothing
        self.start_part()

    def start_part(self):
        self.end = time.monotonic() + self.part_seconds

    def left(self):
        return self.end - time.monotonic()

    def run(self, command, environment=None, cwd=None):
        """The ended program, with its output as text."""
        process = self.start(command, environment, cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, errors = process.communicate(timeout=max(1, self.left()))
        except subprocess.TimeoutExpired:
            end_group(process)
            raise OutOfTime from None
        except BaseException:
            end_group(process)
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, errors)

    def start(self, command, environment=None, cwd=None, **streams):
        words = [str(word) for word in command]
        try:
            return subprocess.Popen(words, text=True, errors="replace", cwd=cwd, env={**os.environ, **(environment or {})},
                                    start_new_session=True, **streams)
        except OSError as error:
            raise Failed(f"{words[0]} cannot be started: {error.strerror}") from error

    def ours(self, *words, **more):
        """What `dermatome ...` printed."""
        result = self.run([self.binary, *words], **more)
        if result.returncode:
            raise Failed(f"dermatome {words[0]} ended with {result.returncode}: {last_line(result.stderr)}")
        return result.stdout

    def our_json(self, *words, **more):
        text = self.ours(*words, "--json", "-", **more)
        try:
            return json.loads(text[text.index("{"):])
        except ValueError:
            raise Failed(f"dermatome {words[0]} printed no JSON, but: {last_line(text)}") from None

    def step(self, mode, size, batch, kind, *switches):
        """Timed steps on the GPU."""
        return self.our_json("bench", "step", "--device", "cuda", "--mode", mode, "--size", size, "--batch", batch, "--type", kind,
                             "--seconds", 5, *switches)

    def profile(self, mode, size, batch, seconds=3):
        return self.our_json("profile", "--device", "cuda", "--mode", mode, "--size", size, "--batch", batch, "--type", "bf16",
                             "--seconds", seconds)

    def test_program(self):
        program = self.build / "dermatome_cuda_tests"
        if not program.exists():
            raise Skipped(f"there is no {program}; it is built with the tests")
        return program

    def tool(self, name):
        found = shutil.which(name) or next((path for folder in TOOLKITS if (path := shutil.which(name, path=folder))), None)
        if not found:
            raise Skipped(f"{name} is not installed")
        return found

    def pytorch(self):
        """The interpreter, where it has PyTorch and that sees the GPU. It is asked once."""
        if self.without_pytorch is None:
            try:
                self.ask_pytorch()
                self.without_pytorch = ""
            except Skipped as reason:
                self.without_pytorch = str(reason)
        if self.without_pytorch:
            raise Skipped(self.without_pytorch)
        return self.python

    def ask_pytorch(self):
        program = "import torch; print(torch.__version__, torch.cuda.is_available())"
        try:
            result = self.run([self.python, "-c", program])
        except Failed as reason:
            raise Skipped(f"PyTorch cannot be asked, because {reason}; name its interpreter with --python") from None
        if result.returncode:
            raise Skipped(f"{self.python} has no PyTorch ({last_line(result.stderr)}); name an interpreter that has with --python")
        version, sees = result.stdout.split()[-2:]
        if sees != "True":
            raise Skipped(f"PyTorch {version} of {self.python} sees no GPU")


def outcome(machine, part, unit):
    """What a unit found, its state, and in a sentence what was wrong or missing."""
    limit = machine.left()
    if limit < min(LEAST_SECONDS, machine.part_seconds / 2):
        return {"state": SKIPPED, "why": f"the part's {machine.part_seconds:.0f} s are over; --only {part.name}:{unit} goes on"}
    try:
        found = part.run(machine, unit)
    except Skipped as reason:
        return {"state": SKIPPED, "why": str(reason)}
    except Failed as reason:
        return {"state": FAILED, "why": str(reason)}
    except OutOfTime:
        if limit < 0.9 * machine.part_seconds:
            return {"state": SKIPPED, "why": f"the {limit:.0f} s that were left of the part were too few; --only {part.name}:{unit} goes on"}
        return {"state": FAILED, "why": f"it took longer than {machine.part_seconds:.0f} s"}
    except (KeyError, IndexError, TypeError, ValueError, OSError) as error:
        return {"state": FAILED, "why": f"its results cannot be read: {type(error).__name__}: {error}"}
    why = found.pop("failed", None)
    return {"state": FAILED, "why": why, **found} if why else {"state": PASSED, **found}


def merge(record, part, unit, result):
    """Puts a result into the record. What could not be done now takes nothing away that was found before."""
    entry = record["parts"].setdefault(part.name, {"units": {}})
    before = entry["units"].get(unit)
    if before is None or before["state"] == SKIPPED or result["state"] != SKIPPED:
        entry["units"][unit] = result
    entry["targets"] = part.judge({name: kept for name, kept in entry["units"].items() if kept["state"] == PASSED})
