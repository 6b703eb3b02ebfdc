// The demands on kernels.
#include "tests/harness/checks.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/threads.h"
#include "engine/graph/builder.h"
#include "tests/harness/meaning.h"

namespace dermatome::harness {

using testing::AssertionFailure;
using testing::AssertionSuccess;

namespace {

AssertionResult same_bits(const Tensor& want, const Tensor& got, std::string_view what) {
  if (!want.defined() || !got.defined()) return AssertionSuccess();
  if (std::memcmp(want.data(), got.data(), want.bytes()) == 0) return AssertionSuccess();
  const auto a = values_of(want);
  const auto b = values_of(got);
  std::size_t first = 0;
  while (first + 1 < a.size() && (a[first] == b[first] || (std::isnan(a[first]) && std::isnan(b[first])))) ++first;
  return AssertionFailure() << fmt::format("{}: element {} is {} and then {}", what, first, a[first], b[first]);
}

std::string what_of(const OpCase& op_case, const ReadyKernel& kernel, std::size_t output) {
  return fmt::format("{} by {}, output {} ({})", name_of(op_case), kernel.describe(), output,
                     op_named(op_case.op)
                         .signature()
                         .outputs[std::min(output, op_named(op_case.op).signature().outputs.size() - 1)]
                         .name);
}

ReadyKernel ready(const Instance& instance, const Implementation& implementation, const std::vector<bool>& used = {}) {
  auto kernel = make(implementation, request_for(instance, implementation.place(), used));
  DERMATOME_CHECK(kernel != nullptr, "the {} implementation of {} on {} does not take this case", implementation.name,
                  implementation.op, to_string(implementation.place()));
  return ReadyKernel(std::move(kernel));
}

// Restores the number of threads.
class ThreadScope {
 public:
  ThreadScope() : before_(threads()) {}
  ~ThreadScope() { set_threads(before_); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

}  // namespace

AssertionResult agree(const Tensor& want_tensor, const Tensor& got_tensor, double tolerance, std::string_view what) {
  if (!want_tensor.defined() || !got_tensor.defined()) return AssertionSuccess();
  const auto want = values_of(want_tensor);
  const auto got = values_of(got_tensor);
  const bool exact = !is_floating(want_tensor.type()) || !is_floating(got_tensor.type());
  const double largest = largest_magnitude(want);
  // Below the smallest normal f32 a result may have been flushed to zero.
  constexpr double kSmallest = std::numeric_limits<float>::min();
  const double floor = got_tensor.type() == DType::f64 ? 0.0 : kSmallest;
  const double bound = exact ? 0.0 : std::max(tolerance * largest, floor);
  const bool in_bf16 = want_tensor.type() == DType::bf16 || got_tensor.type() == DType::bf16;
  const double rounding = in_bf16 ? 0x1p-8 : 0.0;  // of each element by itself
  std::size_t worst = 0;
  double difference = 0;
  double most_beyond = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double here = std::abs(want[i] - got[i]);
    const double beyond = here - (bound + rounding * std::abs(want[i]));
    if (beyond <= most_beyond) continue;  // also false for NaN, which is the worst
    most_beyond = beyond;
    difference = here;
    worst = i;
    if (std::isnan(here)) break;
  }
  if (most_beyond <= 0) return AssertionSuccess();
  return AssertionFailure() << fmt::format(
             "{}: element {} is {} instead of {}; {:.2e} of the largest magnitude {}, {:.2e} allowed", what, worst,
             got[worst], want[worst], difference / largest, largest, tolerance);
}

bool accepts(const OpCase& op_case, const Implementation& implementation, std::optional<DType> type) {
  return make(implementation, request_for(without_contents(op_case, type), implementation.place())) != nullptr;
}

double tolerance_of(const OpCase& op_case, std::optional<DType> type) {
  return type == DType::bf16 && op_case.bf16_tolerance > 0 ? op_case.bf16_tolerance : op_case.tolerance;
}

AssertionResult check_parity(const OpCase& op_case, const Implementation& implementation, std::optional<DType> type) {
  const Instance as_is = instantiate(op_case, type);
  const Instance in_f64 = widened(as_is);
  const auto want = Meaning(in_f64).outputs(in_f64);
  const ReadyKernel kernel = ready(as_is, implementation);
  const auto got = kernel.run(as_is, implementation.place());
  const double tolerance = tolerance_of(op_case, type);
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (auto result = agree(want[i], got[i], tolerance, what_of(op_case, kernel, i)); !result) return result;
  }
  return AssertionSuccess();
}

AssertionResult check_composition(const OpCase& op_case, const Implementation& implementation) {
  const Instance in_f64 = instantiate(op_case, DType::f64);
  const Meaning meaning(in_f64);
  if (!meaning.composed()) return AssertionFailure() << op_case.op << " has no composition";
  const auto want = meaning.outputs(in_f64);
  const ReadyKernel kernel = ready(in_f64, implementation);
  const auto got = kernel.run(in_f64, implementation.place());
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (auto result = agree(want[i], got[i], 1e-10, what_of(op_case, kernel, i)); !result) return result;
  }
  return AssertionSuccess();
}

AssertionResult check_reruns(const OpCase& op_case, const Implementation& implementation, bool any_threads,
                             std::optional<DType> type) {
  const ThreadScope restore;
  const Instance instance = instantiate(op_case, type);
  // A kernel may depend on the number of threads that it was made for, its results may not.
  set_threads(1);
  const ReadyKernel kernel = ready(instance, implementation);
  const auto first = kernel.run(instance, implementation.place(), {.poison = 0xff, .used = {}});
  const auto compare = [&](int thread_count, unsigned char poison) -> AssertionResult {
    set_threads(thread_count);
    const ReadyKernel other = ready(instance, implementation);
    const auto again = other.run(instance, implementation.place(), {.poison = poison, .used = {}});
    for (std::size_t i = 0; i < first.size(); ++i) {
      const std::string what = fmt::format("{}, first with 1 thread and 0xff bytes, then with {} and {:#x} bytes",
                                           what_of(op_case, kernel, i), thread_count, poison);
      if (auto result = same_bits(first[i], again[i], what); !result) return result;
    }
    return AssertionSuccess();
  };
  if (auto result = compare(1, 0x3f); !result) return result;
  if (!any_threads) return AssertionSuccess();
  if (auto result = compare(2, 0xff); !result) return result;
  return compare(3, 0xff);
}

AssertionResult check_in_place(const OpCase& op_case, const Implementation& implementation, std::optional<DType> type) {
  const Instance instance = instantiate(op_case, type);
  const ReadyKernel kernel = ready(instance, implementation);
  const auto apart = kernel.run(instance, implementation.place());
  for (const InPlace& pair : instance.op.in_place(call_of(instance))) {
    const auto input = static_cast<std::size_t>(pair.input);
    const auto output = static_cast<std::size_t>(pair.output);
    // The program shares only where the output fits, and never the plain form of an input that it prepares.
    if (output >= instance.outputs.size() || input >= instance.inputs.size() || kernel.prepares(pair.input)) continue;
    if (!kernel.works_in_place(pair)) continue;
    if (!instance.inputs[input].defined() || instance.inputs[input].bytes() < instance.outputs[output].bytes())
      continue;
    const auto shared = kernel.run(instance, implementation.place(), {.used = {}, .shared = pair});
    for (std::size_t i = 0; i < apart.size(); ++i) {
      const std::string what = fmt::format("{}, with output {} in the memory of input {}", what_of(op_case, kernel, i),
                                           pair.output, pair.input);
      if (auto result = same_bits(apart[i], shared[i], what); !result) return result;
    }
  }
  return AssertionSuccess();
}

AssertionResult check_unused_outputs(const OpCase& op_case, const Implementation& implementation,
                                     std::optional<DType> type) {
  const Instance instance = instantiate(op_case, type);
  const ReadyKernel kernel = ready(instance, implementation);
  const auto all = kernel.run(instance, implementation.place());
  for (std::size_t i = 0; i < instance.outputs.size(); ++i) {
    std::vector<bool> used(instance.outputs.size(), false);
    used[i] = true;
    auto alone = make(implementation, request_for(instance, implementation.place(), used));
    if (alone == nullptr) continue;
    const ReadyKernel ready_alone(std::move(alone));
    const auto got = ready_alone.run(instance, implementation.place(), {.used = used});
    // Another algorithm may have been chosen, so not bit for bit.
    if (auto result = agree(all[i], got[i], op_case.tolerance, what_of(op_case, kernel, i) + " alone"); !result)
      return result;
  }
  return AssertionSuccess();
}

namespace {

AssertionResult compare_program(const OpCase& op_case, Device device, std::optional<DType> type,
                                bool inputs_are_states) {
  const Instance shapes = instantiate(op_case, type);
  SmallProgram small(device);
  Graph graph;
  std::vector<Value> inputs;
  for (std::size_t i = 0; i < shapes.inputs.size(); ++i) {
    const Tensor& input = shapes.inputs[i];
    if (!input.defined()) {
      inputs.emplace_back();
    } else if (inputs_are_states && is_floating(input.type()) && input.type() != DType::bf16) {
      inputs.push_back(graph.read_state({.name = input_name(i), .desc = input.desc(), .initializer = {}, .group = {}}));
    } else {
      inputs.push_back(graph.add_input(input_name(i), input.desc()));
    }
  }
  Builder builder(graph);
  const auto outputs = builder.call_all(op_case.op, std::move(inputs), shapes.attributes);
  for (std::size_t i = 0; i < outputs.size(); ++i) graph.mark_output(output_name(i), outputs[i]);
  small.store.create(graph.states(), 1);
  small.program.emplace(std::move(graph), device, small.store, without_passes());

  for (const unsigned salt : {0u, 1u}) {
    const Instance as_is = instantiate(op_case, type, salt);
    for (std::size_t i = 0; i < as_is.inputs.size(); ++i) {
      if (!as_is.inputs[i].defined()) continue;
      if (small.store.contains(input_name(i))) {
        small.store.write(input_name(i), as_is.inputs[i]);
      } else {
        small.program->input(input_name(i)).copy_from(as_is.inputs[i]);
      }
    }
    small.program->run();
    const ReadyKernel fresh(make_kernel(request_for(as_is, device)));
    const auto want = fresh.run(as_is, device);
    for (std::size_t i = 0; i < want.size(); ++i) {
      const std::string what = fmt::format("{} as a program on {}, {}, contents {}, output {}", name_of(op_case),
                                           to_string(device), inputs_are_states ? "states" : "inputs", salt, i);
      const Tensor got = small.program->output(output_name(i)).to(kCpu);
      if (auto result = same_bits(want[i], got, what); !result) return result;
    }
  }
  return AssertionSuccess();
}

}  // namespace

AssertionResult check_program(const OpCase& op_case, Device device, std::optional<DType> type) {
  if (auto result = compare_program(op_case, device, type, true); !result) return result;
  return compare_program(op_case, device, type, false);
}

}  // namespace dermatome::harness
