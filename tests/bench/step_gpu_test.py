"""bench/pytorch/bench_step_gpu.py with a torch that only writes down what it is asked: what is captured, behind how many steps it waits
for the GPU, which memory counts, and what is said when something fails. Standard library only."""
import contextlib
import io
import json
import pathlib
import sys
import types
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench/pytorch"))


class FakeTorch:
    """Writes into `log`; a step of a network is "forward", "backward", "adam"."""

    def __init__(self):
        self.log = []
        self.clock = 0.0
        self.broken = {}  # what to raise, by what is asked for
        self.options = {}
        torch = types.ModuleType("torch")
        torch.__version__ = "2.15.0"
        torch.float32, torch.bfloat16, torch.contiguous_format, torch.channels_last = "float32", "bfloat16", "NCHW", "NHWC"
        torch.manual_seed = lambda seed: None
        torch.randn = torch.rand = lambda *shape, device: self.tensor()
        torch.compile = self.compile
        torch.autocast = lambda device, **options: self.options.update(autocast=options) or contextlib.nullcontext()
        torch.inference_mode = contextlib.nullcontext
        torch.backends = types.SimpleNamespace(cudnn=types.SimpleNamespace(), cuda=types.SimpleNamespace(matmul=types.SimpleNamespace()))
        torch.optim = types.SimpleNamespace(Adam=self.adam)
        torch.cuda = types.SimpleNamespace(
            Stream=lambda: types.SimpleNamespace(wait_stream=lambda other: self.note("wait")),
            current_stream=lambda: types.SimpleNamespace(wait_stream=lambda other: self.note("wait")),
            stream=lambda stream: self.between("aside", "beside"), CUDAGraph=lambda: types.SimpleNamespace(replay=lambda: self.note("replay")),
            graph=lambda graph: self.between("capture", "captured"), synchronize=lambda: self.note("synchronise"), empty_cache=lambda: None,
            reset_peak_memory_stats=lambda: self.note("peak"), max_memory_allocated=lambda: 11, max_memory_reserved=lambda: 22,
            get_device_name=lambda: "NVIDIA Test GPU")
        functional = types.ModuleType("torch.nn.functional")
        functional.binary_cross_entropy_with_logits = lambda logits, target: types.SimpleNamespace(backward=lambda: self.note("backward"))
        nn = types.ModuleType("torch.nn")
        nn.functional = functional
        inductor = types.ModuleType("torch._inductor")
        inductor.config = types.SimpleNamespace(freezing=False)
        self.inductor = inductor.config
        unet34 = types.ModuleType("unet34")
        unet34.UNet34, unet34.initialise = self.network, lambda net: net
        self.modules = {"torch": torch, "torch.nn": nn, "torch.nn.functional": functional, "torch._inductor": inductor, "unet34": unet34}

    def note(self, word):
        if word in self.broken:
            raise self.broken[word]
        self.log.append(word)
        if word in ("forward", "replay"):
            self.clock += 0.01
        if word == "synchronise":
            self.clock += 0.002

    @contextlib.contextmanager
    def between(self, before, after):
        self.note(before)
        yield
        self.note(after)

    def tensor(self):
        tensor = mock.MagicMock()
        tensor.to.return_value = tensor.__gt__.return_value = tensor
        return tensor

    def network(self):
        net = mock.MagicMock(side_effect=lambda image: self.note("forward") or self.tensor())
        net.to.side_effect = lambda device, memory_format: self.options.update(layout=memory_format) or net
        net.eval.side_effect = lambda: self.options.update(eval=True)
        net.bfloat16.side_effect = lambda: self.options.update(whole_bf16=True)
        return net

    def compile(self, function, mode):
        self.note(f"compile {mode}")
        return function

    def adam(self, parameters, **options):
        self.options["adam"] = options
        return types.SimpleNamespace(step=lambda: self.note("adam"), zero_grad=lambda set_to_none: self.note("forget"))


class StepOnGpu(unittest.TestCase):
    def run_script(self, *words, fake=None):
        """The exit code, what was printed, and the fake torch."""
        fake = fake or FakeTorch()
        with mock.patch.dict(sys.modules, fake.modules), mock.patch.object(sys, "argv", ["bench_step_gpu.py", "--seconds", "0.1", *words]):
            sys.modules.pop("bench_step_gpu", None)
            import bench_step_gpu
            printed = io.StringIO()
            with mock.patch.object(bench_step_gpu.time, "perf_counter", lambda: fake.clock), contextlib.redirect_stdout(printed):
                code = bench_step_gpu.main()
        return code, json.loads(printed.getvalue()), fake

    def test_the_whole_step_is_captured_behind_a_warm_up_aside(self):
        for config in ("graph", "compile_graph"):
            code, record, fake = self.run_script("--config", config, "--warm-up", "2")
            self.assertEqual(code, 0)
            log = [word for word in fake.log if not word.startswith("compile")]
            step = ["forward", "backward", "adam"]
            self.assertEqual(log[:log.index("captured") + 1], ["wait", "aside", "forget", *step, "forget", *step, "beside", "wait", "forget",
                                                               "synchronise", "peak", "capture", *step, "captured"])
            self.assertEqual(set(log[log.index("captured") + 1:]), {"replay", "synchronise"})
            self.assertEqual((fake.options["adam"]["capturable"], fake.options["adam"]["fused"]), (True, True))
            self.assertEqual((fake.options["autocast"]["cache_enabled"], fake.options["autocast"]["enabled"]), (False, True))
            self.assertEqual(fake.options["layout"], "NHWC")
            self.assertEqual(record["peak_bytes"], 11)

    def test_what_is_compiled(self):
        modes = {config: [word for word in self.run_script("--config", config)[2].log if word.startswith("compile")]
                 for config in ("eager", "channels_last", "compile", "graph", "compile_graph")}
        self.assertEqual(modes, {"eager": [], "channels_last": [], "compile": ["compile max-autotune"], "graph": [],
                                 "compile_graph": ["compile max-autotune-no-cudagraphs"]})

    def test_steps_that_are_not_captured_forget_their_gradients(self):
        _, _, fake = self.run_script("--config", "eager", "--warm-up", "1")
        self.assertEqual(fake.log[:5], ["forward", "backward", "adam", "forget", "synchronise"])
        self.assertNotIn("capture", fake.log)
        self.assertEqual((fake.options["adam"]["capturable"], fake.options["layout"]), (False, "NCHW"))

    def test_inference_has_no_gradients(self):
        for config, frozen in (("graph", False), ("compile_graph", True)):
            _, _, fake = self.run_script("--mode", "infer", "--config", config)
            self.assertEqual(set(fake.log) & {"backward", "adam", "forget"}, set())
            self.assertIn("capture", fake.log)
            self.assertEqual((fake.options["eval"], fake.options["whole_bf16"], fake.inductor.freezing), (True, True, frozen))

    def test_waits_behind_each_step_and_behind_each_block(self):
        _, record, fake = self.run_script("--config", "graph", "--steps-per-block", "4")
        replays, waits = [0], fake.log[fake.log.index("captured") + 1:]
        for word in waits:
            if word == "synchronise":
                replays.append(0)
            else:
                replays[-1] += 1
        steps = [count for count in replays if count]
        self.assertEqual(set(steps), {1, 4})
        self.assertEqual(steps, sorted(steps))
        # A replay takes 10 ms here, and waiting 2 ms: the clock is read behind the waiting.
        self.assertAlmostEqual(record["each"]["seconds_median"], 0.012)
        self.assertAlmostEqual(record["block"]["seconds_median"], 0.01 + 0.002 / 4)
        self.assertAlmostEqual(record["block"]["images_per_second_median"], 64 / 0.0105)

    def test_memory_that_a_compiler_hides_is_what_was_reserved(self):
        peaks = {config: self.run_script("--config", config)[1]["peak_bytes"] for config in ("eager", "channels_last", "compile", "compile_graph")}
        self.assertEqual(peaks, {"eager": 11, "channels_last": 11, "compile": 22, "compile_graph": 11})

    def test_what_fails_is_said_in_a_sentence(self):
        for where, error, sentence in (("compile max-autotune-no-cudagraphs", RuntimeError("no compiler\nmore lines"), "RuntimeError: no compiler"),
                                       ("capture", ValueError("\n\n  operation not permitted \n"), "ValueError: operation not permitted"),
                                       ("backward", MemoryError(), "MemoryError: without a word"),
                                       ("replay", RuntimeError("x" * 1000), "RuntimeError: " + "x" * 386)):
            fake = FakeTorch()
            fake.broken[where] = error
            code, record, _ = self.run_script("--config", "compile_graph", fake=fake)
            self.assertEqual((code, record["failed"], record["config"]), (1, sentence, "compile_graph"))
            self.assertNotIn("each", record)


if __name__ == "__main__":
    unittest.main()
