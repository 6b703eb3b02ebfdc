"""The programs that the benchmarks compare: how each is started, and how they take turns.

A side is a process that stays warm and answers "run K" with the seconds of K steps; only one side computes at a time. A side that
cannot do a case (a type it does not offer, a program that is not installed) says why and is reported as absent.
"""
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
OURS = "dermatome"
OTHERS_LIMIT = 0.03  # one busy process slows the sides down, and not alike
PYTORCH_CONFIGS = ("nchw", "channels_last", "compile")


@dataclasses.dataclass(frozen=True)
class Case:
    mode: str  # train or infer
    size: int
    batch: int
    type: str  # f32 or bf16

    def __str__(self):
        return f"{self.mode} {self.size} px batch {self.batch} {self.type}"


@dataclasses.dataclass(frozen=True)
class Programs:
    """Where the programs are. `cache` keeps compiled kernels and exported nets between runs."""
    binary: pathlib.Path
    python: pathlib.Path
    cache: pathlib.Path
    threads: int

    def environment(self, threads=None):
        return {**os.environ, "OMP_NUM_THREADS": str(threads or self.threads), "TORCHINDUCTOR_CACHE_DIR": str(self.cache / "inductor")}

    def ours(self, *arguments):
        return [str(self.binary), *map(str, arguments)]

    def script(self, name, *arguments):
        return [str(self.python), str(HERE / "pytorch" / name), *map(str, arguments)]


class Absent(Exception):
    """Why a side cannot take part."""


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it ended without a word"


class Side:
    """A benchmark process that waits for work."""

    def __init__(self, name, command, environment):
        self.name = name
        self.rounds = []
        self.peak = 0
        self.errors = tempfile.TemporaryFile(mode="w+")
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                            env=environment, cwd=HERE.parent)
        except OSError as error:
            raise Absent(str(error)) from error
        self.settings = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        raise Absent(last_line(self.errors.read()))

    def run(self, steps):
        self.process.stdin.write(f"run {steps}\n")
        self.process.stdin.flush()
        result = self.answer()
        self.peak = max(self.peak, result.get("peak_rss_bytes", 0))
        return result["seconds"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()
        self.errors.close()

    def result(self, batch):
        return {"images_per_second_median": batch / statistics.median(statistics.median(times) for times in self.rounds),
                "images_per_second_best": batch / min(min(times) for times in self.rounds),
                "peak_rss_bytes": self.peak, "rounds": [statistics.median(times) for times in self.rounds],
                "settings": {key: value for key, value in self.settings.items() if key != "ready"}}


def onnx_file(case, programs):
    """U-Net34 as ONNX at the case's shape, exported once."""
    path = programs.cache / f"unet34_{case.size}_{case.batch}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        command = programs.script("export_onnx.py", "--size", case.size, "--batch", case.batch, "--threads", programs.threads, "--out", path)
        result = subprocess.run(command, env=programs.environment(), capture_output=True, text=True)
        if result.returncode != 0:
            raise Absent("the net could not be exported: " + last_line(result.stderr))
    return path


def command_of(name, case, programs, threads=None):
    """The command of a side: "dermatome", "pytorch CONFIG", "onnxruntime" or "openvino"."""
    common = ["--size", case.size, "--batch", case.batch, "--type", case.type, "--threads", threads or programs.threads, "--rounds-server"]
    if name == OURS:
        return programs.ours("bench", "step", "--model", "unet34", "--mode", case.mode, *common)
    if name.startswith("pytorch "):
        return programs.script("bench_step.py", "--mode", case.mode, "--config", name.removeprefix("pytorch "), *common)
    return programs.script("bench_runtime.py", "--runtime", name, "--onnx", onnx_file(case, programs), *common)


def peers_of(case):
    yield from (f"pytorch {config}" for config in PYTORCH_CONFIGS)
    if case.mode == "infer":
        yield "onnxruntime"
        yield "openvino"


def processor_seconds(pids):
    """Processor time of the whole machine, stolen time included, and of these processes."""
    ticks = os.sysconf("SC_CLK_TCK")
    user, nice, system, _, _, irq, softirq, steal = map(int, pathlib.Path("/proc/stat").read_text().split(None, 9)[1:9])
    own = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        own += int(fields[11]) + int(fields[12])
    return (user + nice + system + irq + softirq + steal) / ticks, own / ticks


def take_turns(sides, rounds, round_seconds, before_round=lambda: None):
    """Rounds A, B, C, A, B, C: each side steps for about round_seconds in each. Rounds in which others used more than OTHERS_LIMIT of the
    machine are repeated, as many again at most, and the quietest stay. Returns the share of the machine that others used in those.
    `before_round` runs in front of each round and counts as nobody's."""
    pids = [os.getpid(), *(side.process.pid for side in sides)]
    steps = {side.name: max(2, round(round_seconds / statistics.median(side.run(2)))) for side in sides}
    measured = []  # others' processor seconds, seconds, and each side's steps, of a round
    while sum(others_share(*one[:2]) <= OTHERS_LIMIT for one in measured) < rounds and len(measured) < 2 * rounds:
        before_round()
        start, (all_before, own_before) = time.monotonic(), processor_seconds(pids)
        times = [side.run(steps[side.name]) for side in sides]
        all_after, own_after = processor_seconds(pids)
        measured.append(((all_after - all_before) - (own_after - own_before), time.monotonic() - start, times))
    quietest = sorted(range(len(measured)), key=lambda index: others_share(*measured[index][:2]))[:rounds]
    kept = [measured[index] for index in sorted(quietest)]
    for _, _, times in kept:
        for side, seconds in zip(sides, times):
            side.rounds.append(seconds)
    return others_share(sum(others for others, _, _ in kept), sum(seconds for _, seconds, _ in kept))


def others_share(others, seconds):
    """Processor seconds of others, as the share of what the machine's cores have in so long."""
    return max(0.0, others / (seconds * len(os.sched_getaffinity(0))))


def report_others(share, report):
    if share > OTHERS_LIMIT:
        report(f"  other programs used {share:.0%} of the machine even in the quietest rounds: measure this again when it is quiet")


def compare(case, names, programs, rounds, round_seconds, report, before_round=lambda: None):
    """Images a second of each side that can take part, {"absent": reason} of the others; and the share of the machine that was not ours."""
    sides, results = [], {}
    try:
        for name in names:
            try:
                sides.append(Side(name, command_of(name, case, programs), programs.environment()))
            except Absent as reason:
                results[name] = {"absent": str(reason)}
                report(f"  {name} is left out: {reason}")
        others = take_turns(sides, rounds, round_seconds, before_round)
    finally:
        for side in sides:
            side.stop()
    report_others(others, report)
    results.update({side.name: side.result(case.batch) for side in sides})
    return {name: results[name] for name in names}, others
