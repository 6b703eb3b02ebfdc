"""The experiments of Guth & de Campos 2018 at the size of a desk machine, and docs/paper.md from their results.

    make paper DATA=isic2017-256                       # or:
    python3 bench/paper.py --data isic2017-256 --binary build/dermatome

65 minutes on one core of an AMD EPYC (Zen 4, bf16) with the default --photographs and --epochs. Everything lies in runs/paper; a part whose results are there is
not run again, so that a run which was stopped goes on. Standard library only.

Parts: schedule  figure 1b, exact
       finder    figure 1a: linear and exponential sweeps, training and validation loss, encoder.early frozen or not
       folds     three folds with growing sizes, each alone and the ensemble, on a test part that no member saw (and on one they saw)
       ablations one thing changed at a time against the first fold, with the same photographs and about the same computing
       figures   curves, best and worst photographs, Jaccard by lesion size
       page      docs/paper.md
"""
import argparse
import json
import pathlib
import random
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
        self.pictures = options.page.resolve().parent / "paper"
        self.data = self.folder / "data"
        self.type = options.type or ("bf16" if "bf16" in self.said("info").split("instruction set", 1)[1].split("\n", 1)[0] else "f32")
        self.started = time.time()

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
            make()
        return result

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
        for name, settings in (("figure_1b", ["schedule=use_clr", "div=20", "cut_div=10"]), ("stlr", ["schedule=stlr"])):
            self.said("schedule", *settings, "lr=0.01", "--steps", 1000, "--plot", self.pictures / f"{name}.svg")

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
            self.tell(f"{FOLDS} folds")
            more = ["--resume"] if (folds / "folds.json").exists() else [*self.where(), "--folds", FOLDS, "--test-share", TEST_SHARE, recipe]
            self.network("train", "--run", folds, *more)
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
        self.network("report", self.folder / "folds/fold1", *(self.folder / name for name in list(ABLATIONS)[:5]), "--out",
                     self.folder / "comparison.html", "--figures", self.pictures / "ablations")

    def part_page(self):
        self.options.page.write_text(page(self))
        self.tell(f"written: {self.options.page}")

    def run(self):
        self.pictures.mkdir(parents=True, exist_ok=True)
        for part in ("data", "schedule", "finder", "folds", "ablations", "figures", "page"):
            getattr(self, f"part_{part}")()


# The page.

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


def finder_rows(study):
    rows = []
    for sweep in ("exponential", "linear"):
        for loss in ("training", "validation"):
            for state, words in (("all", "everything learns"), ("frozen", "encoder.early frozen")):
                name = f"finder_{sweep}_{loss}_{state}"
                lines = (study.folder / f"{name}.txt").read_text().splitlines()
                rate = next((line.removeprefix("lr = ") for line in lines if line.startswith("lr = ")), "none")
                rows.append(f"| {sweep} | {loss} | {words} | {rate} | [curve](paper/{name}.svg) |")
    return "\n".join(rows)


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

Written by `make paper` (bench/paper.py), which trains everything below anew. J. Guth and T. E. de Campos, "Skin lesion segmentation using U-Net and good
training strategies", arXiv 1811.11314.

What this is not: the paper's figures. They come from 2594 photographs of ISIC 2018 with an encoder that was trained on ImageNet, at up to 512 px. Here are
{study.count} photographs of ISIC 2017 at {SMALL} and {LARGE} px, from random weights, {first} and {second} epochs, {study.type}, on {info.get('processor', 'one machine')}.
So the table compares ways of training with each other, and nothing with the leaderboard.
With ISIC 2018 and torchvision's weights the whole recipe is

```
dermatome train --data ISIC2018 --weights resnet34-b627a593.pth --run runs/isic2018 --folds 3 --test-share 0.1 --preset paper
dermatome evaluate --run runs/isic2018 --data ISIC2018 --split runs/isic2018/fold1/split.csv --part test
```

## The schedule (figure 1b)

Exact: a slanted triangle that rises for a tenth of the steps. ![schedule](paper/figure_1b.svg)

## The learning-rate finder (figure 1a)

{study.options.sweep_steps} steps at {LARGE} px, batch 16. The paper's axis is linear and its label says validation loss; fastai's default is exponential and draws a running
average of the training loss.

| sweep | loss | | suggestion | |
|---|---|---|---|---|
{finder_rows(study)}

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
| the paper's ensemble, on its own validation part (ISIC 2018) | 0.8539 | 0.7843 | | | |
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
