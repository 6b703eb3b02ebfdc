"""Programs that only claim to be dermatome, its GPU tests, PyTorch and NVIDIA's tools. Each writes down what it was asked, and does what
the file behaviour.json says; nothing is computed. Standard library only."""
import json
import pathlib
import sys

START = f"""#!{sys.executable} -S
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).resolve().parent
behaviour = json.loads((here / "behaviour.json").read_text())
name, words = pathlib.Path(__file__).name, sys.argv[1:]
with open(here / "log", "a") as log:
    log.write(json.dumps({{"program": name, "words": words, "plans": os.environ.get("DERMATOME_PLANS"),
                          "shard": os.environ.get("GTEST_SHARD_INDEX")}}) + "\\n")
line = " ".join([name, *words])
def option(key, default=None):
    return words[words.index(key) + 1] if key in words else default
for part, sentence in behaviour.get("fail", {{}}).items():  # where all of its words are there
    if all(word in line.split() for word in part.split()):
        sys.exit(sentence)
for part, seconds in behaviour.get("hang", {{}}).items():
    if all(word in line.split() for word in part.split()):
        os.system(f"/bin/sleep {{seconds}}")  # a child, which would hold the output open
"""

DERMATOME = """
def node(index, op, seconds, bound):
    return {"index": index, "program": "step", "name": f"node {index}", "op": op, "kernel": "cudnn", "shape": "bf16[1]", "median_seconds": seconds,
            "fastest_seconds": seconds, "flops": 1, "bytes": 1, "bound_seconds": bound, "bound_by": "matrix"}
rates = {"copy_bytes_per_second": 1, "matrix_f32_flops_per_second": 1, "matrix_bf16_flops_per_second": 1}
if words[0] == "info":
    print(behaviour.get("info", "dermatome        0\\ncuda:0           NVIDIA Test GPU, 132 multiprocessors"))
elif words[:2] == ["bench", "step"]:
    rate = behaviour.get("block" if "--steps-per-launch" in words else "each", 100)
    print(json.dumps({"images_per_second_median": rate, "images_per_second_best": rate, "peak_buffer_bytes": behaviour.get("bytes", 50)}))
elif words[:2] == ["bench", "op"]:
    print(json.dumps({"kernels": [node(0, "conv2d", 2, 1)], **rates}))
elif words[0] == "profile":
    nodes = [node(0, "(prepare)", 99, 1), node(1, "adam", 50, 1)]
    nodes += [node(i, "conv2d" if i % 2 else "decoder_step", 10 + i, behaviour.get("bound", 0.7) * (10 + i)) for i in range(2, 20)]
    print(json.dumps({"nodes": nodes, "wall_seconds": 1, "kernel_seconds": 1, "bound_seconds": 1, **rates}))
elif words[0] == "train":
    run = pathlib.Path(option("--run"))
    run.mkdir(parents=True, exist_ok=True)
    resumed = "--resume" in words
    jaccard = behaviour.get("jaccard", {}).get(f"{option('--device')}:{option('--type')}", 0.8)
    (run / "log.csv").write_text(f"epoch,validation_jaccard,validation_thresholded_jaccard\\n1,{jaccard},0\\n2,{jaccard - 0.1},0\\n")
    if behaviour.get("plans", True):
        kept = {"format": 1, "plans": {"a": {"plan": "new" if resumed and behaviour.get("new_plans") else "old"}}}
        (run / "plans.json").write_text(json.dumps(kept))
        if not resumed or behaviour.get("asks_user"):
            if os.environ.get("DERMATOME_PLANS"):
                pathlib.Path(os.environ["DERMATOME_PLANS"]).write_text(json.dumps(kept))
    for weights in ("last.safetensors", "best.safetensors"):
        (run / weights).write_text("other" if resumed and behaviour.get("other_bits") else "bits")
    # Last: whoever kills this run waits for its steps.
    (run / "steps.csv").write_text("step,epoch,lr,loss\\n" + "0,0,0,0\\n" * behaviour.get("steps", 8))
    if run.name == "part" and not resumed and behaviour.get("steps", 8) > 7:
        time.sleep(30)  # until it is killed
elif words[0] == "predict":
    pathlib.Path(option("--out")).mkdir()
elif "--predictions" in words:
    different, lesion = behaviour.get("different", 0), behaviour.get("lesion", 4000)
    print(json.dumps({"per_image": [{"false_positive": different, "false_negative": 0, "true_positive": lesion,
                                     "true_negative": 100000 - lesion - different}]}))
elif words[0] == "evaluate":
    print("a line before")
    print(json.dumps({"jaccard": 0.8 + (behaviour.get("apart", 0) if option("--device") == "cuda" else 0)}))
"""

TESTS = """
if behaviour.get("failing"):
    print("[  FAILED  ] Cuda/OnGpu.X/conv2d, where GetParam() = 1 (3 ms)\\n[  PASSED  ] 4 tests.\\n[  FAILED  ] 1 test, listed below:")
    print("[  FAILED  ] Cuda/OnGpu.X/conv2d, where GetParam() = 1")
    sys.exit(1)
else:
    print(f"[  SKIPPED ] GpuProgram.X (0 ms)\\n[  PASSED  ] {behaviour.get('passed', 5)} tests.\\n[  SKIPPED ] 2 tests, listed below:")
"""

# An interpreter with PyTorch.
PYTHON = """
if words[0] == "-c":
    print("2.15.0", behaviour.get("sees", True))
else:
    config = option("--config")
    record = {"config": config, "peak_bytes": behaviour.get("peaks", {}).get(config, 100)}
    for way in ("each", "block"):
        record[way] = {"images_per_second_median": behaviour.get("theirs", {}).get(f"{config} {way}", 50)}
    if config in behaviour.get("pytorch_fails", {}):
        record = {"config": config, "failed": behaviour["pytorch_fails"][config]}
    print("something else")
    print(json.dumps(record))
    sys.exit("failed" in record)
"""

SANITIZER = """
print("========= COMPUTE-SANITIZER")
if behaviour.get("sanitizer", "clean") == "clean":
    print("[  PASSED  ] 5 tests.")
    print("========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)" if option("--tool") == "racecheck" else
          "========= ERROR SUMMARY: 0 errors")
elif behaviour["sanitizer"] == "found":
    print("[  PASSED  ] 5 tests.")
    print("========= Invalid __global__ write of size 4 bytes\\n========= ERROR SUMMARY: 3 errors")
    sys.exit(9)
elif behaviour["sanitizer"] == "device":
    print("========= Error: Device not supported")
    sys.exit(1)
else:
    print("[  PASSED  ] 5 tests.")
"""

NCU = """
metrics = option("--metrics").split(",")
index = int(option("--from-node"))
text = "==PROF== Connected\\n"
if behaviour.get("counters", True) and index not in behaviour.get("unseen", []):
    quoted = lambda row: ",".join(f'"{cell}"' for cell in row) + "\\n"
    text += quoted(["ID", "Kernel Name", *metrics]) + quoted(["", "", "ns", "%", "%"])
    text += quoted([0, f"kernel of {index}", "1,234.5", 50, 60])
elif not behaviour.get("counters", True):
    text += "==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters\\n"
pathlib.Path(option("--log-file")).write_text(text)
"""

PROGRAMS = {"dermatome": DERMATOME, "dermatome_cuda_tests": TESTS, "python": PYTHON, "compute-sanitizer": SANITIZER, "ncu": NCU}


def install(folder, without=()):
    """All programs but those, in the folder."""
    for name, text in PROGRAMS.items():
        if name not in without:
            (folder / name).write_text(START + text)
            (folder / name).chmod(0o755)
    behave(folder)


def behave(folder, **behaviour):
    (folder / "behaviour.json").write_text(json.dumps(behaviour))


def asked(folder):
    """What all programs were asked, in order."""
    log = pathlib.Path(folder) / "log"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
