"""bench/paper.py: the page from made-up results, the options beside them, and the committed page's pictures."""
import json
import pathlib
import re
import sys
import tempfile
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import paper  # noqa: E402

PHOTOGRAPHS = [f"p{i}" for i in range(20)]
INFO = "processor  a machine\ninstruction set  x86-64-v4, bf16\n"


def scores(jaccard, **more):
    per_image = [{"id": name, "jaccard": jaccard + 0.01 * (i % 3 - 1)} for i, name in enumerate(PHOTOGRAPHS)]
    return {"jaccard": jaccard, "thresholded_jaccard": jaccard - 0.1, "dice": jaccard + 0.1, "images": len(PHOTOGRAPHS), "per_image": per_image, **more}


def tables(text):
    """Cells, row by row, of every table."""
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in block.splitlines()] for block in blocks]


class PaperPage(unittest.TestCase):
    def setUp(self):
        paper.RESAMPLES = 200
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def study(self, **options):
        """Without a binary: what `dermatome` would say is INFO, or its version."""
        defaults = {"out": self.folder / "out", "page": self.folder / "docs/paper.md", "binary": "", "type": None, "photographs": 100,
                    "epochs": (4, 5), "sweep_steps": 100}

        class Silent(paper.Study):
            def said(self, *words):
                return "dermatome 1.2.3\n" if "--version" in words else INFO

            def tell(self, text):
                pass
        study = Silent(types.SimpleNamespace(**(defaults | options)))
        study.count = 100
        return study

    def with_results(self):
        study = self.study()
        study.check_options()
        quarter = {"truth_share": [0.01, 0.1], "images": 5, "jaccard": 0.6, "jaccard_interval_95": [0.5, 0.7]}
        results = {f"fold{i}": scores(0.7 + 0.01 * i) for i in (1, 2, 3)}
        results |= {"ensemble": scores(0.8, lesion_size_quarters=[quarter]), "ensemble_seen": scores(0.9), "ensemble_tta": scores(0.81)}
        results |= {f"ablation_{name}": scores(0.5 if name == "frozen" else 0.71) for name in paper.ABLATIONS}
        for name, result in results.items():
            (study.folder / f"{name}.json").write_text(json.dumps(result))
        for sweep in ("exponential", "linear"):
            for loss in ("training", "validation"):
                for state in ("all", "frozen"):
                    none = (sweep, loss) == ("linear", "validation")
                    name = f"finder_{sweep}_{loss}_{state}"
                    rate = 0.02 if sweep == "linear" else 0.001
                    (study.folder / f"{name}.txt").write_text("# no suggestion\n" if none else f"# a sweep\nlr = {rate}\n")
                    (study.folder / f"{name}.csv").write_text("step,rate,loss,average,smoothed\n0,0,0.69,0.69,nan\n1,0.004," +
                                                              ("7" if none else "0.6") + ",0.6,0.6\n")
        return study

    def row(self, text, name):
        return next(row for table in tables(text) for row in table if row[0] == name)

    def test_every_row_has_the_cells_of_its_head(self):
        for table in tables(paper.page(self.with_results())):
            self.assertEqual({len(row) for row in table}, {len(table[0])}, table[0])

    def test_differences_are_to_the_first_fold(self):
        text = paper.page(self.with_results())
        self.assertEqual(self.row(text, "BestDice, fold 1"), ["BestDice, fold 1", "0.7100", "0.6100", "0.8100", "", ""])
        self.assertEqual(self.row(text, "mean (sd) of the folds")[1], "0.7200 (0.0100)")
        self.assertEqual(self.row(text, "ensemble")[4:], ["+0.0900 (+0.0900 to +0.0900)", "better"])
        self.assertEqual(self.row(text, paper.ABLATIONS["frozen"][0])[5], "worse")
        self.assertEqual(self.row(text, paper.ABLATIONS["colour"][0])[5], "no difference shown")
        self.assertEqual(self.row(text, "1.0% to 10.0%"), ["1.0% to 10.0%", "5", "0.6000 (0.5000 to 0.7000)"])

    def test_the_paper_stands_beside_ours(self):
        text = paper.page(self.with_results())
        self.assertEqual(self.row(text, "ensemble of 3 folds")[1:],
                         ["on its own validation set: Jaccard 85.39 %, thresholded 78.43 %",
                          "on the test part: Jaccard 80.00 %, thresholded 70.00 %; on photographs that two members were trained on: Jaccard 90.00 %"])
        self.assertEqual(self.row(text, "epochs")[2], "4, then 5")

    def test_suggestions_and_their_steps(self):
        study = self.with_results()
        finder = next(table for table in tables(paper.page(study)) if table[0][0] == "sweep")
        self.assertEqual([row[3:5] for row in finder[2:]], [["0.001", "33"]] * 4 + [["0.02", "20"]] * 2 + [["none", ""]] * 2)
        self.assertIn("from rate 0.004 on (with encoder.early frozen from 0.004 on) single losses are above 0.8", paper.finder_remarks(study))
        self.assertIn("The training loss of the same sweep stays below 0.8.", paper.finder_remarks(study))

    def test_no_reason_is_given_for_what_did_not_happen(self):
        study = self.with_results()
        (study.folder / "finder_linear_validation_all.txt").write_text("lr = 0.01\n")
        self.assertNotIn("With validation loss", paper.finder_remarks(study))

    def test_the_caption_names_what_is_drawn(self):
        names, text = list(paper.ABLATIONS), paper.drawn_ablations()
        self.assertTrue(all(f"`{name}`" in text for name in names[:paper.DRAWN_ABLATIONS]))
        self.assertTrue(all(paper.ABLATIONS[name][0] in text for name in names[paper.DRAWN_ABLATIONS:]))

    def test_the_time_is_that_of_all_calls(self):
        study = self.with_results()
        self.assertNotIn("minutes", paper.page(study))
        (study.folder / "seconds.json").write_text(json.dumps({"folds": 600.0, "scores": 61.0}))
        self.assertIn("took 11 minutes.", paper.page(study))
        study.timed("folds", lambda: None)
        self.assertEqual(study.minutes(), 11)
        (study.folder / "seconds.json").write_text(json.dumps({"folds": None, "scores": 61.0}))
        study.timed("folds", lambda: None)
        self.assertIsNone(study.minutes())

    def test_a_part_that_fails_counts_its_time(self):
        study = self.study()
        study.check_options()
        with self.assertRaises(ZeroDivisionError):
            study.timed("folds", lambda: 1 / 0)
        self.assertEqual(study.minutes(), 0)

    def test_only_pictures_that_the_page_names_are_copied(self):
        study = self.with_results()
        names = paper.pictures_of(paper.page(study))
        for name in [*names, "histogram.svg"]:
            (study.pictures / name).parent.mkdir(parents=True, exist_ok=True)
            (study.pictures / name).write_text(name)
        study.part_page()
        copied = [path.relative_to(self.folder / "docs/paper").as_posix() for path in (self.folder / "docs/paper").rglob("*") if path.is_file()]
        self.assertEqual(sorted(copied), names)
        self.assertIn("ablations/jaccard.svg", names)

    def test_results_of_other_options_are_refused(self):
        self.study().check_options()
        self.study().check_options()
        with self.assertRaisesRegex(SystemExit, r"out was made with epochs \[4, 5\] instead of \[1, 1\]; name another --out, or remove it"):
            self.study(epochs=(1, 1)).check_options()
        with self.assertRaisesRegex(SystemExit, "type bf16 instead of f32"):
            self.study(type="f32").check_options()

    def test_results_without_options_are_refused(self):
        (self.folder / "out").mkdir()
        (self.folder / "out/fold1.json").write_text("{}")
        with self.assertRaisesRegex(SystemExit, "does not say with which options"):
            self.study().check_options()


class CommittedPage(unittest.TestCase):
    TEXT = (ROOT / "docs/paper.md").read_text()

    def test_its_pictures_are_in_the_repository_and_no_others(self):
        folder = ROOT / "docs/paper"
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        self.assertEqual(files, paper.pictures_of(self.TEXT))

    def test_its_tables_are_whole(self):
        for table in tables(self.TEXT):
            self.assertEqual({len(row) for row in table}, {len(table[0])}, table[0])

    def test_its_captions_are_the_generator_s(self):
        self.assertIn(paper.drawn_ablations(), self.TEXT)
        for words, _ in paper.ABLATIONS.values():
            self.assertIn(f"| {words} |", self.TEXT)
        picture = (ROOT / "docs/paper/ablations/jaccard.svg").read_text()
        legend = re.findall(r'class="legend"[^>]*>([^<]+)<', picture)
        self.assertEqual(legend, ["fold1", *list(paper.ABLATIONS)[:paper.DRAWN_ABLATIONS]])


if __name__ == "__main__":
    unittest.main()
