"""The record of a machine: one JSON file for each processor and instruction set, which grows part by part."""
import datetime
import json
import os
import pathlib
import platform
import re
import shlex
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
FORMAT = 2


def machine(information):
    text = pathlib.Path("/proc/cpuinfo").read_text()
    found = [re.search(rf"^{name}\s*: (.*)$", text, re.MULTILINE) for name in ("model name", "cpu family", "model")]
    name, family, model = (match.group(1) if match else None for match in found)
    # Virtual machines call processors of several generations by one name.
    generation = f" (family {family}, model {model})" if family and model else ""
    return {"processor": (name or platform.processor()) + generation,
            "instruction_set": information.get("instruction set", "unknown"),
            "cores": len(os.sched_getaffinity(0)), "kernel": platform.release()}


def information(binary):
    """What `dermatome info` says, by its first column."""
    text = subprocess.run([str(binary), "info"], capture_output=True, text=True, check=True).stdout
    return {line[:17].strip(): line[17:].strip() for line in text.splitlines() if line.strip()}


def rates(programs):
    """The machine's own copy bandwidth and matrix rates, as `dermatome bench machine` measures them; ends the program where it cannot."""
    command = programs.ours("bench", "machine", "--threads", programs.threads, "--json", "-")
    try:
        result = subprocess.run(command, capture_output=True, text=True, env=programs.environment())
        if result.returncode == 0:
            return json.loads(result.stdout)
        why = result.stderr.strip() or f"exit code {result.returncode}"
    except (OSError, ValueError) as error:
        why = str(error)
    sys.exit(f"{' '.join(command)} measured no rates, without which nothing here compares with another day: {why}")


def median_of(rates):
    """Of several measurements of the machine's rates, each rate in the median."""
    measured = [name for name in rates[0] if name.endswith(("_flops", "_per_second"))]
    return {**rates[0], **{name: statistics.median(one[name] for one in rates) for name in measured}}


def compiler_of(build):
    """Name and version of the C++ compiler that CMake found for a build folder; None where it says nothing."""
    for file in sorted(build.glob("CMakeFiles/*/CMakeCXXCompiler.cmake")):
        found = dict(re.findall(r'^set\(CMAKE_CXX_COMPILER_(ID|VERSION) "(.*)"\)$', file.read_text(), re.MULTILINE))
        if "VERSION" in found:
            return f"{found.get('ID', 'unknown')} {found['VERSION']}"
    return None


def options_of(command):
    """What of a compiler's command changes the code: neither names, nor folders, nor warnings."""
    options, words = [], iter(shlex.split(command)[1:])
    for word in words:
        if word in ("-o", "-c", "-I", "-isystem", "-D"):
            next(words, None)
        elif word.startswith("-") and not word.startswith(("-I", "-D", "-W")):
            options.append(word)
    return " ".join(options)


def kernel_flags(build):
    """The options that the CPU kernels of each instruction set are compiled with, from the build's own list of commands."""
    commands = build / "compile_commands.json"
    if not commands.exists():
        return {}
    entries = [entry["command"] for entry in json.loads(commands.read_text())]
    by_set = [(re.search(r"-DDERMATOME_ISA=(\w+)", command), command) for command in entries]
    return {found.group(1): options_of(command) for found, command in by_set if found}


def build_flags(binary):
    """Compiler, its version, and flags of the build beside the binary; `kernels` by instruction set."""
    build = pathlib.Path(binary).parent
    cache = build / "CMakeCache.txt"
    if not cache.exists():
        return {}
    wanted = ("CMAKE_BUILD_TYPE", "CMAKE_CXX_COMPILER", "CMAKE_CXX_FLAGS", "CMAKE_CXX_FLAGS_RELEASE", "DERMATOME_ONEDNN", "DERMATOME_SANITIZE")
    entries = dict(re.findall(r"^(\w+):\w+=(.*)$", cache.read_text(), re.MULTILINE))
    flags = {name: entries[name] for name in wanted if entries.get(name)}
    more = {"compiler": compiler_of(build), "kernels": kernel_flags(build)}
    return {**flags, **{name: value for name, value in more.items() if value}}


def python_versions(python):
    """Versions of what the peers run on; empty where there is no such interpreter."""
    program = ("import importlib.metadata as m, json, sys\n"
               "names = ('torch', 'numpy', 'onnx', 'onnxruntime', 'openvino', 'pillow', 'safetensors')\n"
               "have = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n"
               "print(json.dumps({'python': sys.version.split()[0], **{n: have[n] for n in names if n in have}}))")
    try:
        return json.loads(subprocess.run([str(python), "-c", program], capture_output=True, text=True, check=True).stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return {}


def commit(folder=HERE):
    """The commit of the tree, marked "-dirty" where anything but the records, which measuring writes, differs from it."""
    def git(*words):
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True, cwd=folder).stdout.strip()
    try:
        name = git("describe", "--always")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ":(top)", ":(top,exclude)bench/results")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{name}-dirty" if changed else name


def warning_of(name):
    """The sentence about a record of this commit that cannot be made again; None for one that can."""
    if name is None:
        return "git names no commit here, so the record does not say what was measured"
    if name.endswith("-dirty"):
        return f"the tree differs from its commit, so the record is marked {name} and nobody can build what was measured: commit and measure again"
    return None


def circumstances(programs):
    """What a part was measured with: stored beside its figures, because parts may be measured on different days."""
    return {"date": datetime.date.today().isoformat(), "commit": commit(), "dermatome": information(programs.binary),
            "flags": build_flags(programs.binary), "threads": programs.threads, "python": python_versions(programs.python),
            "environment": {name: value for name, value in os.environ.items() if name.startswith(("OMP_", "DERMATOME_", "MALLOC_"))}}


def file_of(machine_record, folder=HERE / "results"):
    words = f"{machine_record['processor']} {machine_record['instruction_set']}"
    return folder / (re.sub(r"[^A-Za-z0-9]+", "-", words).strip("-").lower() + ".json")


def load(path):
    """The record in the file; None where there is none or it has another layout."""
    if not path.exists():
        return None
    record = json.loads(path.read_text())
    return record if record.get("format") == FORMAT else None


def save(path, record):
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1) + "\n")
    os.replace(part, path)


def case_key(case):
    return tuple(case.get(name) for name in ("axis", "mode", "size", "batch", "type", "threads", "photograph"))


def merge_cases(old, new):
    """Cases measured again replace the old ones in their place; new ones follow."""
    fresh = {case_key(case): case for case in new}
    merged = [fresh.pop(case_key(case), case) for case in old]
    return merged + list(fresh.values())
