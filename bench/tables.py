"""Fills the tables of docs/performance.md from the committed records, so that no figure is typed by hand.

    python3 bench/tables.py            rewrites what stands between the markers
    python3 bench/tables.py --check    exits 1 where a table differs from its record

A table stands between `<!-- table NAME RECORD -->` and `<!-- end of table -->`; RECORD is a file of bench/results.
"""
import argparse
import functools
import json
import pathlib
import re
import sys

from sides import OURS

HERE = pathlib.Path(__file__).resolve().parent
MARKED = re.compile(r"(<!-- table (\S+) (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
INFERENCE_PEERS = ("pytorch nchw", "pytorch channels_last", "pytorch compile", "onnxruntime", "openvino")
MODE_NAMES = {"train": "training", "infer": "inference"}


def rows_to_markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def name_of(case):
    return f"{MODE_NAMES[case['mode']]} {case['size']} px, batch {case['batch']}, {case['type']}"


def speed_cell(side, ours):
    """Images a second, and in brackets Dermatome's ratio to it."""
    if side is None or "absent" in side:
        return "-"
    speed = side["images_per_second_median"]
    return f"{speed:.1f} ({ours / speed:.2f})" if ours else f"{speed:.1f}"


def speed_table(cases, peers):
    rows = []
    for case in cases:
        ours = case["sides"][OURS].get("images_per_second_median")
        ratio = f"**{case['ratio']:.2f}**" if case["ratio"] is not None else "-"
        rows.append([name_of(case), f"{ours:.1f}" if ours else "-", *(speed_cell(case["sides"].get(peer), ours) for peer in peers), ratio])
    return rows_to_markdown(["images a second", "Dermatome", *(peer.removeprefix("pytorch ") for peer in peers), "against the best"], rows)


def train_table(record):
    return speed_table(record["train"]["cases"], ("pytorch nchw", "pytorch channels_last", "pytorch compile"))


def inference_table(record):
    return speed_table(record["inference"]["cases"], INFERENCE_PEERS)


def latency_cell(side, ours):
    """Milliseconds, and in brackets how many times as long as Dermatome."""
    if side is None or "absent" in side:
        return "-"
    speed = side["images_per_second_median"]
    return f"{1e3 / speed:.1f} ({ours / speed:.2f})" if ours else f"{1e3 / speed:.1f}"


def latency_table(record):
    """One photograph at a time, from what the part inference measured with a batch of one: steps in the median."""
    rows = []
    for case in record["inference"]["cases"]:
        if case["batch"] != 1:
            continue
        ours = case["sides"][OURS].get("images_per_second_median")
        rows.append([f"latency of one {case['size']} px photograph, {case['type']}", f"{1e3 / ours:.1f}" if ours else "-",
                     *(latency_cell(case["sides"].get(peer), ours) for peer in INFERENCE_PEERS)])
    return rows_to_markdown(["ms", "Dermatome", *(peer.removeprefix("pytorch ") for peer in INFERENCE_PEERS)], rows)


def memory_table(record):
    rows = []
    for case in record["memory"]["cases"]:
        ours, best = case["sides"][OURS], case["best_peer"]
        if "absent" in ours or best is None:
            continue
        peer = case["sides"][best]
        rows.append([name_of(case), f"{ours['peak_rss_bytes'] / 2**20:.0f} MiB",
                     f"{peer['peak_rss_bytes'] / 2**20:.0f} MiB ({best.removeprefix('pytorch ')})", f"**{case['ratio']:.2f}**",
                     f"{peer['import_rss_bytes'] / 2**20:.0f} MiB", f"{ours['arena_bytes'] / 2**20:.0f} MiB",
                     f"**{ours['arena_bytes'] / ours['arena_lower_bound_bytes']:.3f}**"])
    return rows_to_markdown(["peak of the whole process", "Dermatome", "PyTorch's thriftiest", "share", "of it PyTorch's import", "arena",
                             "of the largest live set"], rows)


def predict_table(record):
    rows = [[f"{case['photograph']}, {case['pixels'][0]}x{case['pixels'][1]}", f"{case['sides'][OURS]['seconds_median'] * 1e3:.0f} ms",
             f"{case['sides']['pytorch']['seconds_median'] * 1e3:.0f} ms", f"**1/{case['ratio']:.1f}**", f"{case['equal_share']:.2%}"]
            for case in record["predict"]["cases"]]
    return rows_to_markdown(["one photograph, start to mask", "Dermatome", "PyTorch script", "share of the time", "equal pixels"], rows)


def frozen_table(record):
    rows = [[name_of(case), name, f"{side['images_per_second_median']:.1f}", f"{side['time_share']:.0%}"]
            for case in record["frozen"]["cases"] for name, side in case["sides"].items()]
    return rows_to_markdown(["case", "stage", "images a second", "time of a step"], rows)


def scaling_table(axis, record):
    points = [point for point in record["scaling"]["cases"] if point["axis"] == axis]
    field = {"threads": "threads", "batch": "batch", "size": "size"}[axis]
    values = sorted({point[field] for point in points})
    rows = []
    for mode in MODE_NAMES:
        speeds = {point[field]: point["images_per_second_median"] for point in points if point["mode"] == mode}
        if not speeds:
            continue
        rows.append([f"{MODE_NAMES[mode]}, images a second", *(f"{speeds[value]:.1f}" if value in speeds else "-" for value in values)])
        if axis == "size":
            rows.append([f"{MODE_NAMES[mode]}, ns a pixel",
                         *(f"{1e9 / (speeds[value] * value * value):.0f}" if value in speeds else "-" for value in values)])
    return rows_to_markdown([{"threads": "threads", "batch": "batch", "size": "side in pixels"}[axis], *values], rows)


def rates_text(cases):
    """The machine's own rates, from the least of the cases to the most."""
    texts = []
    for name, key, unit in (("copy", "copy_bytes_per_second", "GB/s"), ("matrix f32", "matrix_f32_flops", "GFLOP/s"),
                            ("bf16", "matrix_bf16_flops", "GFLOP/s")):
        values = [case["rates"][key] / 1e9 for case in cases if (case.get("rates") or {}).get(key)]
        if values:
            ends = dict.fromkeys((f"{min(values):.0f}", f"{max(values):.0f}"))
            texts.append(f"{name} {' to '.join(ends)} {unit}")
    return ", ".join(texts)


def circumstances_table(record):
    machine = record["machine"]
    rows = [["processor", f"{machine['processor']}, {machine['instruction_set']}, {machine['cores']} cores, Linux {machine['kernel']}"]]
    for part in ("train", "inference", "memory", "predict", "frozen", "scaling"):
        if part not in record:
            continue
        about = record[part]
        dates = sorted({case["measured"]["date"] for case in about["cases"]})
        versions = ", ".join(f"{name} {version}" for name, version in about["python"].items())
        own = rates_text(about["cases"])
        rows.append([part, f"{' to '.join(sorted({dates[0], dates[-1]}))}; oneDNN {about['dermatome'].get('oneDNN', '-')}; {versions}; "
                           f"{about['threads']} threads{'; ' + own if own else ''}"])
    return rows_to_markdown(["", "measured on"], rows)


TABLES = {"train": train_table, "inference": inference_table, "latency": latency_table, "memory": memory_table,
          "predict": predict_table, "frozen": frozen_table,
          "threads": functools.partial(scaling_table, "threads"), "batch": functools.partial(scaling_table, "batch"),
          "size": functools.partial(scaling_table, "size"), "circumstances": circumstances_table}


def filled(text, folder):
    """The text with every table made anew from its record."""
    def table(match):
        start, name, file, end = match.groups()
        if name not in TABLES:
            sys.exit(f"there is no table {name}; there are {', '.join(TABLES)}")
        try:
            return start + TABLES[name](json.loads((folder / file).read_text())) + end
        except KeyError as part:
            sys.exit(f"{file} holds nothing of {part}, which the table {name} shows: `make bench` measures it")
    return MARKED.sub(table, text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--document", type=pathlib.Path, default=HERE.parent / "docs" / "performance.md")
    parser.add_argument("--results", type=pathlib.Path, default=HERE / "results")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    old = arguments.document.read_text()
    new = filled(old, arguments.results)
    if not arguments.check:
        arguments.document.write_text(new)
    elif new != old:
        sys.exit(f"{arguments.document} does not show what the records hold; `python3 bench/tables.py` fills it")


if __name__ == "__main__":
    main()
