// Google Benchmark of every kernel of a model's training step and inference, at the shapes that compiling the model's
// own graphs gives. Equal kernels run once; `nodes` says how many there are. Each runs alone on the inputs that a real
// step left, so the caches are warmer than inside a step: small tensors reach more than the copy's rate.
// DERMATOME_DISABLE_PASS leaves out passes of the compiler, and so shows the kernels that they fuse.
#include <benchmark/benchmark.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "engine/core/threads.h"
#include "models/builtin.h"
#include "tools/measurement/profile.h"

namespace dermatome {
namespace {

struct Options {
  std::string model = "unet34";
  std::string type = "f32";
  int size = 128;
  int batch = 8;
  int threads = 0;
  double rate_seconds = 0.5;
};

std::string shapes_of(const Step& step) {
  std::vector<std::string> shapes;
  for (const Operand& input : step.inputs) {
    if (input.data == nullptr) continue;
    shapes.push_back(fmt::format("{}", fmt::join(input.extent, input.extent + input.rank, "x")));
  }
  constexpr std::size_t kMostShown = 4;  // Adam has hundreds
  if (shapes.size() > kMostShown) {
    const std::size_t more = shapes.size() - kMostShown;
    shapes.resize(kMostShown);
    shapes.push_back(fmt::format("and_{}_more", more));
  }
  return fmt::format("{}", fmt::join(shapes, ","));
}

// "train/conv2d/8x32x32x64,64x64x3x3/channels=64,kernel=3,pad=1,bias=false".
std::string name_of(const std::string& mode, const Program& program, const Step& step) {
  const Node& node = program.graph().nodes()[static_cast<std::size_t>(step.node)];
  std::string attributes = node.attributes.to_string();
  attributes.erase(std::remove(attributes.begin(), attributes.end(), ' '), attributes.end());
  const std::string name = fmt::format("{}/{}/{}", mode, node.op->name(), shapes_of(step));
  return attributes.empty() ? name : name + "/" + attributes;
}

struct Subject {
  Program* program = nullptr;
  std::size_t step = 0;
  measurement::NodeProfile node;
  DType type = DType::f32;
  int nodes = 0;
};

DType type_of(const Program& program, const Step& step) {
  const Graph& graph = program.graph();
  const Node& node = graph.nodes()[static_cast<std::size_t>(step.node)];
  return node.op->compute_type(graph.call_of(node), graph.output_descs(node));
}

void collect(const std::string& mode, Program& program, const measurement::MachineRates& rates,
             std::vector<std::pair<std::string, Subject>>& subjects) {
  for (std::size_t i = 0; i < program.steps().size(); ++i) {
    const Step& step = program.steps()[i];
    if (step.node < 0) continue;
    const std::string name = name_of(mode, program, step);
    auto known = std::find_if(subjects.begin(), subjects.end(), [&](const auto& s) { return s.first == name; });
    if (known == subjects.end()) {
      subjects.push_back({name, Subject{.program = &program,
                                        .step = i,
                                        .node = measurement::describe_step(program, step, rates),
                                        .type = type_of(program, step)}});
      known = subjects.end() - 1;
    }
    ++known->second.nodes;
  }
}

void run_subject(benchmark::State& state, const Subject& subject, const measurement::MachineRates& rates) {
  for (auto _ : state) subject.program->run_step(subject.step);
  const auto a_second = benchmark::Counter::kIsIterationInvariantRate;
  const Cost& cost = subject.node.cost;
  state.counters["MFLOP"] = cost.flops / 1e6;
  state.counters["MB"] = cost.bytes / 1e6;
  state.counters["FLOP/s"] = benchmark::Counter(cost.flops, a_second);
  state.counters["B/s"] = benchmark::Counter(cost.bytes, a_second);
  // Shares, 1 is all that the machine has.
  if (rates.copy > 0) state.counters["of_copy"] = benchmark::Counter(cost.bytes / rates.copy, a_second);
  const double matrix = rates.matrix(subject.type);
  if (matrix > 0) state.counters["of_matrix"] = benchmark::Counter(cost.flops / matrix, a_second);
  state.counters["of_roofline"] = benchmark::Counter(subject.node.bound.seconds, a_second);
  state.counters["nodes"] = subject.nodes;
  state.SetLabel(subject.node.kernel);
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Every kernel of a model at its real shapes; flags of Google Benchmark (--benchmark_filter=REGEX) too.");
  app.add_option("--model", options.model, "A built-in model or a .graph file")->capture_default_str();
  app.add_option("--type", options.type, "Element type of activations: f32 or bf16")
      ->capture_default_str()
      ->check(CLI::IsMember({"f32", "bf16"}));
  app.add_option("--size", options.size, "Side of the photographs in pixels")->capture_default_str();
  app.add_option("--batch", options.batch, "Images a step")->capture_default_str();
  app.add_option("--threads", options.threads, "Threads; 0: as many as there are cores")->capture_default_str();
  app.add_option("--rate-seconds", options.rate_seconds, "How long to measure each of the machine's own rates")
      ->capture_default_str();
  app.footer(
      "DERMATOME_DISABLE_PASS=NAME,... leaves out passes of the compiler, whose unfused kernels are shown then\n"
      "(`dermatome info` lists the passes); DERMATOME_DISABLE_KERNEL=NAME,... does without implementations.");
  app.allow_extras();
  CLI11_PARSE(app, argc, argv);
  std::vector<std::string> rest = app.remaining();
  std::vector<char*> words{argv[0]};
  for (auto& word : rest) words.push_back(word.data());
  int count = static_cast<int>(words.size());
  benchmark::Initialize(&count, words.data());
  if (benchmark::ReportUnrecognizedArguments(count, words.data())) return 2;

  CompileOptions compile = options_from_environment();
  compile.activations = activation_type(options.type, Device{});
  compile.planner = false;  // a kernel that runs alone finds its inputs as they were
  set_threads(options.threads);
  const auto rates = measurement::measure_machine_rates(options.rate_seconds);
  benchmark::AddCustomContext("copy_bytes_per_second", fmt::format("{:.4g}", rates.copy));
  benchmark::AddCustomContext("matrix_f32_flops_per_second", fmt::format("{:.4g}", rates.matrix_f32));
  benchmark::AddCustomContext("matrix_bf16_flops_per_second", fmt::format("{:.4g}", rates.matrix_bf16));
  benchmark::AddCustomContext("processor", cpu_model_name());
  benchmark::AddCustomContext("instruction_set", std::string(dermatome::name_of(instruction_set())));
  benchmark::AddCustomContext("threads", std::to_string(threads()));

  const Model model = find_model(options.model);
  std::vector<std::unique_ptr<measurement::StepBench>> benches;
  std::vector<std::pair<std::string, Subject>> subjects;
  for (const char* mode : {"train", "infer"}) {
    benches.push_back(std::make_unique<measurement::StepBench>(
        model,
        measurement::StepSettings{.mode = mode, .size = options.size, .batch = options.batch, .compile = compile}));
    benches.back()->run();
    for (const auto& part : benches.back()->parts()) collect(mode, *part.program, rates, subjects);
  }
  for (const auto& [name, subject] : subjects) {
    benchmark::RegisterBenchmark(
        name.c_str(), [&subject = subject, &rates](benchmark::State& state) { run_subject(state, subject, rates); })
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace dermatome

int main(int argc, char** argv) {
  try {
    return dermatome::run(argc, argv);
  } catch (const dermatome::UsageError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
