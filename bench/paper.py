"""The experiments of Guth & de Campos 2018 at the size of a desk machine, and docs/paper.md from their results.

    make paper DATA=isic2017-256                       # or:
    python3 bench/paper.py --data isic2017-256 --binary build/dermatome

65 minutes on one core of an AMD EPYC (Zen 4, bf16) with the default --photographs and --epochs. Everything lies in runs/paper; a part whose results are there is
not run again, so that a run which was stopped goes on. The options lie beside the results, and other ones are refused. Standard library only.

Parts: schedule  figure 1b
       finder    figure 1a: linear and exponential sweeps, training and validation loss, encoder.early frozen or not
       folds     three folds with growing sizes, each alone and the ensemble, on a test part that no member saw (and on one they saw)
       ablations one thing changed at a time against the first fold, with the same photographs and about the same computing
       figures   curves, best and worst photographs, Jaccard by lesion size
       page      docs/paper.md, and the pictures that it names
"""
import argparse
import csv
import json
import math
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
FOLDS = 3
TEST_SHARE = 0.2
RESAMPLES = 10000
SMALL, LARGE = 64, 128  # sides in pixels; the paper has 128, 256 and 512
FIRST_RATE, LAST_RATE = 1e-5, 10  # of an exponential sweep, lr-find's own
LINEAR_LAST_RATE = 0.1
HIGH_LOSS = 0.8  # above cross-entropy's ln 2 of a network that knows nothing
DRAWN_ABLATIONS = 5  # beside the first fold: the report draws six curves at most

HEAD = """model = "unet34"
seed = 42
best_by = "dice"
"""
STAGE = """[[stage]]
size = {size}
batch = 16
epochs = {epochs}
schedule = "stlr"
lr = "find"
"""


def recipe_of(*stages):
    """Of sizes and epochs."""
    return HEAD + "".join(STAGE.format(size=size, epochs=epochs) for size, epochs in stages)


# What an ablation is called, what it says, and the recipe's text it is trained with, made of the epochs of both stages.
FIXED = "lr = 1e-3"


def baseline(first, second):
    return recipe_of((SMALL, first), (LARGE, second))


def one_size(first, second):
    # An epoch at a quarter of the pixels costs a quarter.
    return recipe_of((LARGE, second + max(1, round(first / 4))))


def with_line(line):
    return lambda first, second: baseline(first, second).replace('schedule = "stlr"', 'schedule = "stlr"\n' + line)


def frozen_first(first, second):
    """The paper's order at each size: encoder.early frozen for a third of the epochs, then batch norm frozen everywhere."""
    text = HEAD
    for size, epochs in ((SMALL, first), (LARGE, second)):
        third = max(1, epochs // 3)
        for count, line in ((third, 'frozen = ["encoder.early"]'), (epochs - third, 'batch_norm = "frozen"')):
            text += STAGE.format(size=size, epochs=count) + line + "\n"
    return text


ABLATIONS = {
    "one_size": (f"{LARGE} px from the start instead of {SMALL}, then {LARGE} px", one_size),
    "constant": ("constant rate instead of a slanted triangle",
                 lambda first, second: baseline(first, second).replace('"stlr"', '"constant"')),
    "fixed_rate": ("a rate of 0.001 instead of the finder's", lambda first, second: baseline(first, second).replace('lr = "find"', FIXED)),
    "log_jaccard": ("cross-entropy minus log J instead of cross-entropy", with_line('loss = "bce + log_jaccard"')),
    "colour": ("shades-of-gray colour constancy", lambda first, second: 'colour_constancy = "shades-of-gray"\n' + baseline(first, second)),
    "frozen": ("the paper's freezing, which is meant for trained weights", frozen_first),
}


class Study:
    def __init__(self, options):
        self.options = options
        self.folder = options.out.resolve()
        self.pictures = self.folder / "pictures"
        self.data = self.folder / "data"
        self.type = options.type or ("bf16" if "bf16" in self.said("info").split("instruction set", 1)[1].split("\n", 1)[0] else "f32")
        self.started = time.time()

    def made_with(self):
        """What results depend on, beside the photographs."""
        return {"photographs": self.options.photographs, "epochs": list(self.options.epochs), "sweep steps": self.options.sweep_steps,
                "type": self.type, "sizes": [SMALL, LARGE], "folds": FOLDS, "test share": TEST_SHARE, "version": self.said("--version").strip()}

    def check_options(self):
        """Stores the options in an empty folder; stops where the folder's results were made with others."""
        marker = self.folder / "options.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        now = self.made_with()
        if marker.exists():
            before = json.loads(marker.read_text())
            differing = [f"{name} {before.get(name)} instead of {value}" for name, value in now.items() if before.get(name) != value]
            if differing:
                sys.exit(f"{self.folder} was made with {', '.join(differing)}; name another --out, or remove it")
        elif any(self.folder.iterdir()):
            sys.exit(f"{self.folder} does not say with which options its results were made; name another --out, or remove it")
        marker.write_text(json.dumps(now, indent=1))

    # Running the binary.

    def said(self, *words):
        result = subprocess.run([self.options.binary, *map(str, words)], capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"dermatome {' '.join(map(str, words))}\n{result.stderr.strip()}")
        return result.stdout

    def network(self, *words):
        return self.said(*words, "--type", self.type)

    def tell(self, text):
        print(f"[{(time.time() - self.started) / 60:5.1f} min] {text}", flush=True)

    def once(self, result, make, what):
        """Runs `make` unless its result is there."""
        if not result.exists():
            self.tell(what)
            result.parent.mkdir(parents=True, exist_ok=True)
            self.timed(what, make)
        return result

    def seconds(self):
        path = self.folder / "seconds.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def timed(self, what, make):
        """Adds the time of `make` to seconds.json; null stays where an earlier attempt ended without saying how long it took."""
        def store(value):
            (self.folder / "seconds.json").write_text(json.dumps(self.seconds() | {what: value}, indent=1))
        before, start = self.seconds().get(what, 0), time.time()
        store(None)
        try:
            make()
        finally:
            if before is not None:
                store(before + time.time() - start)

    def minutes(self):
        """Of all parts, over all calls; None where one of them is unknown."""
        seconds = list(self.seconds().values())
        return None if not seconds or None in seconds else round(sum(seconds) / 60)

    # Parts.

    def part_data(self):
        """Links to as many photographs as were asked for, drawn with a fixed seed."""
        photographs = {path.stem: path for path in sorted(self.options.data.rglob("*.jpg")) if "superpixels" not in path.stem}
        masks = {path.stem.removesuffix("_segmentation"): path for path in sorted(self.options.data.rglob("*_segmentation.png"))}
        names = sorted(photographs.keys() & masks.keys())
        if len(names) < 30:
            sys.exit(f"{self.options.data} holds {len(names)} photographs with masks; 30 are the fewest, 900 the default")
        chosen = random.Random(20180619).sample(names, min(self.options.photographs, len(names)))
        marker = self.folder / "data.json"
        if marker.exists() and json.loads(marker.read_text()) != sorted(chosen):
            sys.exit(f"{self.folder} is about other photographs; name another --out, or remove it")
        for kind, files in (("images", photographs), ("masks", masks)):
            (self.data / kind).mkdir(parents=True, exist_ok=True)
            for name in chosen:
                link = self.data / kind / files[name].name
                if not link.exists():
                    link.symlink_to(files[name].resolve())
        marker.write_text(json.dumps(sorted(chosen)))
        self.count = len(chosen)

    def where(self):
        return ["--images", self.data / "images", "--masks", self.data / "masks"]

    def part_schedule(self):
        self.said("schedule", "schedule=use_clr", "div=20", "cut_div=10", "lr=0.01", "--steps", 1000, "--plot", self.pictures / "figure_1b.svg")

    def part_finder(self):
        for sweep, flags in (("exponential", []), ("linear", ["--linear"])):
            for loss, more in (("training", []), ("validation", ["--validation-loss"])):
                for state, settings in (("all", []), ("frozen", ['frozen=["encoder.early"]'])):
                    name = f"finder_{sweep}_{loss}_{state}"
                    said = self.folder / f"{name}.txt"
                    self.once(said, lambda: said.write_text(self.network(
                        "lr-find", *self.where(), *flags, *more, f"size={LARGE}", "batch=16", *settings, "--steps", self.options.sweep_steps,
                        "--plot", self.pictures / f"{name}.svg", "--csv", self.folder / f"{name}.csv")), name)

    def recipe(self, name, text):
        path = self.folder / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def part_folds(self):
        recipe = self.recipe("baseline", baseline(*self.options.epochs))
        folds = self.folder / "folds"
        if not (folds / "summary.csv").exists():
            more = ["--resume"] if (folds / "folds.json").exists() else [*self.where(), "--folds", FOLDS, "--test-share", TEST_SHARE, recipe]
            self.tell(f"{FOLDS} folds")
            self.timed(f"{FOLDS} folds", lambda: self.network("train", "--run", folds, *more))
        for fold in range(1, FOLDS + 1):
            self.scores(f"fold{fold}", folds / f"fold{fold}")
        self.scores("ensemble", folds)
        self.scores("ensemble_seen", folds, part="train")
        self.scores("ensemble_tta", folds, more=["--tta", "dihedral", "--fill-holes", "--keep-largest"])

    def split(self):
        return self.folder / "folds/fold1/split.csv"

    def scores(self, name, run, part="test", more=()):
        path = self.folder / f"{name}.json"
        self.once(path, lambda: self.network("evaluate", "--run", run, *self.where(), "--split", self.split(), "--part", part, *more,
                                             "--json", path), f"scores of {name}")
        return json.loads(path.read_text())

    def part_ablations(self):
        for name, (_, make) in ABLATIONS.items():
            run = self.folder / name
            recipe = self.recipe(name, make(*self.options.epochs))
            done = run / "done"
            more = ["--resume"] if (run / "last.safetensors").exists() else [*self.where(), "--split", self.split(), recipe]
            self.once(done, lambda: (self.network("train", "--run", run, *more), done.touch()), f"ablation {name}")
            self.scores(f"ablation_{name}", run)

    def part_figures(self):
        self.network("report", self.folder / "folds/fold1", "--figures", self.pictures)
        self.network("report", self.folder / "folds/fold1", *(self.folder / name for name in list(ABLATIONS)[:DRAWN_ABLATIONS]), "--out",
                     self.folder / "comparison.html", "--figures", self.pictures / "ablations")

    def part_page(self):
        text = page(self)
        for name in pictures_of(text):
            target = self.options.page.parent / "paper" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.pictures / name, target)
        self.options.page.write_text(text)
        self.tell(f"written: {self.options.page}")

    def run(self):
        self.check_options()
        self.pictures.mkdir(parents=True, exist_ok=True)
        for part in ("data", "schedule", "finder", "folds", "ablations", "figures", "page"):
            getattr(self, f"part_{part}")()


# The page.

def pictures_of(text):
    """The files of the folder paper that a page shows or links to."""
    return sorted(set(re.findall(r"\(paper/([^)]+)\)", text)))


def paired(scores, base):
    """Mean difference of the Jaccard index to `base`, photograph by photograph, and its 95 % bootstrap interval."""
    of_base = {image["id"]: image["jaccard"] for image in base["per_image"]}
    differences = [image["jaccard"] - of_base[image["id"]] for image in scores["per_image"]]
    draw = random.Random(1)
    means = sorted(statistics.fmean(draw.choices(differences, k=len(differences))) for _ in range(RESAMPLES))
    return statistics.fmean(differences), means[RESAMPLES * 25 // 1000], means[RESAMPLES * 975 // 1000]


def verdict(low, high):
    return "better" if low > 0 else "worse" if high < 0 else "no difference shown"


def row(name, scores, base=None):
    cells = [name, *(f"{scores[key]:.4f}" for key in ("jaccard", "thresholded_jaccard", "dice"))]
    if base is not None:
        mean, low, high = paired(scores, base)
        cells += [f"{mean:+.4f} ({low:+.4f} to {high:+.4f})", verdict(low, high)]
    return "| " + " | ".join(cells) + " |"


def suggestion(study, name):
    """As lr-find printed it, or None."""
    lines = (study.folder / f"{name}.txt").read_text().splitlines()
    return next((line.removeprefix("lr = ") for line in lines if line.startswith("lr = ")), None)


def step_of(sweep, rate, steps):
    """At which step of `steps` a sweep is at a rate."""
    share = rate / LINEAR_LAST_RATE if sweep == "linear" else math.log(rate / FIRST_RATE) / math.log(LAST_RATE / FIRST_RATE)
    return round(share * steps)


def finder_rows(study):
    rows = []
    for sweep in ("exponential", "linear"):
        for loss in ("training", "validation"):
            for state, words in (("all", "everything learns"), ("frozen", "encoder.early frozen")):
                name = f"finder_{sweep}_{loss}_{state}"
                rate = suggestion(study, name)
                step = "" if rate is None else step_of(sweep, float(rate), study.options.sweep_steps)
                rows.append(f"| {sweep} | {loss} | {words} | {rate or 'none'} | {step} | [curve](paper/{name}.svg) |")
    return "\n".join(rows)


def first_high(study, name):
    """The first rate of a sweep whose loss is above HIGH_LOSS, or None."""
    with open(study.folder / f"{name}.csv", newline="") as file:
        return next((float(line["rate"]) for line in csv.DictReader(file) if float(line["loss"]) > HIGH_LOSS), None)


def finder_remarks(study):
    steps = study.options.sweep_steps
    text = f"""A suggestion is the rate at which the smoothed loss falls steepest over log(rate), and there is none where the loss does not fall beyond the
noise between neighbouring steps ([more](recipes.md#finding-a-learning-rate)). A loss falls with the steps that were trained as well as with the rate,
and the sweeps come to a rate after different numbers of steps: at 0.001 the exponential one is at step {step_of("exponential", 1e-3, steps)} of {steps}, the linear one at step {step_of("linear", 1e-3, steps)}.
Below {LINEAR_LAST_RATE / steps:.3g}, its first rate above 0, a linear sweep of {steps} steps suggests nothing."""
    validation = [f"finder_linear_validation_{state}" for state in ("all", "frozen")]
    high = [first_high(study, name) for name in validation]
    if any(suggestion(study, name) for name in validation) or None in high:
        return text
    text += f"""
With validation loss the linear sweep suggests nothing: from rate {high[0]:.3g} on (with encoder.early frozen from {high[1]:.3g} on) single losses are above {HIGH_LOSS}
and jump from step to step, so that no fall stands out of the noise."""
    if all(first_high(study, name.replace("validation", "training")) is None for name in validation):
        text += f""" The training loss of the same sweep stays below {HIGH_LOSS}.
Both sweeps train the same steps; outside frozen groups a training batch is normalised with its own statistics, a validation batch with the running ones."""
    return text


def took(study):
    minutes = study.minutes()
    return "" if minutes is None else f"\nSweeps, training and scores took {minutes} minutes."


def drawn_ablations():
    drawn, left_out = list(ABLATIONS)[:DRAWN_ABLATIONS], list(ABLATIONS)[DRAWN_ABLATIONS:]
    text = f"""The first {len(drawn)} of these rows beside the first fold (`fold1`), by their names in the
picture: {', '.join(f'`{name}`' for name in drawn)}."""
    if not left_out:
        return text
    return text + f"\n{len(drawn) + 1} curves are the most that the report draws; not drawn: {'; '.join(ABLATIONS[name][0] for name in left_out)}."


def percent(share):
    return f"{100 * share:.2f} %"


# The paper's column holds what its text says, and nothing else.
def beside_the_paper(study, mean, ensemble, seen):
    first, second = study.options.epochs
    return f"""| | the paper | here |
|---|---|---|
| photographs | ISIC 2018: 2597 for training and 101 for validation, as it counts them | {study.count} of ISIC 2017, {ensemble['images']} of them for test alone |
| encoder starts from | weights of ImageNet | random weights |
| sizes | 128, then 256 px; 512 suggested | {SMALL}, then {LARGE} px |
| epochs | 30 a cycle | {first}, then {second} |
| BestDice | 75.5 % online, on the official validation set; which index is not said | mean of the folds on the test part: Jaccard {percent(mean['jaccard'])}, thresholded {percent(mean['thresholded_jaccard'])} |
| ensemble of 3 folds | on its own validation set: Jaccard 85.39 %, thresholded 78.43 % | on the test part: Jaccard {percent(ensemble['jaccard'])}, thresholded {percent(ensemble['thresholded_jaccard'])}; on photographs that two members were trained on: Jaccard {percent(seen['jaccard'])} |
| the abstract's figure | thresholded 77.5 %; of which network and part is not said | none |"""


def quarters(scores):
    return "\n".join(f"| {group['truth_share'][0]:.1%} to {group['truth_share'][1]:.1%} | {group['images']} | {group['jaccard']:.4f} "
                     f"({group['jaccard_interval_95'][0]:.4f} to {group['jaccard_interval_95'][1]:.4f}) |"
                     for group in scores.get("lesion_size_quarters", []))


def page(study):
    def read(name):
        return json.loads((study.folder / f"{name}.json").read_text())
    folds = [read(f"fold{fold}") for fold in range(1, FOLDS + 1)]
    ensemble, seen, tta = read("ensemble"), read("ensemble_seen"), read("ensemble_tta")
    mean = {key: statistics.fmean(fold[key] for fold in folds) for key in ("jaccard", "thresholded_jaccard", "dice")}
    deviation = {key: statistics.stdev(fold[key] for fold in folds) for key in mean}
    first, second = study.options.epochs
    info = {line.split(None, 1)[0]: line.split(None, 1)[1] for line in study.said("info").splitlines() if len(line.split(None, 1)) == 2}
    ablations = "\n".join(row(words, read(f"ablation_{name}"), folds[0]) for name, (words, _) in ABLATIONS.items())
    worst = "\n".join(f"![worst](paper/worst_{i}.jpg)" for i in range(1, 4) if (study.pictures / f"worst_{i}.jpg").exists())
    best = "\n".join(f"![best](paper/best_{i}.jpg)" for i in range(1, 4) if (study.pictures / f"best_{i}.jpg").exists())
    return f"""# Guth & de Campos 2018, again

Written by `make paper` (bench/paper.py) from the results in its folder: a part that has none there is trained, one that has is read. F. Guth and
T. E. de Campos, "Skin lesion segmentation using a U-Net and good training strategies", arXiv 1811.11314.

What this is not: the paper's figures. They come from ISIC 2018 with an encoder that was trained on ImageNet, at 128 and 256 px. Here are
{study.count} photographs of ISIC 2017 at {SMALL} and {LARGE} px, from random weights, {first} and {second} epochs, {study.type}, on {info.get('processor', 'one machine')}.
So the tables compare ways of training with each other, and nothing with the leaderboard.{took(study)}
With ISIC 2018 and torchvision's weights the whole recipe is

```
dermatome train --data ISIC2018 --weights resnet34-b627a593.pth --run runs/isic2018 --folds 3 --test-share 0.1 --preset paper
dermatome evaluate --run runs/isic2018 --data ISIC2018 --split runs/isic2018/fold1/split.csv --part test
```

## The paper's figures and these

{beside_the_paper(study, mean, ensemble, seen)}

The columns differ in photographs, weights and sizes, so that a difference between them says nothing about either. Not reproduced: the paper's own
figures, which need ISIC 2018 and weights of ImageNet, where `make paper` takes ISIC 2017 and random weights to run on one processor; 512 px, which the
paper suggests and found costly in GPU memory; the online scores, which the challenge computed on its official validation set.

## The schedule (figure 1b)

Drawn: `use_clr` with `div = 20` and `cut_div = 10`, fastai's slanted triangle, over 1000 steps up to a rate of 0.01. It rises from a twentieth of the
rate for a tenth of the steps, and falls back to it. The runs below use `stlr`, the same with `div = 32`, but for the one with a constant rate.

![schedule](paper/figure_1b.svg)

## The learning-rate finder (figure 1a)

{study.options.sweep_steps} steps at {LARGE} px, batch 16. The paper's axis is linear and its label says validation loss; fastai's default is exponential and draws a running
average of the training loss.

| sweep | loss | | suggestion | at step | |
|---|---|---|---|---|---|
{finder_rows(study)}

{finder_remarks(study)}

![exponential, training loss](paper/finder_exponential_training_all.svg)
![linear, training loss](paper/finder_linear_training_all.svg)

## Growing sizes

Loss and Jaccard index of the first fold; the line is where {LARGE} px begin.

![loss](paper/loss.svg)
![Jaccard index](paper/jaccard.svg)
![learning rate](paper/learning_rate.svg)

## One network or three

On the {ensemble['images']} photographs of the test part, which no member saw, scored at their stored size as the challenge does. A member is the epoch with the highest
Dice index on the validation part of its fold (the paper's BestDice). The last column is the difference to the first fold's network, photograph by photograph, with its 95 % bootstrap interval.

| | Jaccard | thresholded | Dice | difference | |
|---|---|---|---|---|---|
""" + "\n".join(row(f"BestDice, fold {i + 1}", fold, folds[0]) if i else row("BestDice, fold 1", fold) + " | |" for i, fold in enumerate(folds)) + f"""
| mean (sd) of the folds | {mean['jaccard']:.4f} ({deviation['jaccard']:.4f}) | {mean['thresholded_jaccard']:.4f} ({deviation['thresholded_jaccard']:.4f}) | {mean['dice']:.4f} ({deviation['dice']:.4f}) | | |
{row('ensemble', ensemble, folds[0])}
{row('ensemble, 8 views, largest region without holes', tta, folds[0])}

The same ensemble on photographs that two of its three members were trained on: {seen['jaccard']:.4f}. An ensemble of folds that is scored on the data of its folds shows
that number, and it says nothing about new photographs.

| lesion's share of the photograph | photographs | Jaccard of the ensemble |
|---|---|---|
{quarters(ensemble)}

![Jaccard by lesion size, first fold](paper/area.svg)

## One thing changed

Each run starts from the same random weights as the first fold, sees the same photographs, and costs about as much computing. One seed each: what depends on luck
of the seed is not in the intervals, which are about photographs.

| instead | Jaccard | thresholded | Dice | difference | |
|---|---|---|---|---|---|
{row('(the first fold)', folds[0])} | |
{ablations}

Jaccard index on the validation part by epoch. {drawn_ablations()}

![Jaccard index by epoch](paper/ablations/jaccard.svg)

## Best and worst

Green: the true outline; magenta: the predicted one; white: both.

{best}

{worst}
"""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of photographs and masks of ISIC 2017, at about 256 px")
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "build/dermatome")
    parser.add_argument("--out", type=pathlib.Path, default=REPOSITORY / "runs/paper")
    parser.add_argument("--page", type=pathlib.Path, default=REPOSITORY / "docs/paper.md", help="pictures go into the folder paper beside it")
    parser.add_argument("--photographs", type=int, default=900)
    parser.add_argument("--epochs", type=int, nargs=2, default=(12, 12), metavar=("FIRST", "SECOND"), help="of the two sizes")
    parser.add_argument("--sweep-steps", type=int, default=100)
    parser.add_argument("--type", choices=("f32", "bf16"), help="of activations; by default bf16 where the processor has it")
    options = parser.parse_args()
    if not options.binary.exists() and not shutil.which(str(options.binary)):
        parser.error(f"there is no {options.binary}; build it with `make build`")
    if not options.data.is_dir():
        parser.error(f"{options.data} is no folder")
    return options


if __name__ == "__main__":
    Study(parse_arguments()).run()
