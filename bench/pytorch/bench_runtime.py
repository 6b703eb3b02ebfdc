"""Times one inference pass of U-Net34 in ONNX Runtime or OpenVINO: the peers of the inference benchmarks.

Both get the ONNX file of export_onnx.py at its fixed shape and run one request at a time on --threads threads.
ONNX Runtime: all graph optimisations, float32 (it has no bfloat16 convolution on the CPU). OpenVINO: the latency hint with one stream,
inference precision float32 or bfloat16 as --type says; input and output stay float32 tensors that are set once.

With --rounds-server it answers `run K` lines as bench_step.py does; otherwise it prints one JSON line.
"""
import argparse
import json
import statistics
import time

import numpy

from rounds import forget_peak, peak_now, resident_now, serve_rounds, timed

WARM_UP_STEPS = 5


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", choices=("onnxruntime", "openvino"), required=True)
    parser.add_argument("--onnx", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--type", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds-server", action="store_true")
    return parser.parse_args()


def make_onnxruntime(arguments, image):
    if arguments.type != "f32":
        raise SystemExit("ONNX Runtime's CPU provider has no bfloat16 convolution")
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(arguments.onnx, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input("image", image)
    binding.bind_output("logits", "cpu")
    return lambda: session.run_with_iobinding(binding), {"version": onnxruntime.__version__}


def make_openvino(arguments, image):
    import openvino
    import openvino.properties as properties
    import openvino.properties.hint as hint
    core = openvino.Core()
    precision = {"f32": openvino.Type.f32, "bf16": openvino.Type.bf16}[arguments.type]
    compiled = core.compile_model(arguments.onnx, "CPU", {
        hint.performance_mode: hint.PerformanceMode.LATENCY, properties.num_streams: 1,
        properties.inference_num_threads: arguments.threads, hint.inference_precision: precision})
    used = compiled.get_property(hint.inference_precision)
    if used != precision:
        raise SystemExit(f"OpenVINO computes in {used.get_type_name()} here, not in {arguments.type}")
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(image))
    return request.infer, {"version": openvino.__version__}


def main():
    arguments = parse_arguments()
    image = numpy.random.default_rng(0).standard_normal((arguments.batch, 3, arguments.size, arguments.size), numpy.float32)
    make = {"onnxruntime": make_onnxruntime, "openvino": make_openvino}[arguments.runtime]
    step, extra = make(arguments, image)
    timed(step, WARM_UP_STEPS)
    settings = {"program": arguments.runtime, "size": arguments.size, "batch": arguments.batch, "mode": "infer", "type": arguments.type,
                "threads": arguments.threads, "rss_bytes": resident_now(), **extra}
    if arguments.rounds_server:
        return serve_rounds(step, settings)
    forget_peak()
    times, end = [], time.perf_counter() + arguments.seconds
    while time.perf_counter() < end or len(times) < 5:
        times += timed(step, 1)
    print(json.dumps({**settings, "images_per_second_median": arguments.batch / statistics.median(times),
                      "images_per_second_best": arguments.batch / min(times), "peak_rss_bytes": peak_now()}))


if __name__ == "__main__":
    main()
