"""Reads a run's TensorBoard event files with tensorboard itself and compares every scalar with the run's CSV logs.

    python3 bench/event_files.py --run runs/first
    python3 bench/event_files.py --make-golden tests/golden/event_file.tfevents

Prints the scalars by tag and exits with 1 where one is missing, doubled or differs. Needs tensorboard from PyPI.
--make-golden writes, with tensorboard's own writer, the events that the tests compare with ours byte by byte.
"""
import argparse
import csv
import io
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

TOLERANCE = 1e-6  # an event holds a 32-bit float


def rows(path):
    with open(path) as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def expected(run):
    """{tag: [(step, value)]} as the CSV logs have it; what they do not hold has no value."""
    steps, epochs = rows(run / "steps.csv"), rows(run / "log.csv")
    ends = [max(int(row["step"]) for row in steps if row["epoch"] == epoch["epoch"]) for epoch in epochs]
    scalars = {"train/loss": [(int(row["step"]), row["loss"]) for row in steps],
               "train/jaccard": [(int(row["step"]), None) for row in steps],
               "learning_rate": [(int(row["step"]), row["lr"]) for row in steps]}
    for name in ("loss", "jaccard", "thresholded_jaccard", "dice"):
        scalars[f"validation/{name}"] = [(end, row[f"validation_{name}"]) for end, row in zip(ends, epochs)]
    return scalars


def compare(run):
    accumulator = EventAccumulator(str(run), size_guidance={"scalars": 0})
    accumulator.Reload()
    wanted = expected(run)
    found = {tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}
    failed = found.keys() != wanted.keys()
    for tag in sorted(found.keys() | wanted.keys()):
        ours, theirs = wanted.get(tag, []), found.get(tag, [])
        same = len(ours) == len(theirs) and all(
            a[0] == b[0] and (a[1] is None or abs(a[1] - b[1]) <= TOLERANCE * max(1, abs(a[1]))) for a, b in zip(ours, theirs))
        failed |= not same
        print(f"{tag:32} {len(theirs):6} scalars  {'equal' if same else 'NOT EQUAL'}")
    if failed:
        sys.exit(f"the event files of {run} do not say what its logs say")


def make_golden(path):
    scalars = lambda *values: Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values])
    events = [Event(wall_time=1700000000.25, file_version="brain.Event:2"),
              Event(wall_time=1700000001.5, step=0, summary=scalars(("train/loss", 0.75), ("learning_rate", 0.0))),
              Event(wall_time=1700000002.5, step=300, summary=scalars(("validation/jaccard", -1.5))),
              Event(wall_time=1700000003.5, step=2**40, session_log=SessionLog(status=SessionLog.START))]
    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    for event in events:
        writer.write(event.SerializeToString())
    path.write_bytes(buffer.getvalue())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=pathlib.Path)
    parser.add_argument("--make-golden", type=pathlib.Path)
    arguments = parser.parse_args()
    if (arguments.run is None) == (arguments.make_golden is None):
        parser.error("--run or --make-golden is needed")
    compare(arguments.run) if arguments.run else make_golden(arguments.make_golden)


if __name__ == "__main__":
    main()
