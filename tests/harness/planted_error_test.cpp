// The harness itself: every check must find the error that it exists for. Each test op here is right but for one thing.
#include <gtest/gtest.h>

#include <omp.h>

#include "kernels/launch/cpu.h"
#include "tests/harness/checks.h"
#include "tests/harness/meaning.h"
#include "tests/harness/test_ops.h"

namespace dermatome::harness {
namespace {

using launch::in;
using launch::out;

OpCase case_of(std::string op, std::vector<CaseInput> inputs = {{{DType::f32, {3, 5}}}}) {
  return {.op = std::move(op), .name = "planted", .inputs = std::move(inputs), .attributes = {}};
}

Implementation on_cpu(std::string op) {
  return {std::move(op), DeviceKind::cpu, "test"};
}
Implementation on_reference(std::string op) {
  return {std::move(op), DeviceKind::reference, "test"};
}

template <typename T>
void twice(const Call& call) {
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) out<T>(call, 0)[i] = 2 * in<T>(call, 0)[i];
}

Signature signature(std::string name, std::vector<InputSpec> inputs = {{"x"}},
                    std::vector<OutputSpec> outputs = {{"y"}}) {
  return {.name = std::move(name),
          .summary = "test only",
          .inputs = std::move(inputs),
          .outputs = std::move(outputs),
          .attributes = {}};
}

// test_planted_KIND(x) = 2 x on the reference device, and `broken` on the CPU.
std::string plant(std::string kind, KernelFunction broken, OpParts parts = {}, WorkspaceFunction workspace = nullptr) {
  const std::string name = "test_planted_" + kind;
  if (find_op(name) != nullptr) return name;  // with --gtest_repeat
  parts.signature = signature(name);
  register_test_op(std::move(parts));
  register_test_kernels(name, DeviceKind::cpu, broken, twice<double>, workspace);
  register_test_kernels(name, DeviceKind::reference, twice<float>, twice<double>);
  return name;
}

// The failure's text when a check fails, or nothing.
std::string failure(const AssertionResult& result) {
  return result ? "" : result.message();
}

void expect_failure(const AssertionResult& result, const std::string& part) {
  EXPECT_FALSE(result) << "a planted error was not found";
  EXPECT_NE(failure(result).find(part), std::string::npos) << failure(result);
}

TEST(PlantedErrors, RightOpsPass) {
  const OpCase square = case_of("test_square");
  EXPECT_TRUE(check_gradient(square));
  EXPECT_TRUE(check_parity(square, on_cpu("test_square")));
  EXPECT_TRUE(check_reruns(square, on_cpu("test_square"), true));
  EXPECT_TRUE(check_in_place(square, on_cpu("test_square")));
  EXPECT_TRUE(check_program(square, kCpu));
  EXPECT_TRUE(check_gradient(case_of("test_counts")));
  EXPECT_TRUE(check_unused_outputs(case_of("test_counts"), on_cpu("test_counts")));
  EXPECT_TRUE(check_reruns(case_of("test_scratch"), on_cpu("test_scratch"), true));
  const OpCase weighted = case_of("test_weighted", {{{DType::f32, {3, 5}}}, {{DType::f32, {3, 5}}}});
  EXPECT_TRUE(check_parity(weighted, on_cpu("test_weighted")));
  EXPECT_TRUE(check_program(weighted, kCpu));
}

TEST(PlantedErrors, WrongGradientIsFound) {
  const std::string name =
      plant("gradient", twice<float>, {.gradient = [](GradientContext& context) {
              context.set(0, context.builder().add(context.upstream(),
                                                   context.builder().add(context.upstream(), context.upstream())));
            }});
  expect_failure(check_gradient(case_of(name)), "central differences");
}

TEST(PlantedErrors, SlightlyWrongGradientIsFound) {
  const std::string name = plant("slight_gradient", twice<float>, {.gradient = [](GradientContext& context) {
                                   context.set(0, context.builder().scale(context.upstream(), 2.00001));
                                 }});
  expect_failure(check_gradient(case_of(name)), "central differences");
}

// One wrong element among many is in no sample; the direction over all of them sees it.
template <typename T>
void wrong_in_one_element(const Call& call) {
  twice<T>(call);
  out<T>(call, 0)[12345] *= T(1.5);
}

TEST(PlantedErrors, OneWrongElementOfALargeGradientIsFound) {
  if (find_op("test_planted_element_gradient") == nullptr) {
    register_test_op({.signature = signature("test_planted_element_gradient")});
    register_test_kernels("test_planted_element_gradient", wrong_in_one_element<float>, wrong_in_one_element<double>);
  }
  const std::string name =
      plant("element", twice<float>, {.gradient = [](GradientContext& context) {
              context.set(0, context.builder().call("test_planted_element_gradient", {context.upstream()}));
            }});
  expect_failure(check_gradient(case_of(name, {{{DType::f32, {1, 200, 200, 1}}}})), "direction over all elements");
}

TEST(PlantedErrors, ForgottenGradientIsFound) {
  const std::string name = plant("forgotten", twice<float>, {.gradient = [](GradientContext&) {}});
  expect_failure(check_gradient(case_of(name)), "leaves out");
}

template <typename T>
void product(const Call& call) {
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) out<T>(call, 0)[i] = in<T>(call, 0)[i] * in<T>(call, 1)[i];
}

// Right when both are wanted, wrong when the second one is alone.
TEST(PlantedErrors, GradientThatDependsOnWhatElseIsWantedIsFound) {
  if (find_op("test_planted_wanted") == nullptr) {
    register_test_op(
        {.signature = signature("test_planted_wanted", {{"a"}, {"b"}}), .gradient = [](GradientContext& c) {
           c.set(0, c.builder().call("test_multiply", {c.upstream(), c.input(1)}));
           const Value other = c.wants(0) ? c.input(0) : c.input(1);
           c.set(1, c.builder().call("test_multiply", {c.upstream(), other}));
         }});
    register_test_kernels("test_planted_wanted", product<float>, product<double>);
  }
  const OpCase op_case = case_of("test_planted_wanted", {{{DType::f32, {7}}}, {{DType::f32, {7}}}});
  expect_failure(check_gradient(op_case), "wanted alone");
}

void wrong_value(const Call& call) {
  twice<float>(call);
  out<float>(call, 0)[3] += 1e-3f;
}

TEST(PlantedErrors, WrongValueIsFound) {
  const std::string name = plant("value", wrong_value);
  expect_failure(check_parity(case_of(name), on_cpu(name)), "element 3");
}

void not_a_number(const Call& call) {
  twice<float>(call);
  out<float>(call, 0)[0] = 0.0f / (in<float>(call, 0)[0] - in<float>(call, 0)[0]);
}

TEST(PlantedErrors, NotANumberIsFound) {
  const std::string name = plant("nan", not_a_number);
  expect_failure(check_parity(case_of(name), on_cpu(name)), "element 0");
}

void forgotten_element(const Call& call) {
  for (std::int64_t i = 1; i < call.inputs[0].elements; ++i) out<float>(call, 0)[i] = 2 * in<float>(call, 0)[i];
}

TEST(PlantedErrors, UnwrittenOutputIsFound) {
  const std::string name = plant("unwritten", forgotten_element);
  expect_failure(check_reruns(case_of(name), on_cpu(name), true), "element 0");
}

void unset_workspace(const Call& call) {
  twice<float>(call);
  out<float>(call, 0)[0] += 1e-30f * static_cast<float*>(call.workspace)[0];
  out<float>(call, 0)[1] = static_cast<float*>(call.workspace)[1] > 0 ? 1.0f : 0.0f;
}

std::int64_t some_workspace(const Call&) {
  return 256;
}

TEST(PlantedErrors, ReadOfAnUnsetWorkspaceIsFound) {
  const std::string name = plant("workspace", unset_workspace, {}, some_workspace);
  expect_failure(check_reruns(case_of(name), on_cpu(name), true), "0x3f bytes");
}

void by_thread_count(const Call& call) {
  twice<float>(call);
  // As a sum whose partial results follow the threads would.
  out<float>(call, 0)[0] += static_cast<float>(omp_get_max_threads()) * 1e-6f;
}

TEST(PlantedErrors, DependenceOnThreadsIsFound) {
  const std::string name = plant("threads", by_thread_count);
  expect_failure(check_reruns(case_of(name), on_cpu(name), true), "then with 2");
  EXPECT_TRUE(check_reruns(case_of(name), on_cpu(name), false));
}

void beyond_the_output(const Call& call) {
  twice<float>(call);
  out<float>(call, 0)[call.outputs[0].elements] = 0;
}

void beyond_the_workspace(const Call& call) {
  twice<float>(call);
  static_cast<float*>(call.workspace)[64] = 0;
}

TEST(PlantedErrors, WritesOutsideAreFound) {
  const std::string output = plant("beyond_output", beyond_the_output);
  EXPECT_THROW(check_parity(case_of(output), on_cpu(output)), Error);
  const std::string workspace = plant("beyond_workspace", beyond_the_workspace, {}, some_workspace);
  EXPECT_THROW(check_parity(case_of(workspace), on_cpu(workspace)), Error);
}

void changes_its_input(const Call& call) {
  twice<float>(call);
  static_cast<float*>(call.inputs[0].data)[0] = 0;
}

TEST(PlantedErrors, ChangedInputIsFound) {
  const std::string name = plant("changed_input", changes_its_input);
  EXPECT_THROW(check_parity(case_of(name), on_cpu(name)), Error);
}

// Reads an element behind the one that it writes.
void backwards(const Call& call) {
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) {
    out<float>(call, 0)[i] = in<float>(call, 0)[i] + in<float>(call, 0)[i > 0 ? i - 1 : 0];
  }
}

TEST(PlantedErrors, FalsePromiseToWorkInPlaceIsFound) {
  const std::string name = plant("in_place", backwards, {.in_place = {{0, 0}}});
  expect_failure(check_in_place(case_of(name), on_cpu(name)), "in the memory of input 0");
}

TEST(PlantedErrors, WrongFusedKernelIsFound) {
  const auto composition = [](Builder& builder, const Attributes&, const std::vector<Value>& inputs) {
    return std::vector<Value>{builder.call("test_increment", {inputs[0]})};
  };
  const std::string name = plant("fused", twice<float>, {.composition = composition});
  expect_failure(check_composition(case_of(name), on_reference(name)), name + "/planted");
  expect_failure(check_parity(case_of(name), on_cpu(name)), name + "/planted");
}

// Keeps the first weight that it ever saw.
class ForgetfulKernel final : public Kernel {
 public:
  std::vector<PreparedInput> take_prepared_inputs() override { return {}; }
  void run(const Call& call) override {
    if (kept_ == 0) kept_ = in<float>(call, 1)[0];
    for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) out<float>(call, 0)[i] = kept_ * in<float>(call, 0)[i];
  }
  std::string describe() const override { return "forgetful"; }

 private:
  float kept_ = 0;
};

template <typename T>
void times_first(const Call& call) {
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) out<T>(call, 0)[i] = in<T>(call, 1)[0] * in<T>(call, 0)[i];
}

TEST(PlantedErrors, StaleWeightIsFound) {
  const std::string name = "test_planted_stale";
  if (find_op(name) == nullptr) {
    register_test_op({.signature = signature(name, {{"x"}, {"weight", false, true}})});
    register_test_kernels(name, DeviceKind::reference, times_first<float>, times_first<double>);
    register_kernel(
        {.op = name, .device = DeviceKind::cpu, .implementation = "test", .factory = [](const KernelRequest&) {
           return std::make_unique<ForgetfulKernel>();
         }});
  }
  const OpCase op_case = case_of(name, {{{DType::f32, {6}}}, {{DType::f32, {1}}}});
  EXPECT_TRUE(check_parity(op_case, on_cpu(name)));
  expect_failure(check_program(op_case, kCpu), "contents 1");
}

// 1.1 x in bf16, cut off instead of rounded: within two units of the last place, yet wrong.
void cut_off(const Call& call) {
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) {
    const float exact = 1.1f * launch::load(in<launch::Bfloat16>(call, 0)[i]);
    out<launch::Bfloat16>(call, 0)[i] = {static_cast<std::uint16_t>(launch::bits_of(exact) >> 16)};
  }
}

template <typename T>
void times_1_1(const Call& call) {
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) out<T>(call, 0)[i] = T(1.1f) * in<T>(call, 0)[i];
}

TEST(PlantedErrors, CuttingOffToBf16IsFound) {
  const std::string name = "test_planted_cut_off";
  if (find_op(name) == nullptr) {
    register_test_op({.signature = signature(name, {follows("x")})});
    register_test_kernels(name, DeviceKind::cpu, cut_off, nullptr);
    register_test_kernels(name, DeviceKind::reference, times_1_1<float>, times_1_1<double>);
  }
  expect_failure(check_parity(case_of(name), on_cpu(name), DType::bf16), "element");
}

// The second output is wrong when the first one is not asked for.
void forgets_when_alone(const Call& call) {
  if (call.outputs[0].data != nullptr) out<float>(call, 0)[0] = in<float>(call, 0)[0];
  if (call.outputs[1].data != nullptr)
    out<float>(call, 1)[0] = call.outputs[0].data != nullptr ? in<float>(call, 0)[1] : 0.0f;
}

TEST(PlantedErrors, OutputThatNeedsAnotherIsFound) {
  const std::string name = "test_planted_alone";
  if (find_op(name) == nullptr) {
    register_test_op({.signature = signature(name, {{"x"}}, {{"first"}, {"second"}}), .infer = [](const OpCall& call) {
                        return std::vector<TensorDesc>(2, {call.input(0).type, {1}});
                      }});
    register_test_kernels(name, forgets_when_alone, nullptr);
  }
  expect_failure(check_unused_outputs(case_of(name), on_cpu(name)), "alone");
}

}  // namespace
}  // namespace dermatome::harness
