// Building an operation's graph from texts, filling its inputs, timing its kernels.
#include "tools/measurement/operation_bench.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <set>

#include "engine/compile/type_policy.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/graph/autograd.h"
#include "engine/graph/builder.h"
#include "tools/measurement/statistics.h"

namespace dermatome::measurement {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "8x64x64x64:u8".
TensorDesc parse_desc(const std::string& text, DType fallback) {
  const auto colon = text.find(':');
  TensorDesc desc{colon == std::string::npos ? fallback : parse_dtype(text.substr(colon + 1)), {}};
  std::vector<std::int64_t> extents;
  double elements = 1;
  std::string_view rest = std::string_view(text).substr(0, colon);
  while (true) {
    const auto end = rest.find('x');
    const auto extent = number_of<std::int64_t>(rest.substr(0, end));
    if (!extent || *extent < 1 || extents.size() == Shape::kMaxRank ||
        (elements *= static_cast<double>(*extent)) > 1e12) {
      fail_usage("--shape '{}' is no shape such as 8x64x64x64 or 8x64x64x1:u8", text);
    }
    extents.push_back(*extent);
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  desc.shape = Shape(std::span<const std::int64_t>(extents));
  return desc;
}

AttributeArgument parse_argument(const AttributeSpec& spec, const std::string& text) {
  if (spec.kind == AttributeKind::boolean && (text == "true" || text == "false")) return text == "true";
  if (const auto whole = number_of<std::int64_t>(text)) return *whole;
  if (const auto real = number_of<double>(text)) return *real;
  return text;
}

Attributes parse_attributes(const Op& op, const std::vector<std::string>& assignments) {
  const auto& specs = op.signature().attributes;
  Attributes attributes(specs);
  for (const auto& assignment : assignments) {
    const auto equals = assignment.find('=');
    if (equals == std::string::npos) fail_usage("--attribute '{}' is not of the form name=value", assignment);
    const std::string name = assignment.substr(0, equals);
    const auto spec = std::find_if(specs.begin(), specs.end(), [&](const AttributeSpec& s) { return s.name == name; });
    attributes.set(name, spec == specs.end() ? AttributeArgument(std::int64_t{0})
                                             : parse_argument(*spec, assignment.substr(equals + 1)));
  }
  attributes.check_complete();
  return attributes;
}

std::string names_of(const std::vector<InputSpec>& inputs) {
  std::vector<std::string> names;
  for (const auto& input : inputs) names.push_back(input.name + (input.optional ? " (optional)" : ""));
  return fmt::format("{}", fmt::join(names, ", "));
}

std::vector<StateSpec> states_of(const Op& op, const Attributes& attributes, const TensorDesc& input) {
  try {
    return op.states(attributes, input);
  } catch (const Error& error) {
    fail_usage("{} does not take an input {}: {}", op.name(), to_string(input), error.what());
  }
}

// What the operation is applied to: inputs of the graph where a shape is given, states where one is not.
std::vector<Value> operands(Graph& graph, const Op& op, const Attributes& attributes,
                            const OperationSettings& settings) {
  const auto& specs = op.signature().inputs;
  const bool variadic = !specs.empty() && specs.back().variadic;
  const auto data = static_cast<std::size_t>(
      std::count_if(specs.begin(), specs.end(), [](const InputSpec& spec) { return !spec.state; }));
  const bool states_given = settings.shapes.size() > data && !variadic;
  if (settings.shapes.size() > specs.size() && !variadic) {
    fail_usage("{} has {} inputs ({}) and {} shapes are given", op.name(), specs.size(), names_of(specs),
               settings.shapes.size());
  }
  std::vector<Value> values;
  std::size_t next = 0;
  for (std::size_t i = 0; i < specs.size() || next < settings.shapes.size(); ++i) {
    const InputSpec& spec = specs[std::min(i, specs.size() - 1)];
    values.emplace_back();
    if ((spec.state && !states_given) || next == settings.shapes.size()) {
      if (!spec.state && !spec.optional && !spec.variadic) {
        fail_usage("{} needs a --shape for its input {}; its inputs are {}", op.name(), spec.name, names_of(specs));
      }
      continue;
    }
    const std::string& text = settings.shapes[next++];
    if (text == "none") continue;
    const std::string number = spec.variadic ? std::to_string(i) : "";
    values.back() =
        graph.add_input(spec.name + number, parse_desc(text, settings.type == DType::f64 ? DType::f64 : DType::f32));
  }
  if (states_given || values.empty() || !values[0]) return values;
  for (const StateSpec& state : states_of(op, attributes, graph.desc(values[0]))) {
    values[static_cast<std::size_t>(state.input)] = graph.read_state({.name = op.name() + "." + state.suffix,
                                                                      .desc = state.desc,
                                                                      .initializer = state.initializer,
                                                                      .group = "",
                                                                      .trainable = state.trainable});
  }
  return values;
}

bool differentiable(const Graph& graph, const Op& op, const std::vector<Value>& outputs, std::size_t output) {
  const auto& specs = op.signature().outputs;
  return is_floating(graph.desc(outputs[output]).type) && specs[std::min(output, specs.size() - 1)].differentiable;
}

// The gradient of every floating-point input, for gradients of the outputs that are inputs of the graph.
void add_gradient(Graph& graph, Builder& builder, const Op& op, const std::vector<Value>& outputs) {
  const Node node = graph.nodes().front();
  std::vector<Value> upstream(outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!differentiable(graph, op, outputs, i)) continue;
    upstream[i] = graph.add_input("gradient of " + op.signature().outputs[i].name, graph.desc(outputs[i]));
  }
  std::vector<bool> wanted;
  for (const Value input : node.inputs) wanted.push_back(input && is_floating(graph.desc(input).type));
  builder.set_scope({.name = "gradient", .group = "", .at = {}});
  GradientContext context(builder, node, upstream, wanted);
  op.gradient(context);
  const auto& specs = op.signature().inputs;
  for (std::size_t i = 0; i < context.gradients().size(); ++i) {
    if (!context.gradients()[i]) continue;
    const std::string number = i >= specs.size() ? std::to_string(i) : "";
    graph.mark_output("gradient of " + specs[std::min(i, specs.size() - 1)].name + number, context.gradients()[i]);
  }
}

// Multiples of 1/128 in [-1, 1), which every floating-point type holds exactly; integers are zero, which is a valid
// index, class or choice everywhere.
void fill(const Tensor& to, std::uint64_t stream) {
  Philox random(7, stream);
  Tensor host(to.desc());
  host.zero();
  const auto count = static_cast<std::size_t>(host.shape().elements());
  const auto draw = [&] { return (static_cast<float>(random.below(256)) - 128) / 128; };
  if (host.type() == DType::f32) {
    for (float& value : host.as<float>()) value = draw();
  } else if (host.type() == DType::f64) {
    for (double& value : host.as<double>()) value = draw();
  } else if (host.type() == DType::bf16) {
    for (std::size_t i = 0; i < count; ++i) {
      const float value = draw();
      std::memcpy(host.data() + 2 * i, reinterpret_cast<const std::byte*>(&value) + 2, 2);  // the upper half
    }
  }
  to.copy_from(host);
}

std::vector<double> values_of(const Tensor& tensor) {
  Tensor host(tensor.desc());
  host.copy_from(tensor);
  std::vector<double> values(static_cast<std::size_t>(host.shape().elements()));
  const auto copy = [&](const auto& from) { std::copy(from.begin(), from.end(), values.begin()); };
  switch (host.type()) {
    case DType::f32: copy(host.as<float>()); break;
    case DType::f64: copy(host.as<double>()); break;
    case DType::u8: copy(host.as<std::uint8_t>()); break;
    case DType::i32: copy(host.as<std::int32_t>()); break;
    case DType::bf16:
      for (std::size_t i = 0; i < values.size(); ++i) {
        float value = 0;
        std::memcpy(reinterpret_cast<std::byte*>(&value) + 2, host.data() + 2 * i, 2);
        values[i] = static_cast<double>(value);
      }
  }
  return values;
}

// Seconds of single runs. Where one takes less than a clock can tell, or than a launch takes the host, several are
// timed together.
std::vector<double> sample(Program& program, std::size_t step, double seconds) {
  constexpr double kShortest = 50e-6;
  const double first = program.run_step(step);
  const int together = std::max(1, static_cast<int>(kShortest / std::max(first, 1e-9)));
  std::vector<double> samples;
  const auto start = Clock::now();
  while (samples.size() < 3 || since(start) < seconds) samples.push_back(program.run_step(step, together) / together);
  return samples;
}

// The inputs that are bf16 where the operation runs inside a bf16 network, and the gradients that come to it there.
std::set<std::string> reduced_inputs(const Graph& graph) {
  std::set<std::string> names;
  for (const auto& entry : graph.inputs()) {
    if (graph.desc(entry.value).type != DType::f32) continue;
    for (const Node& node : graph.nodes()) {
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        const auto& specs = node.op->signature().inputs;
        const bool reduced = specs[std::min(i, specs.size() - 1)].precision != Precision::full;
        if (node.inputs[i] == entry.value && reduced) names.insert(entry.name);
      }
    }
  }
  return names;
}

}  // namespace

Graph OperationBench::build(const OperationSettings& settings) const {
  const Op& op = op_named(settings.op);
  const Attributes attributes = parse_attributes(op, settings.attributes);
  Graph graph;
  Builder builder(graph);
  builder.set_scope({.name = "forward", .group = "", .at = {}});
  const auto inputs = operands(graph, op, attributes, settings);
  const auto outputs = builder.call_all(op.name(), inputs, attributes);
  if (settings.type == DType::bf16) builder.set_scope({.name = "reader", .group = "", .at = {}});
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    Value result = outputs[i];
    // A reader that takes bf16: without one the operation would be asked to write f32.
    const bool reader = settings.type == DType::bf16 && graph.desc(result).type == DType::f32;
    if (reader) result = builder.call("cast", {result}, {{"type", std::string("f32")}});
    graph.mark_output(op.signature().outputs[i].name, result);
  }
  if (settings.gradient) add_gradient(graph, builder, op, outputs);
  if (settings.type == DType::bf16) apply_type_policy(graph, reduced_inputs(graph));
  return graph;
}

OperationBench::OperationBench(const OperationSettings& settings) : store_(settings.device) {
  if (!is_floating(settings.type)) {
    fail_usage("{} is measured in a floating-point type, not in {}", settings.op, name_of(settings.type));
  }
  Graph graph = build(settings);
  store_.create(graph.states(), 7);
  CompileOptions options = settings.compile;
  options.activations = DType::f32;  // the policy has been applied
  options.planner = false;           // a kernel that runs alone finds its inputs as they were
  program_.emplace(std::move(graph), settings.device, store_, options);
  fill_inputs();
  results();
}

void OperationBench::fill_inputs() {
  std::uint64_t stream = 0;
  for (const auto& entry : program_->graph().inputs()) fill(program_->input(entry.name), stream++);
}

std::vector<OperationBench::Result> OperationBench::results() {
  const auto start = Clock::now();
  program_->run();
  last_run_seconds_ = since(start);
  std::vector<Result> results;
  for (const auto& entry : program_->graph().outputs()) {
    results.push_back({.name = entry.name, .values = values_of(program_->output(entry.name))});
  }
  return results;
}

std::vector<OperationBench::Timing> OperationBench::time(const std::string& pass, double seconds,
                                                         const MachineRates& rates) {
  std::vector<Timing> timings;
  for (std::size_t i = 0; i < program_->steps().size(); ++i) {
    const Step& step = program_->steps()[i];
    if (!step.name.ends_with(pass) || step.name.starts_with("cast for")) continue;
    NodeProfile node = describe_step(*program_, step, rates);
    const auto samples = sample(*program_, i, seconds);
    node.index = static_cast<int>(i);
    node.program = pass;
    node.seconds = median(samples);
    node.fastest = *std::min_element(samples.begin(), samples.end());
    timings.push_back({.node = std::move(node), .runs = static_cast<int>(samples.size())});
  }
  return timings;
}

}  // namespace dermatome::measurement
