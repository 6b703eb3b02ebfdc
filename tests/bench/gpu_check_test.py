"""bench/gpu_check.py with programs that only claim to be dermatome, PyTorch and NVIDIA's tools: which commands it makes, what it says of
failures and of what is missing, how it judges and keeps results. Standard library only."""
import contextlib
import io
import json
import os
import pathlib
import re
import sys
import tempfile
import time
import unittest
from unittest import mock

import gpu_fakes

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "bench"))
import gpu_check  # noqa: E402
from gpu import base, masks, speed  # noqa: E402

# Where the options of a command are declared, besides those that all share.
SOURCES = {"bench step": ("bench",), "bench op": ("bench_op",), "profile": ("profile",), "predict": ("predict", "model_options"),
           "evaluate": ("evaluate", "model_options", "data_options"),
           "train": ("train", "split_options", "data_options", "recipe_options")}


class WithFakes(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = self.folder / "out.json"
        gpu_fakes.install(self.folder)

    def behave(self, **behaviour):
        gpu_fakes.behave(self.folder, **behaviour)

    def remove(self, name):
        (self.folder / name).unlink()

    def check(self, *only, more=()):
        """The exit code and what was said."""
        words = ["gpu_check.py", "--build", str(self.folder), "--python", str(self.folder / "python"), "--out", str(self.out)]
        words += [*(["--only", *only] if only else []), *more]
        said = io.StringIO()
        with mock.patch.object(sys, "argv", words), mock.patch.dict(os.environ, {"PATH": str(self.folder)}), \
                mock.patch.object(base, "TOOLKITS", ()), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                code = gpu_check.main()
            except SystemExit as end:
                said.write(end.code if isinstance(end.code, str) else "")
                code = 1 if isinstance(end.code, str) else end.code
        self.assertNotIn("Traceback", said.getvalue())
        return code, said.getvalue()

    def units(self, part):
        return json.loads(self.out.read_text())["parts"][part]["units"]

    def targets(self, part):
        return json.loads(self.out.read_text())["parts"][part]["targets"]

    def asked(self, program, *words):
        """The commands of a program that hold these words."""
        commands = [entry for entry in gpu_fakes.asked(self.folder) if entry["program"] == program]
        return [entry for entry in commands if all(word in entry["words"] for word in words)]

    def option(self, entry, name):
        return entry["words"][entry["words"].index(name) + 1]


class Commands(WithFakes):
    def test_lists_all_units_and_starts_nothing(self):
        self.remove("dermatome")
        code, said = self.check(more=["--list"])
        self.assertEqual(code, 0)
        for part in gpu_check.PARTS.values():
            for unit in part.units:
                self.assertIn(f"    {part.name}:{unit}\n", said + "\n")
        self.assertEqual(gpu_fakes.asked(self.folder), [])

    def test_guesses_what_a_misspelt_part_means(self):
        code, said = self.check("step")
        self.assertEqual(code, 2)
        self.assertIn("there is no part 'step' (did you mean steps?); the parts are tests, ", said)

    def test_guesses_what_a_misspelt_unit_means(self):
        code, said = self.check("steps:trian:256")
        self.assertEqual(code, 2)
        self.assertIn("the part steps has no unit 'trian:256' (did you mean train:256?); --list names them all", said)

    def test_says_that_there_is_no_build(self):
        self.remove("dermatome")
        code, said = self.check("tests")
        self.assertEqual(code, 1)
        self.assertIn(f"there is no {self.folder.resolve()}/dermatome; build it, or name the folder of the build with --build", said)

    def test_says_why_there_is_no_gpu(self):
        self.behave(info="CUDA             13.0\nGPU              off (no driver)")
        code, said = self.check("tests")
        self.assertEqual(code, 1)
        self.assertIn("there is no GPU here: GPU off (no driver)", said)
        self.assertFalse(self.out.exists())

    def test_takes_beginnings_and_each_unit_once(self):
        plan = gpu_check.plan_of(["memcheck:kernels", "memcheck", "nodes:infer"])
        self.assertEqual([(part.name, units) for part, units in plan],
                         [("memcheck", ["kernels:1", "kernels:2", "kernels:3", "kernels:4", "training"]), ("nodes", ["infer"])])
        self.assertEqual(gpu_check.plan_of(["steps:train:128:graph"])[0][1], ["train:128:dermatome", "train:128:graph"])

    def test_a_beginning_ends_where_a_word_does(self):
        with self.assertRaises(ValueError):
            gpu_check.units_of("steps:train:1")

    def test_all_parts_pass_with_options_that_exist(self):
        code, said = self.check(more=["--data", str(self.folder)])
        self.assertEqual(code, 0, said)
        for name, part in gpu_check.PARTS.items():
            self.assertEqual({unit: found["state"] for unit, found in self.units(name).items()}, dict.fromkeys(part.units, "passed"), said)
        used = {}
        for entry in self.asked("dermatome"):
            command = " ".join(entry["words"][:2 if entry["words"][0] == "bench" else 1])
            used.setdefault(command, set()).update(word for word in entry["words"] if re.fullmatch(r"--?[a-z][a-z0-9-]*", word))
        self.assertEqual(set(used) - {"info"}, set(SOURCES))
        for command, files in SOURCES.items():
            text = "\n".join((REPOSITORY / f"tools/{name}.cpp").read_text() for name in (*files, "command"))
            known = {word for names in re.findall(r'"((?:-\w,)?--[a-z0-9-]+)"', text) for word in names.split(",")}
            self.assertEqual(used[command] - known, set(), command)

    def test_commands_of_the_steps(self):
        self.check("steps:train:512", "steps:infer:128")
        ours = self.asked("dermatome", "bench", "step")
        self.assertEqual([(self.option(entry, "--mode"), self.option(entry, "--size"), self.option(entry, "--batch"), self.option(entry, "--type"),
                           "--steps-per-launch" in entry["words"]) for entry in ours],
                         [("train", "512", "16", "bf16", False), ("train", "512", "16", "bf16", True), ("infer", "128", "8", "bf16", False)])
        theirs = [entry for entry in self.asked("python") if entry["words"][0].endswith("bench_step_gpu.py")]
        self.assertEqual([self.option(entry, "--config") for entry in theirs], list(speed.PYTORCH) * 2)
        self.assertEqual({self.option(entry, "--steps-per-block") for entry in theirs}, {self.option(ours[1], "--steps-per-launch")})

    def test_commands_of_the_slowest_nodes(self):
        self.check("profile:ncu")
        commands = self.asked("ncu", "--profile-from-start", "off", "--nodes", "1")
        self.assertEqual([self.option(entry, "--from-node") for entry in commands], ["1", *map(str, range(19, 10, -1))])
        for entry in commands:
            self.assertEqual(self.option(entry, "--launch-count"), str(speed.LAUNCHES))
            self.assertEqual(entry["words"][entry["words"].index("profile") - 1], str(self.folder.resolve() / "dermatome"))

    def test_commands_of_the_sanitizers(self):
        self.check("racecheck")
        commands = self.asked("compute-sanitizer", "--tool", "racecheck", "--error-exitcode", "9")
        self.assertEqual([entry["shard"] for entry in commands], ["0", "1", "2", "3", None])
        self.assertEqual(len(self.asked("compute-sanitizer")), 5)
        before, = self.asked("dermatome", "train")
        self.assertEqual(commands[-1]["plans"], before["plans"])
        self.assertIsNotNone(before["plans"])
        self.assertIn("train", commands[-1]["words"])

    def test_commands_of_ensembles_and_test_time_augmentation(self):
        self.check("predict", "evaluate")
        for command in ("predict", "evaluate"):
            entries = [entry for entry in self.asked("dermatome", command) if "--predictions" not in entry["words"]]
            several = [entry for entry in entries if entry["words"].count("--run") == 2]
            turned = [entry for entry in entries if "--tta" in entry["words"]]
            for some in (several, turned):
                self.assertEqual({(self.option(entry, "--device"), self.option(entry, "--type")) for entry in some},
                                 {("cpu", "f32"), ("cuda", "f32"), ("cuda", "bf16")})
        self.assertEqual(len(self.asked("dermatome", "train")), 2)
        self.assertEqual({self.option(entry, "--device") for entry in self.asked("dermatome", "train")}, {"cpu"})


class Failures(WithFakes):
    def fails(self, unit, why, **behaviour):
        """The unit fails for this reason, which is said and kept."""
        self.behave(**behaviour)
        code, said = self.check(unit)
        part, _, name = unit.partition(":")
        found = self.units(part)[name]
        self.assertEqual((code, found["state"]), (1, "failed"), said)
        self.assertIn(why, found["why"])
        self.assertIn(f"failed: {found['why']}", said)
        return found

    def skips(self, unit, why, **behaviour):
        self.behave(**behaviour)
        code, said = self.check(unit)
        part, _, name = unit.partition(":")
        found = self.units(part)[name]
        self.assertEqual((code, found["state"]), (0, "skipped"), said)
        self.assertIn(why, found["why"])
        self.assertIn(f"skipped: {found['why']}", said)

    def test_tests_that_fail_are_named(self):
        found = self.fails("tests:kernels", "failed: Cuda/OnGpu.X/conv2d", failing=True)
        self.assertEqual(found["tests"], 4)

    def test_no_test_is_no_success(self):
        self.fails("tests:memory", "no test ran", passed=0)

    def test_test_programs_that_are_not_built(self):
        self.remove("dermatome_cuda_tests")
        for unit in ("tests:kernels", "golden:unet34", "memcheck:kernels:2"):
            self.skips(unit, "there is no ")

    def test_a_node_that_differs(self):
        self.fails("nodes:train", "dermatome bench ended with 1: node 7 differs", fail={"--verify-nodes": "node 7 differs"})

    def test_a_run_that_resumed_to_other_bits(self):
        self.fails("resume:killed", "other bits than in a run that was not stopped: last.safetensors, best.safetensors", other_bits=True)

    def test_a_run_that_stored_no_plans(self):
        self.fails("resume:killed", "the run stored no plans", plans=False)

    def test_a_run_that_resumed_with_other_plans(self):
        self.fails("resume:killed", "1 of 1 plans that the run had stored were chosen anew", new_plans=True)
        self.fails("resume:killed", "1 of 1 plans that the run had stored were chosen anew", asks_user=True)

    def test_a_run_that_ended_before_it_was_killed(self):
        self.fails("resume:killed", "had ended before, with 0", steps=3)

    def test_what_the_sanitizers_find(self):
        for unit in ("memcheck:kernels:1", "racecheck:training"):
            found = self.fails(unit, "found something: ERROR SUMMARY: 3 errors", sanitizer="found")
            self.assertTrue(any("Invalid __global__ write" in line for line in found["lines"]))

    def test_a_sanitizer_that_watched_nothing(self):
        self.fails("memcheck:kernels:1", "memcheck gave no summary", sanitizer="silent")

    def test_a_sanitizer_that_does_not_serve_the_machine(self):
        self.skips("memcheck:training", "Device not supported", sanitizer="device")

    def test_tools_that_are_not_installed(self):
        for tool, unit in (("compute-sanitizer", "memcheck:training"), ("compute-sanitizer", "racecheck:kernels:1"), ("ncu", "profile:ncu")):
            (self.folder / tool).unlink(missing_ok=True)
            self.skips(unit, f"{tool} is not installed")
        self.assertEqual(self.asked("dermatome", "train") + self.asked("dermatome", "profile"), [])

    def test_training_needs_data(self):
        self.skips("training:cuda:bf16", "name a folder of photographs with --data")

    def test_masks_that_differ(self):
        self.behave(different=99)
        self.assertEqual(self.check("predict:single:f32")[0], 0)
        self.fails("predict:tta:f32", "0.1010% of the pixels are not the processor's", different=101)
        self.behave(different=101)
        self.assertEqual(self.check("predict:tta:bf16")[0], 0)

    def test_masks_without_a_lesion_prove_nothing(self):
        self.fails("predict:ensemble:f32", "all of one value", lesion=0)

    def test_scores_that_differ(self):
        self.behave(apart=-0.0019)
        self.assertEqual(self.check("evaluate:single:f32")[0], 0)
        self.fails("evaluate:single:f32", "Jaccard 0.7979, on the processor 0.8000", apart=-0.0021)
        self.behave(apart=-0.0021)
        self.assertEqual(self.check("evaluate:single:bf16")[0], 0)

    def test_a_switch_that_does_not_exist(self):
        self.fails("switches:128:batch_norm_sums", "there is no such pass", fail={"--disable-pass batch_norm_sums": "there is no such pass"})

    def test_a_convolution_that_has_no_kernel(self):
        self.fails("operations:conv:64x64x64x64:64:3", "no kernel", fail={"op": "no kernel"})

    def test_a_node_that_ncu_does_not_see(self):
        found = self.fails("profile:ncu", "9 of the 10 slowest nodes were seen by ncu; then: ncu saw 0 kernels", unseen=[15])
        self.assertEqual([node["index"] for node in found["nodes"] if "launches" not in node], [15])
        self.assertEqual(found["nodes"][0]["launches"][0]["gpu__time_duration.sum"], 1234.5)

    def test_counters_that_may_not_be_read(self):
        self.skips("profile:ncu", "ncu may not read the counters of this machine: ==ERROR== ERR_NVGPUCTRPERM", counters=False)

    def test_no_json_is_a_failure_in_a_sentence(self):
        (self.folder / "dermatome").write_text(gpu_fakes.START + gpu_fakes.DERMATOME.replace("print(json.dumps({\"images", "print(str({\"images"))
        self.fails("switches:128:no-capture", "dermatome bench printed no JSON", block=1)

    def test_results_that_lack_a_figure_fail_in_a_sentence(self):
        (self.folder / "dermatome").write_text(gpu_fakes.START + gpu_fakes.DERMATOME.replace("peak_buffer_bytes", "bytes_at_peak"))
        self.fails("steps:train:128:dermatome", "its results cannot be read: KeyError: 'peak_buffer_bytes'")


class Pytorch(WithFakes):
    def test_without_pytorch_only_our_side_is_measured(self):
        for prepare, why in ((lambda: self.behave(fail={"python -c": "No module named 'torch'"}), "has no PyTorch (No module named 'torch')"),
                             (lambda: self.behave(sees=False), "PyTorch 2.15.0 of "), (lambda: self.remove("python"), "cannot be asked")):
            prepare()
            self.out.unlink(missing_ok=True)
            code, said = self.check("steps:train:256")
            self.assertEqual(code, 0, said)
            units = self.units("steps")
            self.assertEqual(units["train:256:dermatome"]["state"], "passed")
            self.assertEqual({units[f"train:256:{config}"]["state"] for config in speed.PYTORCH}, {"skipped"})
            self.assertIn(why, units["train:256:graph"]["why"])
            self.assertEqual(self.targets("steps"), [])

    def test_is_asked_for_once(self):
        self.check("steps:train:256")
        self.assertEqual(len(self.asked("python", "-c")), 1)

    def test_a_side_that_fails_does_not_stop_the_others(self):
        self.behave(pytorch_fails={"compile": "BackendCompilerFailed: no space"}, theirs={"graph block": 90, "eager block": 80})
        code, said = self.check("steps:train:256")
        self.assertEqual(code, 1, said)
        units = self.units("steps")
        self.assertEqual((units["train:256:compile"]["state"], units["train:256:compile"]["why"]), ("failed", "BackendCompilerFailed: no space"))
        self.assertEqual(units["train:256:compile_graph"]["state"], "passed")
        speed_target = self.targets("steps")[0]
        self.assertAlmostEqual(speed_target["found"], 100 / 90)
        self.assertEqual(speed_target["without"], ["compile"])
        self.assertIn("(graph, without compile)", speed_target["what"])

    def test_a_side_that_crashes_tells_its_last_line(self):
        self.behave(fail={"--config eager": "Segmentation fault"})
        self.check("steps:infer:128:eager")
        self.assertIn("Segmentation fault", self.units("steps")["infer:128:eager"]["why"])


class Targets(WithFakes):
    def measured(self, each=130, block=130, theirs=100, bytes_=60, their_bytes=100):
        ours = {"each": {speed.RATE: each}, "block": {speed.RATE: block}, "peak_bytes": bytes_}
        units = {"train:256:dermatome": ours}
        for config in speed.PYTORCH:
            rate = theirs if config == "graph" else theirs / 2
            units[f"train:256:{config}"] = {"each": {speed.RATE: rate}, "block": {speed.RATE: rate},
                                            "peak_bytes": their_bytes if config == "channels_last" else 2 * their_bytes}
        return speed.judge_steps(units)

    def test_steps_at_and_below_what_is_asked_for(self):
        self.assertEqual([judged["met"] for judged in self.measured()], [True, True])
        self.assertEqual([judged["met"] for judged in self.measured(each=129.9)], [False, True])
        self.assertEqual([judged["met"] for judged in self.measured(block=129.9)], [False, True])
        self.assertEqual([judged["met"] for judged in self.measured(theirs=100.1)], [False, True])
        self.assertEqual([judged["met"] for judged in self.measured(bytes_=61)], [True, False])
        self.assertEqual([judged["met"] for judged in self.measured(their_bytes=99)], [True, False])

    def test_the_worse_way_of_synchronising_counts(self):
        judged = self.measured(each=200, block=150)[0]
        self.assertEqual((judged["found"], judged["ratios"]), (1.5, {"each": 2.0, "block": 1.5}))

    def test_every_case_has_its_own_target(self):
        self.assertEqual({case: wanted for case, (_, wanted) in speed.CASES.items()},
                         {"train:256": 1.3, "train:512": 1.3, "train:128": 1.5, "infer:256": 1.5, "infer:128": 1.5})
        self.behave(each=140, block=140, theirs={f"{config} {way}": 100 for config in speed.PYTORCH for way in ("each", "block")})
        code, said = self.check("steps")
        self.assertEqual(code, 0, said)
        speeds = {judged["what"].split(" bf16")[0]: judged["met"] for judged in self.targets("steps") if "speed" in judged["what"]}
        self.assertEqual(speeds, {"training 256 px batch 64": True, "training 512 px batch 16": True, "training 128 px batch 8": False,
                                  "inference 256 px batch 64": False, "inference 128 px batch 8": False})
        self.assertIn("target MISSED: training 128 px batch 8 bf16, speed beside PyTorch's best (eager): 1.4, at least 1.5 is wanted", said)
        self.assertIn("target met: training 256 px batch 64 bf16, speed", said)
        self.assertIn("of 10 targets 3 are missed", said)

    def test_convolutions_by_time(self):
        for bound, met in ((0.61, True), (0.59, False)):
            self.behave(bound=bound)
            code, said = self.check("operations:step:train:256")
            self.assertEqual(code, 0, said)
            judged, = self.targets("operations")
            self.assertAlmostEqual(judged["found"], bound)
            self.assertEqual(judged["met"], met)
            self.assertIn(f"target {'met' if met else 'MISSED'}: convolutions of training 256 px", said)
            # The optimiser and what is prepared are no convolutions.
            self.assertEqual({row["op"] for row in self.units("operations")["step:train:256"]["operations"]}, {"conv2d", "decoder_step"})

    def test_long_kernels_weigh_more(self):
        self.assertEqual(speed.share_of_roofline([{"median_seconds": 9, "bound_seconds": 3}, {"median_seconds": 1, "bound_seconds": 1}]), 0.4)

    def test_trainings_beside_the_processor(self):
        for jaccard, met in ((0.771, True), (0.769, False)):
            self.behave(jaccard={"cuda:bf16": jaccard, "cuda:f32": 0.9})
            code, said = self.check("training", more=["--data", str(self.folder)])
            self.assertEqual(code, 0, said)
            self.assertEqual([judged["met"] for judged in self.targets("training")], [met, True])

    def test_trainings_of_other_lengths_are_not_compared(self):
        units = {"cuda:f32": {"jaccard": 0.5, "epochs": 6}, "cpu:f32": {"jaccard": 0.8, "epochs": 7}}
        self.assertEqual(masks.judge_training(units), [])
        self.assertEqual(len(masks.judge_training({**units, "cpu:f32": {"jaccard": 0.8, "epochs": 6}})), 1)


class Results(WithFakes):
    def test_parts_are_merged(self):
        self.check("nodes:train")
        self.check("nodes:infer", "tests:memory")
        self.assertEqual(set(self.units("nodes")), {"train", "infer"})
        self.assertEqual(set(self.units("tests")), {"memory"})
        record = json.loads(self.out.read_text())
        self.assertEqual((record["gpu"], record["info"][0]), ("NVIDIA Test GPU", "dermatome        0"))
        self.assertEqual(set(self.units("nodes")["train"]["measured"]), {"date", "commit"})

    def test_a_ratio_comes_from_sides_of_two_calls(self):
        self.check("steps:train:128:eager")
        self.behave(theirs={"graph each": 80})
        self.check("steps:train:128:graph")
        judged = self.targets("steps")[0]
        self.assertAlmostEqual(judged["found"], 100 / 80)
        self.assertEqual(judged["without"], ["channels_last", "compile", "compile_graph"])

    def test_what_is_skipped_takes_nothing_away(self):
        self.check("memcheck:training")
        self.remove("compute-sanitizer")
        self.check("memcheck")
        self.assertEqual(self.units("memcheck")["training"]["state"], "passed")
        self.assertEqual(self.units("memcheck")["kernels:1"]["state"], "skipped")

    def test_what_fails_now_replaces_what_passed(self):
        self.check("tests:kernels")
        self.behave(failing=True)
        self.check("tests:kernels")
        self.assertEqual(self.units("tests")["kernels"]["state"], "failed")

    def test_an_interruption_loses_nothing(self):
        real = base.outcome

        def interrupted(machine, part, unit):
            if unit == "infer":
                raise KeyboardInterrupt
            return real(machine, part, unit)
        with mock.patch.object(base, "outcome", interrupted):
            code, said = self.check("nodes", "tests")
        self.assertEqual(code, 130)
        self.assertIn("stopped; what had ended is in ", said)
        self.assertEqual(self.units("nodes")["train"]["state"], "passed")

    def test_a_file_of_another_gpu_is_left_alone(self):
        for text in ('{"format": 2, "gpu": "another", "parts": {}}', '{"gpu": "NVIDIA Test GPU"}', "no JSON"):
            self.out.write_text(text)
            code, said = self.check("tests")
            self.assertEqual(code, 1)
            self.assertIn("is not of this program and GPU; name another file with --out", said)
            self.assertEqual(self.out.read_text(), text)

    def test_a_program_that_hangs_is_ended_with_all_that_it_started(self):
        self.behave(hang={"--verify-nodes train": 30})
        start = time.monotonic()
        code, said = self.check("nodes", more=["--part-seconds", "2"])
        self.assertLess(time.monotonic() - start, 20)
        self.assertEqual(code, 1)
        self.assertEqual(self.units("nodes")["train"]["why"], "it took longer than 2 s")
        self.assertEqual(self.units("nodes")["infer"]["why"], "the part's 2 s are over; --only nodes:infer goes on")

    def test_a_unit_that_began_late_is_no_failure(self):
        self.behave(hang={"--verify-nodes train": 0.5, "--verify-nodes infer": 30})
        with mock.patch.object(base, "LEAST_SECONDS", 0.1):
            code, said = self.check("nodes", more=["--part-seconds", "4"])
        self.assertEqual((code, self.units("nodes")["infer"]["state"]), (0, "skipped"), said)
        self.assertIn("were too few; --only nodes:infer goes on", self.units("nodes")["infer"]["why"])


if __name__ == "__main__":
    unittest.main()
