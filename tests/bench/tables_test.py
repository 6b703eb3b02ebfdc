"""bench/tables.py: tables come from records, and the committed document equals the committed records."""
import contextlib
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import print_record  # noqa: E402
import record  # noqa: E402
import tables  # noqa: E402

CASE = {"mode": "train", "size": 128, "batch": 8, "type": "f32", "best_peer": "pytorch compile", "ratio": 1.6,
        "sides": {"dermatome": {"images_per_second_median": 32}, "pytorch compile": {"images_per_second_median": 20},
                  "pytorch nchw": {"absent": "not installed"}}}
DOCUMENT = "Before.\n<!-- table train one.json -->\nold\n<!-- end of table -->\nAfter.\n"


class BenchTables(unittest.TestCase):
    def run_tables(self, folder, *options):
        command = [sys.executable, str(ROOT / "bench" / "tables.py"), "--document", f"{folder}/page.md", "--results", folder, *options]
        return subprocess.run(command, capture_output=True, text=True)

    def test_fills_between_the_markers_and_keeps_the_rest(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "page.md"
            page.write_text(DOCUMENT)
            (pathlib.Path(folder) / "one.json").write_text(json.dumps({"train": {"cases": [CASE]}}))
            self.assertEqual(self.run_tables(folder, "--check").returncode, 1)
            self.assertEqual(self.run_tables(folder).returncode, 0)
            self.assertEqual(self.run_tables(folder, "--check").returncode, 0)
            text = page.read_text()
            self.assertTrue(text.startswith("Before.\n<!-- table train") and text.endswith("<!-- end of table -->\nAfter.\n"))
            self.assertIn("| training 128 px, batch 8, f32 | 32.0 | - | - | 20.0 (1.60) | **1.60** |", text)
            self.assertNotIn("old", text)

    def test_the_latency_is_that_of_a_batch_of_one(self):
        case = {**CASE, "mode": "infer", "size": 256, "batch": 1}
        text = tables.latency_table({"inference": {"cases": [{**case, "batch": 4}, case]}})
        self.assertEqual(text.splitlines()[2:], ["| latency of one 256 px photograph, f32 | 31.2 | - | - | 50.0 (1.60) | - | - |"])

    def test_the_closing_table_holds_the_ratios_of_every_part(self):
        point = {"mode": "train", "size": 128, "batch": 8, "type": "f32", "axis": "threads", "images_per_second_median": 10.0, "threads": 1}
        whole = {"train": {"cases": [CASE, {**CASE, "ratio": None}]},
                 "memory": {"cases": [{**CASE, "ratio": 0.5, "measured": {"date": "2026-11-24"}}]},
                 "predict": {"cases": [{"photograph": "a.jpg", "ratio": 10.8}]},
                 "frozen": {"cases": [{**CASE, "sides": {"nothing frozen": {"time_share": 1}, "frozen: early": {"time_share": 0.77}}}]},
                 "scaling": {"cases": [point, {**point, "threads": 2, "images_per_second_median": 19.0},
                                       {**point, "axis": "batch", "threads": 2}]}}
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            print_record.print_ratios(whole)
        lines = [line.split() for line in shown.getvalue().splitlines()[3:]]
        self.assertEqual([next(word for word in words[::-1] if "." in word) for words in lines], ["1.60", "0.50", "10.80", "0.77", "1.90"])
        self.assertEqual(lines[1][-1], "2026-11-24")
        self.assertIn("pytorch compile", shown.getvalue())

    def test_the_rates_are_told_from_the_least_to_the_most(self):
        def of(copy, matrix):
            return {"rates": {"copy_bytes_per_second": copy, "matrix_f32_flops": matrix, "matrix_bf16_flops": 0}}
        self.assertEqual(tables.rates_text([of(103e9, 530e9), of(58e9, 530.2e9), {"rates": None}, {}, of(60e9, 529.8e9)]),
                         "copy 58 to 103 GB/s, matrix f32 530 GFLOP/s")
        self.assertEqual(tables.rates_text([{}]), "")

    def test_an_unknown_table_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "page.md").write_text(DOCUMENT.replace("table train", "table tain"))
            result = self.run_tables(folder)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn("there is no table tain", result.stderr)

    def test_the_committed_document_shows_the_committed_records(self):
        result = subprocess.run([sys.executable, str(ROOT / "bench" / "tables.py"), "--check"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_a_case_measured_again_replaces_the_old_one_in_its_place(self):
        other = {**CASE, "size": 256}
        merged = record.merge_cases([CASE, other], [{**CASE, "ratio": 2.0}, {**CASE, "type": "bf16"}])
        self.assertEqual([(case["size"], case["type"], case["ratio"]) for case in merged],
                         [(128, "f32", 2.0), (256, "f32", 1.6), (128, "bf16", 1.6)])

    def test_a_record_of_another_layout_is_not_read(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "old.json"
            path.write_text(json.dumps({"format": record.FORMAT - 1}))
            self.assertIsNone(record.load(path))


if __name__ == "__main__":
    unittest.main()
