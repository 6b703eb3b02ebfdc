"""bench/check.py: its judgement on made-up cases, and the whole program on made-up records with a binary and an interpreter that only
claim their speed. Standard library only."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import check  # noqa: E402
import record  # noqa: E402

RATES = {"copy_bytes_per_second": 30e9, "matrix_f32_flops": 200e9, "matrix_bf16_flops": 400e9}


def case(ours, pytorch=20.0, rates=1.0, kind="f32"):
    """One training case; `rates` scales all of the machine's own rates."""
    sides = {"dermatome": {"images_per_second_median": ours}}
    if pytorch is not None:
        sides["pytorch nchw"] = {"images_per_second_median": pytorch * 0.9}
        sides["pytorch compile"] = {"images_per_second_median": pytorch}
    return {"mode": "train", "size": 128, "batch": 8, "type": kind, "threads": 1, "sides": sides,
            "rates": {name: value * rates for name, value in RATES.items()}}


def with_steps(fields, name, fastest, rounds):
    """The case, with the fastest images a second and the rounds of a side told too."""
    side = {**fields["sides"][name], "images_per_second_best": fastest, "rounds": rounds}
    return {**fields, "sides": {**fields["sides"], name: side}}


def judge(committed, measurements, torch="2.15.0", cores=1):
    """The exit code, what was said, and how many measurements were asked for, when these are measured one behind the other."""
    left, said = list(measurements), []
    record_of_machine = {"train": {"cases": [committed], "python": {"torch": "2.15.0"}}}
    code = check.judge(record_of_machine, torch, lambda fields, with_pytorch: left.pop(0), said.append, cores)
    return code, "\n".join(said), len(measurements) - len(left)


class BenchCheck(unittest.TestCase):
    def test_passes_at_equal_ratios_on_a_slower_machine(self):
        code, said, count = judge(case(30), [case(15, pytorch=10, rates=0.5)])
        self.assertEqual((code, count), (0, 1), said)

    def test_passes_just_inside_the_limit(self):
        self.assertEqual(judge(case(30), [case(30 * 0.925)])[0], 0)

    def test_a_loss_that_does_not_come_again_passes(self):
        code, said, count = judge(case(30), [case(27), case(29.5)])
        self.assertEqual((code, count), (0, 2), said)

    def test_fails_when_lost_twice_in_a_row(self):
        code, said, count = judge(case(30), [case(27), case(27.3)])
        self.assertEqual((code, count), (1, 2), said)
        self.assertIn("FAILED: train 128 px batch 8 f32", said)
        self.assertIn("lost 10.0% against PyTorch", said)

    def test_both_yardsticks_are_told(self):
        _, said, _ = judge(case(30), [case(29, pytorch=21)])
        self.assertIn("lost 7.9% against PyTorch, lost 3.3% against the copy bandwidth, lost 3.3% against the matrix rate", said)

    def test_a_case_is_lost_only_against_every_yardstick(self):
        faster_pytorch = case(30, pytorch=30)
        self.assertEqual(judge(case(30), [faster_pytorch])[0], 0)
        gained_rates = case(30, rates=1.5)
        self.assertEqual(judge(case(30), [gained_rates])[0], 0)
        lost_against_both = case(30, pytorch=25, rates=1.5)
        self.assertEqual(judge(case(30), [lost_against_both] * 2)[0], 1)

    def test_the_fastest_pytorch_is_the_yardstick(self):
        without_rates = {**case(30), "rates": None}
        slower_compile = {**case(30), "rates": None}
        slower_compile["sides"]["pytorch nchw"]["images_per_second_median"] = 25
        self.assertEqual(judge(without_rates, [slower_compile, slower_compile])[0], 1)

    def test_a_rate_far_from_the_records_is_told(self):
        slow_memory = case(30)
        slow_memory["rates"]["copy_bytes_per_second"] *= 0.6
        _, said, _ = judge(case(30), [slow_memory])
        self.assertIn("in another state than when the record was made: the copy bandwidth is 0.60 times the record's", said)
        self.assertNotIn("in another state", judge(case(30), [case(30)])[1])

    def test_medians_decide_and_the_fastest_steps_are_told(self):
        committed = with_steps(case(30, pytorch=None), "dermatome", 33, [0.25, 0.26])
        slower_median = with_steps(case(27, pytorch=None), "dermatome", 33, [0.28, 0.29])
        code, said, count = judge(committed, [slower_median] * 2, torch=None)
        self.assertEqual((code, count), (1, 2), said)
        self.assertIn("lost 10.0% against the copy bandwidth", said)
        self.assertIn("by the fastest steps won 0.0% against the copy bandwidth", said)

    def test_the_fastest_steps_decide_where_rounds_lie_in_two_states(self):
        committed = with_steps(case(30, pytorch=None), "dermatome", 33, [0.25, 0.26])
        two_states = with_steps(case(25, pytorch=None), "dermatome", 32, [0.25, 0.34])
        code, said, count = judge(committed, [two_states], torch=None)
        self.assertEqual((code, count), (0, 1), said)
        self.assertIn("by the fastest steps, which decide because rounds lie in two states; by medians lost 16.7%", said)
        slower = with_steps(case(30, pytorch=None), "dermatome", 29, [0.25, 0.34])
        self.assertEqual(judge(committed, [slower] * 2, torch=None)[0], 1)

    def test_two_states_of_pytorch_count_only_where_it_is_compared(self):
        def of(ours, fastest, pytorch_rounds):
            fields = with_steps({**case(ours), "rates": None}, "dermatome", fastest, [0.25, 0.26])
            return with_steps(fields, "pytorch compile", 22, pytorch_rounds)
        self.assertEqual(judge(of(30, 33, [0.4, 0.41]), [of(27, 33, [0.4, 0.41])] * 2)[0], 1)
        self.assertEqual(judge(of(30, 33, [0.4, 0.41]), [of(27, 33, [0.4, 0.55])])[0], 0)

    def test_fewer_cores_than_the_records_threads_are_skipped(self):
        code, said, count = judge({**case(30), "threads": 2}, [case(30)], cores=1)
        self.assertEqual((code, count), (check.SKIPPED, 0), said)
        self.assertIn("was recorded on 2 threads, and 1 core is usable here: skipped", said)
        self.assertIn("SKIPPED: the record was made on 2 threads, and 1 core is usable here", said)
        self.assertEqual(judge({**case(30), "threads": 2}, [case(30)], cores=4)[0], 0)

    def test_without_pytorch_both_rates_must_agree(self):
        gained_bandwidth = case(30, pytorch=None)
        gained_bandwidth["rates"]["copy_bytes_per_second"] *= 1.5
        self.assertEqual(judge(case(30), [gained_bandwidth], torch=None)[0], 0)
        self.assertEqual(judge(case(30), [case(26, pytorch=None)] * 2, torch=None)[0], 1)

    def test_another_pytorch_is_no_yardstick(self):
        self.assertEqual(judge(case(30), [case(30, pytorch=40)], torch="2.16.0")[0], 0)

    def test_bf16_is_compared_with_the_bf16_rate(self):
        faster_f32 = case(30, pytorch=None, kind="bf16")
        faster_f32["rates"]["matrix_f32_flops"] *= 2
        shares = check.losses(case(30, kind="bf16"), faster_f32, False)
        self.assertAlmostEqual(shares["the matrix rate"], 0)

    def test_a_case_that_the_record_lacks_is_left_alone(self):
        absent = case(30)
        absent["sides"]["dermatome"] = {"absent": "bf16 is refused here"}
        self.assertEqual(judge(absent, [])[0], check.SKIPPED)

    def test_a_case_that_cannot_be_run_any_more_fails(self):
        gone = case(30)
        gone["sides"]["dermatome"] = {"absent": "it ended without a word"}
        code, said, count = judge(case(30), [gone, gone])
        self.assertEqual((code, count), (1, 2), said)
        self.assertIn("cannot be run any more: it ended without a word", said)

    def test_what_cannot_be_compared_is_not_measured(self):
        without_rates = {**case(30), "rates": None}
        code, said, count = judge(without_rates, [case(30)], torch="2.16.0")
        self.assertEqual((code, count), (check.SKIPPED, 0), said)

    def test_a_peer_that_fails_now_leaves_nothing_to_compare_with(self):
        code, said, _ = judge({**case(30), "rates": None}, [case(30, pytorch=None)])
        self.assertEqual(code, check.SKIPPED, said)


# Answers every "run K" with K steps of the claimed length. What is asked goes to a log.
STEPS = """echo '{{"ready": true}}'
while read -r word count; do
  echo "run" "$@" >>{log}
  all={seconds}
  while [ "$count" -gt 1 ]; do all="$all, {seconds}"; count=$((count - 1)); done
  echo "{{\\"seconds\\": [$all], \\"peak_rss_bytes\\": 1}}"
done
"""
# Claims to be Dermatome: the information, the rates, and steps; nothing is computed.
BINARY = """#!/bin/sh
case "$1 $2" in
  "info "*) echo "instruction set  x86-64-v4"; exit ;;
  "bench machine") echo "$@" >>{log}; {machine}; exit ;;
esac
""" + STEPS
# An interpreter with PyTorch, as claimed.
PYTHON = """#!/bin/sh
if [ "$1" = -c ]; then echo '{{"python": "3", "torch": "2.15.0"}}'; exit; fi
""" + STEPS
NO_RATES = """echo "dermatome: 'bench machine' is no command" >&2; exit 2"""


class BenchCheckProgram(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)

    def executable(self, name, text, **values):
        path = self.path / name
        path.write_text(text.format(log=self.path / "log", **values))
        path.chmod(0o755)
        return path

    def run_check(self, committed, ours=30.0, rates=RATES, pytorch=None, machine=None):
        """Exit code and everything said; `ours` and `pytorch` are the images a second that are claimed now, at batch 8."""
        machine = machine or (NO_RATES if rates is None else f"echo '{json.dumps(rates)}'")
        binary = self.executable("dermatome", BINARY, machine=machine, seconds=8 / ours)
        python = self.executable("python", PYTHON, seconds=8 / pytorch) if pytorch else "/nowhere/python"
        if committed is not None:
            machine = record.machine({"instruction set": "x86-64-v4"})
            record.save(record.file_of(machine, self.path), {"format": record.FORMAT, "machine": machine, **committed})
        command = [sys.executable, str(pathlib.Path(check.__file__)), "--binary", str(binary), "--python", str(python),
                   "--results", str(self.path), "--rounds", "2"]
        result = subprocess.run(command, capture_output=True, text=True)
        return result.returncode, result.stdout + result.stderr

    @staticmethod
    def recorded(*cases):
        return {"train": {"cases": list(cases), "python": {"torch": "2.15.0"}}}

    def test_skipped_without_a_record_of_this_machine(self):
        code, said = self.run_check(None)
        self.assertEqual(code, check.SKIPPED, said)
        self.assertIn("SKIPPED: there is no ", said)

    def test_skipped_where_the_record_has_no_cases(self):
        for committed in ({}, self.recorded()):
            code, said = self.run_check(committed)
            self.assertEqual(code, check.SKIPPED, said)
            self.assertIn("SKIPPED: the record holds no case of training or inference", said)

    def test_skipped_without_pytorch_and_without_stored_rates(self):
        code, said = self.run_check(self.recorded({**case(30), "rates": None}))
        self.assertEqual(code, check.SKIPPED, said)
        self.assertIn("SKIPPED: the record has no rates of the machine, and its PyTorch (2.15.0) could not be measured here (here: none)", said)

    def test_rates_alone_decide_without_pytorch(self):
        committed = self.recorded(case(30))
        self.assertEqual(self.run_check(committed, ours=29)[0], 0)
        code, said = self.run_check(committed, ours=27)
        self.assertEqual(code, 1, said)
        self.assertIn("FAILED: train 128 px batch 8 f32", said)
        slower_machine = {name: value * 0.9 for name, value in RATES.items()}
        self.assertEqual(self.run_check(committed, ours=27, rates=slower_machine)[0], 0)

    def test_pytorch_and_the_rates_are_both_measured(self):
        code, said = self.run_check(self.recorded(case(30)), ours=27, pytorch=20.0)
        self.assertEqual(code, 1, said)
        self.assertIn("lost 10.0% against PyTorch, lost 10.0% against the copy bandwidth, lost 10.0% against the matrix rate", said)
        self.assertEqual(self.run_check(self.recorded(case(30)), ours=30, pytorch=25.0)[0], 0)

    def test_the_rates_are_measured_in_front_of_every_round(self):
        self.run_check(self.recorded(case(30)), ours=400)
        asked = [line.split()[0] for line in (self.path / "log").read_text().splitlines()]
        warm_up, rounds = asked[0], asked[1:]
        self.assertEqual(warm_up, "run")
        self.assertGreaterEqual(len(rounds), 4)
        self.assertEqual(rounds, ["bench", "run"] * (len(rounds) // 2))

    def test_the_rates_count_in_the_median(self):
        slow = {name: value * 0.1 for name, value in RATES.items()}
        self.assertEqual(record.median_of([{**slow, "threads": 2}, {**RATES, "threads": 2}, {**RATES, "threads": 2}]), {**RATES, "threads": 2})
        # Every measurement but the first, of two rounds or more, says that the machine is far faster now.
        fast = {name: value * 9 for name, value in RATES.items()}
        machine = f"""if [ "$(grep -c '^bench' {self.path}/log)" -eq 1 ]; then echo '{json.dumps(RATES)}'; else echo '{json.dumps(fast)}'; fi"""
        code, said = self.run_check(self.recorded(case(30)), ours=30, machine=machine)
        self.assertEqual(code, 1, said)

    def test_a_case_runs_on_the_threads_of_the_record(self):
        code, said = self.run_check(self.recorded({**case(30), "threads": 1}), ours=400)
        self.assertEqual(code, 0, said)
        asked = (self.path / "log").read_text().splitlines()
        self.assertTrue(asked)
        for line in asked:
            self.assertIn("--threads 1 ", line + " ")
        code, said = self.run_check(self.recorded({**case(30), "threads": 4096}))
        self.assertEqual(code, check.SKIPPED, said)
        self.assertIn("SKIPPED: the record was made on 4096 threads", said)

    def test_pytorch_alone_decides_where_the_record_has_no_rates(self):
        committed = self.recorded({**case(30), "rates": None})
        self.assertEqual(self.run_check(committed, ours=15, pytorch=10.0)[0], 0)
        code, said = self.run_check(committed, ours=27, pytorch=20.0)
        self.assertEqual(code, 1, said)
        self.assertIn("lost 10.0% against PyTorch", said)

    def test_says_how_many_cases_had_no_yardstick(self):
        code, said = self.run_check(self.recorded(case(30), {**case(30, kind="bf16"), "rates": None}))
        self.assertEqual(code, 0, said)
        self.assertIn("1 of 2 cases could not be compared", said)

    def test_a_binary_that_measures_no_rates_fails_in_a_sentence(self):
        code, said = self.run_check(self.recorded(case(30)), rates=None)
        self.assertEqual(code, 1, said)
        self.assertIn("measured no rates", said)
        self.assertIn("'bench machine' is no command", said)
        self.assertNotIn("Traceback", said)


if __name__ == "__main__":
    unittest.main()
