"""Whether training with bf16 activations ends where f32 does: the same recipe, photographs and seeds in both types.

300 steps of U-Net34 from random weights: 1200 photographs to train on, 200 to validate (those of bench/pytorch/split_200.csv), batch 8,
2 epochs. Printed: mean loss of the last 50 steps and the best validation Jaccard of each run, and the difference of the types beside the
spread between seeds. Runs that lie in --out already are not repeated, so that it can be done in pieces. Standard library only.

    python3 bench/bf16_training.py --data isic2017-256 --out runs/bf16
"""
import argparse
import csv
import json
import pathlib
import statistics
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
TRAINING_PHOTOGRAPHS = 1200
BATCH = 8
EPOCHS = 2
LAST_STEPS = 50


def write_split(path):
    """Photographs beyond the first 1200 to train on are kept out as a test part."""
    with open(HERE / "pytorch" / "split_200.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    seen = 0
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "part"])
        for row in rows:
            seen += row["part"] == "train"
            writer.writerow([row["image"], "test" if row["part"] == "train" and seen > TRAINING_PHOTOGRAPHS else row["part"]])


def train(arguments, run, kind, seed):
    split = arguments.out / "split.csv"
    write_split(split)
    command = [arguments.binary, "train", "--data", arguments.data, "--run", run, "--split", split, "--overwrite", "--type", kind,
               "--seed", seed, "--threads", arguments.threads, f"size={arguments.size}", f"batch={BATCH}", f"epochs={EPOCHS}"]
    subprocess.run([str(word) for word in command], check=True)


def result_of(run):
    with open(run / "steps.csv", newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    with open(run / "log.csv", newline="") as file:
        epochs = list(csv.DictReader(file))
    if len(epochs) < EPOCHS:
        return None
    return {"steps": len(losses), "loss": statistics.mean(losses[-LAST_STEPS:]),
            "jaccard": max(float(row["validation_jaccard"]) for row in epochs)}


def finished(run):
    return (run / "log.csv").exists() and result_of(run) is not None


def print_table(results, size):
    kinds = sorted(results)
    print(f"U-Net34, {size} px, batch {BATCH}: mean loss of the last {LAST_STEPS} of "
          f"{next(iter(results[kinds[0]].values()))['steps']} steps, best validation Jaccard\n")
    print(f"{'seed':>6}" + "".join(f"{kind + ' loss':>12}{kind + ' Jaccard':>14}" for kind in kinds))
    for seed in sorted(results[kinds[0]]):
        print(f"{seed:>6}" + "".join(f"{results[kind][seed]['loss']:>12.4f}{results[kind][seed]['jaccard']:>14.4f}" for kind in kinds))
    for name, statistic in (("mean", statistics.mean), ("sd", lambda values: statistics.stdev(values) if len(values) > 1 else 0.0)):
        print(f"{name:>6}" + "".join(
            f"{statistic([r['loss'] for r in results[kind].values()]):>12.4f}"
            f"{statistic([r['jaccard'] for r in results[kind].values()]):>14.4f}" for kind in kinds))


def compare(results):
    """bf16 - f32 of each measure, paired by seed, beside what another seed alone changes."""
    comparison = {}
    seeds = sorted(set(results["f32"]) & set(results["bf16"]))
    for measure in ("loss", "jaccard"):
        differences = [results["bf16"][seed][measure] - results["f32"][seed][measure] for seed in seeds]
        between_seeds = statistics.stdev(results["f32"][seed][measure] for seed in seeds)
        comparison[measure] = {"mean_difference": statistics.mean(differences), "differences": differences,
                               "sd_between_seeds_f32": between_seeds}
        print(f"{measure}: bf16 - f32 = {statistics.mean(differences):+.4f} on average "
              f"({', '.join(f'{d:+.4f}' for d in differences)}); between seeds of f32 the standard deviation is {between_seeds:.4f}")
    return comparison


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder in the layout of ISIC 2017 with the photographs of split_200.csv")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the runs")
    parser.add_argument("--binary", default="build/dermatome")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--types", nargs="+", choices=("f32", "bf16"), default=["f32", "bf16"])
    parser.add_argument("--json", help="write the results here too")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = {}
    for seed in arguments.seeds:
        for kind in arguments.types:
            run = arguments.out / f"{kind}_{arguments.size}_{seed}"
            if not finished(run):
                train(arguments, run, kind, seed)
            results.setdefault(kind, {})[seed] = result_of(run)
    print_table(results, arguments.size)
    comparison = None
    if set(arguments.types) == {"f32", "bf16"} and len(arguments.seeds) > 1:
        print()
        comparison = compare(results)
    if arguments.json:
        record = {"size": arguments.size, "batch": BATCH, "results": results, "comparison": comparison}
        pathlib.Path(arguments.json).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
