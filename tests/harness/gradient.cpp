// The gradient check: emitted gradient nodes against central differences, in f64.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/core/philox.h"
#include "engine/graph/autograd.h"
#include "tests/harness/checks.h"
#include "tests/harness/meaning.h"

namespace dermatome::harness {
namespace {

using testing::AssertionFailure;
using testing::AssertionSuccess;
using Vector = std::vector<double>;

constexpr double kRelative = 1e-6;
// Naive convolutions cost about this many multiply-adds a second; a case gets some seconds.
constexpr double kFlopsPerCase = 3e9;
constexpr std::size_t kMostElements = 96;

bool differentiable(const Instance& instance, std::size_t output) {
  const auto& specs = instance.op.signature().outputs;
  return is_floating(instance.outputs[output].type) && specs[std::min(output, specs.size() - 1)].differentiable;
}

std::string input_label(const Instance& instance, std::size_t input) {
  const auto& specs = instance.op.signature().inputs;
  return fmt::format("input {} ({})", input, specs[std::min(input, specs.size() - 1)].name);
}

// The op's own gradient as a program: `wanted` inputs, for upstream gradients of the outputs marked in `upstream`.
// One result per input, undefined where the op sets none.
std::vector<Tensor> analytic_gradient(const Instance& instance, const std::vector<Tensor>& weights,
                                      const std::vector<bool>& wanted, const std::vector<bool>& upstream,
                                      Device device = kReference) {
  Graph graph;
  std::vector<Value> inputs;
  for (std::size_t i = 0; i < instance.inputs.size(); ++i) {
    const Tensor& input = instance.inputs[i];
    inputs.push_back(input.defined() ? graph.add_input(input_name(i), input.desc()) : Value{});
  }
  Builder builder(graph);
  builder.call_all(instance.op.name(), inputs, instance.attributes);
  std::vector<Value> seeds(instance.outputs.size());
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    if (upstream[i]) seeds[i] = graph.add_input(fmt::format("upstream{}", i), instance.outputs[i]);
  }
  GradientContext context(builder, graph.nodes()[0], seeds, wanted);
  instance.op.gradient(context);
  std::vector<Tensor> gradients(inputs.size());
  bool any = false;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!wanted[i] || !context.gradients()[i]) continue;
    graph.mark_output(output_name(i), context.gradients()[i]);
    any = true;
  }
  if (!any) return gradients;

  SmallProgram small(device);
  small.program.emplace(std::move(graph), device, small.store, without_passes());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (instance.inputs[i].defined()) small.program->input(input_name(i)).copy_from(instance.inputs[i]);
  }
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    if (seeds[i]) small.program->input(fmt::format("upstream{}", i)).copy_from(weights[i]);
  }
  small.program->run();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (wanted[i] && context.gradients()[i]) gradients[i] = small.program->output(output_name(i)).to(kCpu).clone();
  }
  return gradients;
}

// Differences of <w, outputs> along directions of one input.
class Differences {
 public:
  Differences(const Instance& instance, const std::vector<Tensor>& weights) : instance_(instance), meaning_(instance) {
    for (const Tensor& weight : weights) weights_.push_back(weight.defined() ? values_of(weight) : Vector{});
    for (const Vector& output : evaluate()) largest_ = std::max(largest_, largest_magnitude(output));
  }

  // Fourth order: (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h.
  double along(std::size_t input, const Vector& direction, double h) {
    const auto near = difference(input, direction, h);
    const auto far = difference(input, direction, 2 * h);
    return (8 * near - far) / (12 * h);
  }

  double largest_output() const { return largest_; }

 private:
  std::vector<Vector> evaluate() const {
    std::vector<Vector> outputs;
    for (const Tensor& output : meaning_.outputs(instance_))
      outputs.push_back(output.defined() ? values_of(output) : Vector{});
    return outputs;
  }

  // <w, f(x + h v) - f(x - h v)>; outputs that do not change cancel exactly.
  double difference(std::size_t input, const Vector& direction, double h) {
    const auto x = instance_.inputs[input].as<double>();
    const Vector original(x.begin(), x.end());
    const auto shifted = [&](double factor) {
      for (std::size_t i = 0; i < original.size(); ++i) x[i] = original[i] + factor * direction[i];
      return evaluate();
    };
    const auto up = shifted(h);
    const auto down = shifted(-h);
    std::copy(original.begin(), original.end(), x.begin());
    double sum = 0;
    for (std::size_t o = 0; o < up.size(); ++o) {
      if (weights_[o].empty() || up[o].empty()) continue;
      for (std::size_t i = 0; i < up[o].size(); ++i) sum += weights_[o][i] * (up[o][i] - down[o][i]);
    }
    return sum;
  }

  Instance instance_;
  Meaning meaning_;
  std::vector<Vector> weights_;
  double largest_ = 0;
};

// Small enough that a ladder of distinct values keeps its order.
double step_of(const CaseInput& input) {
  constexpr double kStep = 5e-4;
  if (input.fill.kind != InputFill::Kind::distinct) return kStep;
  const double rung = (input.fill.high - input.fill.low) / static_cast<double>(input.desc.shape.elements());
  return std::min(kStep, rung / 8);
}

std::vector<std::size_t> sample(std::size_t elements, std::size_t most, Philox& random) {
  std::vector<std::size_t> indices(std::min(elements, most));
  if (elements <= most) {
    std::iota(indices.begin(), indices.end(), std::size_t{0});
  } else {
    for (auto& index : indices) index = random.below(static_cast<std::uint32_t>(elements));
  }
  return indices;
}

// Central differences against the gradient of one input; an absent gradient stands for zero.
AssertionResult compare_input(Differences& differences, const Instance& instance, const CaseInput& described,
                              std::size_t input, const Tensor& gradient, std::size_t most) {
  const auto elements = static_cast<std::size_t>(described.desc.shape.elements());
  const Vector analytic = gradient.defined() ? values_of(gradient) : Vector(elements, 0.0);
  if (const double most_magnitude = largest_magnitude(analytic); std::isnan(most_magnitude)) {
    return AssertionFailure() << input_label(instance, input) << ": the gradient has a NaN";
  }
  const double h = step_of(described);
  double outputs = 0;
  for (const TensorDesc& desc : instance.outputs) outputs += static_cast<double>(desc.shape.elements());
  const double rounding = 2e-15 * differences.largest_output() * std::sqrt(outputs + static_cast<double>(elements)) / h;

  Philox random(elements, input);
  Vector direction(elements, 0.0);
  std::vector<std::pair<std::size_t, double>> measured;
  double largest = largest_magnitude(analytic);
  for (const std::size_t i : sample(elements, most, random)) {
    direction[i] = 1;
    measured.emplace_back(i, differences.along(input, direction, h));
    direction[i] = 0;
    largest = std::max(largest, std::abs(measured.back().second));
  }
  for (const auto& [i, numeric] : measured) {
    if (std::abs(numeric - analytic[i]) <= kRelative * largest + rounding) continue;
    return AssertionFailure() << fmt::format(
               "{}, element {}: the gradient {} is {}, central differences give {}", input_label(instance, input), i,
               gradient.defined() ? "" : "(which the op leaves out)", analytic[i], numeric);
  }

  double expected = 0;
  double squares = 0;
  for (std::size_t i = 0; i < elements; ++i) {
    direction[i] = random.below(2) == 0 ? -1.0 : 1.0;
    expected += analytic[i] * direction[i];
    squares += analytic[i] * analytic[i];
  }
  const double numeric = differences.along(input, direction, h);
  if (std::abs(numeric - expected) <= kRelative * (std::sqrt(squares) + largest) + 10 * rounding)
    return AssertionSuccess();
  return AssertionFailure() << fmt::format(
             "{}: along a direction over all elements the gradient is {}, central differences give {}",
             input_label(instance, input), expected, numeric);
}

AssertionResult nearly_equal(const Tensor& a, const Tensor& b, const std::string& what) {
  if (a.defined() != b.defined()) return AssertionFailure() << what << ": the gradient is there only sometimes";
  if (!a.defined()) return AssertionSuccess();
  const Vector x = values_of(a);
  const Vector y = values_of(b);
  const double bound = 1e-11 * largest_magnitude(x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::abs(x[i] - y[i]) <= bound) continue;
    return AssertionFailure() << fmt::format("{}: element {} is {}, and {} with all", what, i, y[i], x[i]);
  }
  return AssertionSuccess();
}

// The sum of the gradients for one upstream each must be that for all together.
AssertionResult check_single_upstreams(const Instance& instance, const std::vector<Tensor>& weights,
                                       const std::vector<bool>& wanted, const std::vector<bool>& upstream,
                                       const std::vector<Tensor>& all) {
  if (std::count(upstream.begin(), upstream.end(), true) < 2) return AssertionSuccess();
  std::vector<Tensor> sums(all.size());
  for (std::size_t o = 0; o < upstream.size(); ++o) {
    if (!upstream[o]) continue;
    std::vector<bool> only(upstream.size(), false);
    only[o] = true;
    const auto part = analytic_gradient(instance, weights, wanted, only);
    for (std::size_t i = 0; i < part.size(); ++i) {
      if (!part[i].defined()) continue;
      if (!sums[i].defined()) {
        sums[i] = part[i];
        continue;
      }
      const auto total = sums[i].as<double>();
      const auto more = part[i].as<double>();
      for (std::size_t k = 0; k < total.size(); ++k) total[k] += more[k];
    }
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string what = input_label(instance, i) + ", summed over upstream gradients of one output at a time";
    if (auto result = nearly_equal(all[i], sums[i], what); !result) return result;
  }
  return AssertionSuccess();
}

// Running statistics and the like: states that no training moves by their gradient, so that an op may leave it out.
std::vector<bool> untrained_states(const Instance& instance) {
  std::vector<bool> untrained(instance.inputs.size(), false);
  if (instance.inputs.empty() || !instance.inputs[0].defined()) return untrained;
  for (const StateSpec& state : instance.op.states(instance.attributes, instance.inputs[0].desc())) {
    if (!state.trainable) untrained[static_cast<std::size_t>(state.input)] = true;
  }
  return untrained;
}

// What a gradient check starts from: which inputs take a gradient, and the weights w of the outputs.
struct Setting {
  Instance instance;
  std::vector<bool> wanted;
  std::vector<bool> upstream;
  std::vector<Tensor> weights;
};

Setting setting_of(const OpCase& op_case, std::optional<DType> floating = DType::f64) {
  Setting setting{.instance = instantiate(op_case, floating), .wanted = {}, .upstream = {}, .weights = {}};
  for (const Tensor& input : setting.instance.inputs)
    setting.wanted.push_back(input.defined() && is_floating(input.type()));
  for (const std::size_t constant : op_case.constants) setting.wanted[constant] = false;
  for (std::size_t o = 0; o < setting.instance.outputs.size(); ++o) {
    setting.upstream.push_back(differentiable(setting.instance, o));
    setting.weights.emplace_back();
    if (!setting.upstream[o]) continue;
    Philox random(o, 77);
    Vector values(static_cast<std::size_t>(setting.instance.outputs[o].shape.elements()));
    for (double& value : values) value = static_cast<double>(random.uniform(-1, 1));
    setting.weights[o] = tensor_from(values, setting.instance.outputs[o]);
  }
  return setting;
}

}  // namespace

bool has_gradient(const OpCase& op_case) {
  const Setting s = setting_of(op_case);
  try {
    const auto gradients = analytic_gradient(s.instance, s.weights, s.wanted, s.upstream);
    return std::any_of(gradients.begin(), gradients.end(), [](const Tensor& gradient) { return gradient.defined(); });
  } catch (const Error&) {
    return false;
  }
}

AssertionResult check_gradient_on(const OpCase& op_case, Device device, std::optional<DType> type) {
  const Setting as_is = setting_of(op_case, type);
  Setting wide{.instance = widened(as_is.instance),
               .wanted = as_is.wanted,
               .upstream = as_is.upstream,
               .weights = as_is.weights};
  for (std::size_t o = 0; o < wide.weights.size(); ++o) {
    if (as_is.upstream[o]) wide.weights[o] = tensor_from(values_of(as_is.weights[o]), wide.instance.outputs[o]);
  }
  const auto want = analytic_gradient(wide.instance, wide.weights, wide.wanted, wide.upstream);
  const auto got = analytic_gradient(as_is.instance, as_is.weights, as_is.wanted, as_is.upstream, device);
  // Errors of the forward nodes add to those of the backward nodes.
  const bool own = type == DType::bf16 && op_case.bf16_gradient_tolerance > 0;
  const double tolerance = own ? op_case.bf16_gradient_tolerance : 4 * tolerance_of(op_case, type);
  for (std::size_t i = 0; i < want.size(); ++i) {
    const std::string what =
        fmt::format("{}, gradient of {} on {}", name_of(op_case), input_label(wide.instance, i), to_string(device));
    if (auto result = agree(want[i], got[i], tolerance, what); !result) return result;
  }
  return AssertionSuccess();
}

AssertionResult check_gradient(const OpCase& op_case) {
  const auto [instance, wanted, upstream, weights] = setting_of(op_case);
  const auto gradients = analytic_gradient(instance, weights, wanted, upstream);

  const Cost cost = instance.op.cost(call_of(instance), instance.outputs);
  const auto most = static_cast<std::size_t>(
      std::clamp(kFlopsPerCase / (4 * (cost.flops + 4 * cost.bytes + 1)), 2.0, static_cast<double>(kMostElements)));

  Differences differences(instance, weights);
  const auto untrained = untrained_states(instance);
  for (std::size_t i = 0; i < instance.inputs.size(); ++i) {
    if (!wanted[i] || (untrained[i] && !gradients[i].defined())) continue;
    if (auto result = compare_input(differences, instance, op_case.inputs[i], i, gradients[i], most); !result) {
      return result << " in " << name_of(op_case);
    }
    std::vector<bool> only(wanted.size(), false);
    only[i] = true;
    const auto alone = analytic_gradient(instance, weights, only, upstream);
    if (auto result = nearly_equal(gradients[i], alone[i], input_label(instance, i) + ", wanted alone"); !result) {
      return result << " in " << name_of(op_case);
    }
  }
  return check_single_upstreams(instance, weights, wanted, upstream, gradients);
}

}  // namespace dermatome::harness
