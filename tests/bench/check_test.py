"""bench/check.py on made-up records: what is lost, what fails, what is skipped. Standard library only."""
import json
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

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
    return {"mode": "train", "size": 128, "batch": 8, "type": kind, "sides": sides,
            "rates": {name: value * rates for name, value in RATES.items()}}


def judge(committed, measurements, torch="2.15.0"):
    """The exit code, what was said, and how many measurements were asked for, when these are measured one behind the other."""
    left, said = list(measurements), []
    record_of_machine = {"train": {"cases": [committed], "python": {"torch": "2.15.0"}}}
    code = check.judge(record_of_machine, torch, lambda fields, with_pytorch: left.pop(0), said.append)
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

    def test_the_fastest_pytorch_is_the_yardstick(self):
        slower_compile = case(30)
        slower_compile["sides"]["pytorch nchw"]["images_per_second_median"] = 25
        self.assertEqual(judge(case(30), [slower_compile, slower_compile])[0], 1)

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
        self.assertEqual(judge(absent, [])[0], 0)

    def test_skipped_without_a_record_of_this_machine(self):
        with tempfile.TemporaryDirectory() as folder:
            code, said = self.run_main(folder)
            self.assertEqual(code, check.SKIPPED)
            self.assertIn("SKIPPED", said)

    def test_the_record_is_found_by_processor_and_instruction_set(self):
        with tempfile.TemporaryDirectory() as folder:
            machine = record.machine({"instruction set": "x86-64-v4"})
            file = record.file_of(machine, pathlib.Path(folder))
            file.write_text(json.dumps({"format": record.FORMAT, "machine": machine}))
            code, said = self.run_main(folder)
            self.assertEqual(code, 0, said)

    def run_main(self, folder):
        said = []
        with mock.patch.object(record, "information", return_value={"instruction set": "x86-64-v4"}), \
                mock.patch.object(sys, "argv", ["check.py", "--results", folder, "--python", "/nowhere/python"]), \
                mock.patch("builtins.print", lambda text: said.append(text)):
            return check.main(), "\n".join(said)


if __name__ == "__main__":
    unittest.main()
