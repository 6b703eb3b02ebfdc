"""Whether what users get from a GPU is what they get from the processor: masks, scores, and the Jaccard index of a training."""
from gpu.base import PHOTOGRAPHS, SAMPLE, Failed, Part, Skipped, target

TYPES = ("f32", "bf16")
# The way of predicting: how many runs, and more options.
WAYS = {"single": (1, ()), "ensemble": (2, ()), "tta": (1, ("--tta", "dihedral"))}
# Rounding moves what lies next to the threshold: the share of all pixels that may differ from the processor's f32 masks, and the mean
# Jaccard index.
PIXELS = {"f32": 0.001, "bf16": 0.02}
JACCARD = {"f32": 0.002, "bf16": 0.02}
SMALL = ("size=64", "batch=8", "epochs=12")
TRAINING_NOISE = 0.03  # between the Jaccard indices of two trainings that round differently
REFERENCE = "cpu:f32"


def runs(machine, count):
    """Options that name runs, which the processor trained on the sample."""
    words = []
    for seed in range(1, count + 1):
        folder = machine.work / f"run-{seed}"
        if not (folder / "done").exists():
            machine.ours("train", "--data", SAMPLE, "--run", folder, "--overwrite", "--device", "cpu", "--seed", seed, *SMALL)
            (folder / "done").touch()
        words += ["--run", folder]
    return words


def options_of(machine, way):
    count, more = WAYS[way]
    return [*runs(machine, count), *more]


def predicted(machine, way, device, kind):
    out = machine.work / f"masks-{way}-{device}-{kind}"
    done = out.with_suffix(".done")
    if not done.exists():
        machine.ours("predict", PHOTOGRAPHS, "--out", out, "--device", device, "--type", kind, *options_of(machine, way))
        done.touch()
    return out


def run_predict(machine, unit):
    """The masks of both, pixel by pixel, as `evaluate` counts them."""
    way, kind = unit.split(":")
    theirs, ours = predicted(machine, way, "cpu", "f32"), predicted(machine, way, "cuda", kind)
    images = machine.our_json("evaluate", "--device", "cpu", "--predictions", ours, "--truth", theirs)["per_image"]

    def count(*names):
        return sum(image[name] for image in images for name in names)
    different = count("false_positive", "false_negative")
    everything = different + count("true_positive", "true_negative")
    lesion = count("true_positive", "false_negative")
    found = {"masks": len(images), "share_of_different_pixels": different / everything, "share_of_lesion": lesion / everything}
    if found["share_of_different_pixels"] > PIXELS[kind]:
        found["failed"] = f"{different / everything:.4%} of the pixels are not the processor's, more than {PIXELS[kind]:.1%}"
    elif lesion in (0, everything):
        found["failed"] = "the processor's masks are all of one value, so equal ones say nothing"
    return found


def run_evaluate(machine, unit):
    way, kind = unit.split(":")
    scores = {}
    for device, of_type in (("cpu", "f32"), ("cuda", kind)):
        scores[device] = machine.our_json("evaluate", "--data", SAMPLE, "--device", device, "--type", of_type,
                                          *options_of(machine, way))["jaccard"]
    found = {"jaccard": scores, "difference": scores["cuda"] - scores["cpu"]}
    if not abs(found["difference"]) <= JACCARD[kind]:
        found["failed"] = f"Jaccard {scores['cuda']:.4f}, on the processor {scores['cpu']:.4f}: more than {JACCARD[kind]} apart"
    return found


def run_training(machine, unit):
    if not machine.data:
        raise Skipped("name a folder of photographs with --data")
    device, kind = unit.split(":")
    folder = machine.work / f"training-{device}-{kind}"
    machine.ours("train", "--data", machine.data, "--run", folder, "--device", device, "--type", kind, "size=128", "batch=16",
                 f"epochs={machine.epochs}")
    header, *rows = [line.split(",") for line in (folder / "log.csv").read_text().splitlines()]
    if not rows:
        raise Failed("the training logged no epoch")
    column = header.index("validation_jaccard")
    return {"epochs": len(rows), "jaccard": max(float(row[column]) for row in rows)}


def judge_training(units):
    """The GPU's best epoch beside the processor's, of trainings of equal length."""
    reference = units.get(REFERENCE)
    return [target(f"best validation Jaccard of {name.replace(':', ' ')} less that of {REFERENCE.replace(':', ' ')}",
                   unit["jaccard"] - reference["jaccard"], least=-TRAINING_NOISE)
            for name, unit in units.items() if reference and name != REFERENCE and unit["epochs"] == reference["epochs"]]


WAY_UNITS = tuple(f"{way}:{kind}" for way in WAYS for kind in TYPES)
PARTS = (
    Part("predict", "masks of the sample beside the processor's: one run, an ensemble, test-time augmentation", WAY_UNITS, run_predict),
    Part("evaluate", "scores of the sample beside the processor's, in the same ways", WAY_UNITS, run_evaluate),
    Part("training", "a training on --data on GPU and processor: Jaccard of both (skipped without --data)",
         ("cuda:bf16", "cuda:f32", REFERENCE), run_training, judge_training),
)
