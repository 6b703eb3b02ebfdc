"""bench/parts.py and the turns of bench/sides.py, with a binary that claims its speed and writes down what it was asked. Standard library
only."""
import pathlib
import sys
import tempfile
import types
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import parts  # noqa: E402
import sides  # noqa: E402

# A step takes 10 ms while warming up and in the first round, and 20 ms afterwards.
BINARY = """#!/bin/sh
echo '{{"ready": true}}'
seconds=0.01
while read -r word count; do
  echo "$*" >>{log}
  all=$seconds
  while [ "$count" -gt 1 ]; do all="$all, $seconds"; count=$((count - 1)); done
  echo "{{\\"seconds\\": [$all], \\"peak_rss_bytes\\": 1}}"
  [ "$word" = run ] && [ -e {log}.$$ ] && seconds=0.02
  : >{log}.$$
done
"""
OPTIONS = types.SimpleNamespace(rounds=2, round_seconds=0.02)


class Turns(unittest.TestCase):
    class Side:
        process = types.SimpleNamespace(pid=1)

        def __init__(self, name, log):
            self.name, self.log, self.rounds = name, log, []

        def run(self, steps):
            self.log.append(self.name)
            return [float(len(self.log))] * steps

    def turns(self, others):
        """The share that is told, the rounds that are kept, and the order of all, when others use so many processor seconds in each round."""
        log = []
        pair = [self.Side("a", log), self.Side("b", log)]
        clock, left, busy = [0.0], iter(others), [0.0]

        def processor_seconds(_):
            return busy[0], 0.0

        def monotonic():
            return clock[0]

        def run_b(steps, run=pair[1].run):
            if len(log) >= 3:  # not the warm-up
                clock[0] += 1.0
                busy[0] += next(left)
            return run(steps)

        pair[1].run = run_b
        with mock.patch.object(sides, "processor_seconds", processor_seconds), mock.patch.object(sides.time, "monotonic", monotonic), \
                mock.patch.object(sides.os, "sched_getaffinity", lambda _: {0}):
            share = sides.take_turns(pair, 2, 1.0)
        return share, [side.rounds for side in pair], log

    def test_quiet_rounds_are_not_repeated(self):
        share, rounds, log = self.turns([0.01, 0.02])
        self.assertAlmostEqual(share, 0.015)
        self.assertEqual(log, ["a", "b"] * 3)
        self.assertEqual(rounds, [[[3.0] * 2, [5.0] * 2], [[4.0] * 2, [6.0] * 2]])

    def test_a_disturbed_round_is_repeated(self):
        share, rounds, _ = self.turns([0.01, 0.5, 0.02])
        self.assertAlmostEqual(share, 0.015)
        self.assertEqual([times[0] for times in rounds[0]], [3.0, 7.0])

    def test_the_quietest_stay_where_it_never_gets_quiet(self):
        share, rounds, log = self.turns([0.5, 0.2, 0.3, 0.4])
        self.assertAlmostEqual(share, 0.25)
        self.assertEqual([times[0] for times in rounds[1]], [6.0, 8.0])
        self.assertEqual(len(log), 2 + 2 * 4)


class Points(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.log = pathlib.Path(folder.name) / "log"
        binary = pathlib.Path(folder.name) / "dermatome"
        binary.write_text(BINARY.format(log=self.log))
        binary.chmod(0o755)
        self.programs = sides.Programs(binary, pathlib.Path("/nowhere/python"), pathlib.Path(folder.name), 2)

    def test_scaling_interleaves_all_points_and_measures_shared_ones_once(self):
        points = parts.measure_scaling("infer", self.programs, OPTIONS, lambda line: None)
        asked = self.log.read_text().splitlines()
        self.assertEqual(len(set(asked)), 12)
        self.assertEqual(len(points), 14)
        first_turn = asked[:12]
        self.assertEqual(len(set(first_turn)), 12)
        self.assertGreaterEqual(len(asked), 12 * (1 + parts.LEAST_ROUNDS))
        for start in range(0, len(asked), 12):
            self.assertEqual(asked[start:start + 12], first_turn)
        on_two_axes = [point for point in points if (point["size"], point["batch"], point["threads"]) == (128, 8, 2)]
        self.assertEqual({point["axis"] for point in on_two_axes}, {"threads", "batch"})
        self.assertEqual(len({point["images_per_second_median"] for point in on_two_axes}), 1)
        for point in points:
            self.assertEqual(len(point["rounds"]), parts.LEAST_ROUNDS)
            self.assertGreaterEqual(point["others_share"], 0)
            self.assertGreaterEqual(point["images_per_second_best"], point["images_per_second_median"])

    def test_frozen_stages_tell_best_median_and_what_others_used(self):
        result = parts.measure_frozen(sides.Case("train", 128, 8, "f32"), self.programs, OPTIONS, lambda line: None)
        self.assertGreaterEqual(result["others_share"], 0)
        self.assertEqual([side["time_share"] for side in result["sides"].values()], [1.0] * 3)
        for side in result["sides"].values():
            self.assertEqual(len(side["rounds"]), parts.LEAST_ROUNDS)
            self.assertAlmostEqual(side["images_per_second_median"], 8 / 0.02)
            self.assertGreaterEqual(side["images_per_second_best"], side["images_per_second_median"])
        self.assertTrue(any("--frozen encoder.early --frozen encoder.late" in line for line in self.log.read_text().splitlines()))


if __name__ == "__main__":
    unittest.main()
