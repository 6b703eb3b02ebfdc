// Every registered op x its cases x devices and implementations.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <set>

#include "engine/core/threads.h"
#include "tests/harness/checks.h"
#include "tests/harness/meaning.h"
#include "tests/harness/test_ops.h"

namespace dermatome::harness {
namespace {

std::string identifier(std::string text) {
  for (char& c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return text;
}

// One implementation of a case's op, in the case's own types or in bf16.
struct KernelCase {
  const OpCase* op_case;
  Implementation implementation;
  std::optional<DType> type;
};

struct WholeCase {
  const OpCase* op_case;
  std::optional<DType> type;
};

// Failures print the test's name, not the bytes of its parameter.
void PrintTo(const KernelCase& item, std::ostream* out) {
  *out << name_of(*item.op_case) << " " << item.implementation.name << (item.type ? " bf16" : "");
}

void PrintTo(const WholeCase& item, std::ostream* out) {
  *out << name_of(*item.op_case) << (item.type ? " bf16" : "");
}

// "odd_sides_cpu" for the device's plain implementation, "odd_sides_cpu_onednn" for others; "..._bf16".
std::string name_of_kernel_case(const testing::TestParamInfo<KernelCase>& info) {
  const auto& [op_case, implementation, type] = info.param;
  const std::string device = to_string(implementation.place());
  const std::string suffix = implementation.name == device ? "" : "_" + implementation.name;
  return identifier(op_case->op + "_" + op_case->name + "_" + device + suffix + (type ? "_bf16" : ""));
}

std::string name_of_case(const testing::TestParamInfo<WholeCase>& info) {
  return identifier(info.param.op_case->op + "_" + info.param.op_case->name + (info.param.type ? "_bf16" : ""));
}

// Own kernels know at once what they leave to others; a vendor's library answers only by building a primitive, which is
// left to the test itself.
bool declines_at_once(const OpCase& op_case, const Implementation& implementation, std::optional<DType> type) {
  const bool own = implementation.device == DeviceKind::cpu && implementation.name != "onednn";
  return own && find_op(op_case.op) != nullptr && !accepts(op_case, implementation, type);
}

std::vector<KernelCase> find_kernel_cases() {
  std::vector<KernelCase> list;
  const auto add = [&](const OpCase& op_case, const Implementation& implementation, std::optional<DType> type) {
    if (implementation.device == DeviceKind::cuda) return;  // tests/cuda runs these, an op a test
    if (!declines_at_once(op_case, implementation, type)) list.push_back({&op_case, implementation, type});
  };
  for (const OpCase& op_case : all_cases()) {
    for (const Implementation& implementation : implementations_of(op_case.op)) {
      add(op_case, implementation, {});
      const bool reference = implementation.device == DeviceKind::reference;  // computes in f32 and f64
      if (!reference && has_bf16_form(op_case)) add(op_case, implementation, DType::bf16);
    }
  }
  return list;
}

// Found once: every test that runs by itself waits for this first.
const std::vector<KernelCase>& kernel_cases() {
  static const std::vector<KernelCase> list = find_kernel_cases();
  return list;
}

std::vector<WholeCase> cases_where(bool (*keep)(const OpCase&)) {
  std::vector<WholeCase> list;
  for (const OpCase& op_case : all_cases()) {
    if (keep(op_case)) list.push_back({&op_case, {}});
  }
  return list;
}

// Fusions that pay on a GPU alone: on the CPU passes leave what they fuse as it is.
const std::set<std::string> kOnGpusOnly{"conv2d_sums", "conv2d_data_gradient_sums"};

bool runs_on_the_cpu(const OpCase& op_case) {
  return find_op(op_case.op) != nullptr && !kOnGpusOnly.contains(op_case.op);
}

std::vector<WholeCase> bf16_cases() {
  std::vector<WholeCase> list;
  for (const OpCase& op_case : all_cases()) {
    if (runs_on_the_cpu(op_case) && has_bf16_form(op_case)) list.push_back({&op_case, DType::bf16});
  }
  return list;
}

bool fused(const OpCase& op_case) {
  if (find_op(op_case.op) == nullptr) return false;
  const Instance instance = without_contents(op_case, DType::f64);
  Graph graph;
  Builder builder(graph);
  std::vector<Value> inputs;
  for (std::size_t i = 0; i < instance.inputs.size(); ++i) {
    inputs.push_back(instance.inputs[i].defined() ? graph.add_input(input_name(i), instance.inputs[i].desc())
                                                  : Value{});
  }
  return !instance.op.composition(builder, instance.attributes, inputs).empty();
}

std::vector<KernelCase> fused_kernel_cases() {
  std::vector<KernelCase> list;
  for (const KernelCase& item : kernel_cases()) {
    if (item.implementation.device == DeviceKind::reference && fused(*item.op_case)) list.push_back(item);
  }
  return list;
}

class KernelTest : public testing::TestWithParam<KernelCase> {
 protected:
  void SetUp() override {
    const DeviceKind device = implementation().device;
    if (!has_backend(device)) GTEST_SKIP() << "this build has no such device";
    if (backend_of(device).device_count() == 0) GTEST_SKIP() << "there is no such device here";
    if (!accepts(op_case(), implementation(), type()))
      GTEST_SKIP() << implementation().name << " leaves this case to another kernel";
  }
  const OpCase& op_case() const { return *GetParam().op_case; }
  const Implementation& implementation() const { return GetParam().implementation; }
  std::optional<DType> type() const { return GetParam().type; }
};

class DeviceParity : public KernelTest {};
class Reruns : public KernelTest {};
class Memory : public KernelTest {};
class Composition : public testing::TestWithParam<KernelCase> {};
class GradientCheck : public testing::TestWithParam<WholeCase> {};
class AsProgram : public testing::TestWithParam<WholeCase> {};

TEST_P(DeviceParity, AgreesWithTheMeaningInF64) {
  EXPECT_TRUE(check_parity(op_case(), implementation(), type()));
}

// oneDNN and cuDNN promise the same bits only for the same number of threads.
TEST_P(Reruns, HaveTheSameBits) {
  const bool own = implementation().device == DeviceKind::cpu && implementation().name != "onednn";
  EXPECT_TRUE(check_reruns(op_case(), implementation(), own, type()));
}

TEST_P(Memory, SharedWhereDeclaredAndAbsentWhereUnused) {
  EXPECT_TRUE(check_in_place(op_case(), implementation(), type()));
  EXPECT_TRUE(check_unused_outputs(op_case(), implementation(), type()));
}

TEST_P(Composition, EqualsTheFusedKernelInF64) {
  EXPECT_TRUE(check_composition(*GetParam().op_case, GetParam().implementation));
}

TEST_P(GradientCheck, MatchesCentralDifferences) {
  EXPECT_TRUE(check_gradient(*GetParam().op_case));
}

// Also where central differences would take too long. Gradient ops, which have no gradient themselves, pass.
TEST_P(AsProgram, HasTheSameGradientOnTheCpu) {
  if (!has_gradient(*GetParam().op_case)) return;
  EXPECT_TRUE(check_gradient_on(*GetParam().op_case, kCpu, GetParam().type));
}

TEST_P(AsProgram, HasTheBitsOfItsKernel) {
  EXPECT_TRUE(check_program(*GetParam().op_case, kCpu, GetParam().type));
}

INSTANTIATE_TEST_SUITE_P(Harness, DeviceParity, testing::ValuesIn(kernel_cases()), name_of_kernel_case);
INSTANTIATE_TEST_SUITE_P(Harness, Reruns, testing::ValuesIn(kernel_cases()), name_of_kernel_case);
INSTANTIATE_TEST_SUITE_P(Harness, Memory, testing::ValuesIn(kernel_cases()), name_of_kernel_case);
INSTANTIATE_TEST_SUITE_P(Harness, Composition, testing::ValuesIn(fused_kernel_cases()), name_of_kernel_case);
INSTANTIATE_TEST_SUITE_P(Harness, AsProgram, testing::ValuesIn(cases_where(runs_on_the_cpu)), name_of_case);
INSTANTIATE_TEST_SUITE_P(HarnessBf16, AsProgram, testing::ValuesIn(bf16_cases()), name_of_case);
INSTANTIATE_TEST_SUITE_P(Harness, GradientCheck,
                         testing::ValuesIn(cases_where([](const OpCase& c) { return c.check_gradient; })),
                         name_of_case);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Composition);

// --- the registry as a whole ---

TEST(Registry, EveryOpHasACase) {
  std::set<std::string> covered;
  for (const OpCase& op_case : all_cases()) covered.insert(op_case.op);
  for (const Op* op : all_ops()) {
    if (is_test_op(op->name())) continue;
    EXPECT_TRUE(covered.contains(op->name())) << op->name() << " has no case: add some to its family's cases.cpp";
  }
}

TEST(Registry, EveryCaseNamesAnOpAndIsNamedOnce) {
  std::set<std::string> seen;
  for (const OpCase& op_case : all_cases()) {
    EXPECT_NE(find_op(op_case.op), nullptr) << "case " << op_case.name << " is of the unknown op " << op_case.op;
    EXPECT_TRUE(seen.insert(identifier(name_of(op_case))).second) << "two cases are named " << name_of(op_case);
  }
}

TEST(Registry, EveryCaseHasAReferenceInBothTypesAndACpuKernel) {
  for (const OpCase& op_case : all_cases()) {
    for (const DType type : {DType::f32, DType::f64}) {
      const Instance instance = instantiate(op_case, type);
      EXPECT_NO_THROW(Meaning{instance}) << name_of(op_case) << " in " << name_of(type);
    }
    const Instance instance = instantiate(op_case);
    if (runs_on_the_cpu(op_case)) {
      EXPECT_NO_THROW(make_kernel(request_for(instance, kCpu))) << name_of(op_case);
    } else {
      EXPECT_THROW(make_kernel(request_for(instance, kCpu)), Error) << name_of(op_case) << " is on the CPU, too";
    }
  }
}

// What an op declares must be offered, or a network in bf16 cannot be compiled.
TEST(Registry, EveryCaseThatMayBeBf16HasACpuKernelInIt) {
  for (const WholeCase& item : bf16_cases()) {
    const Instance instance = instantiate(*item.op_case, DType::bf16);
    EXPECT_NO_THROW(make_kernel(request_for(instance, kCpu))) << name_of(*item.op_case);
  }
}

TEST(Registry, EveryCaseCostsWorkThatCanBeCounted) {
  for (const OpCase& op_case : all_cases()) {
    const Instance instance = instantiate(op_case);
    const Cost cost = instance.op.cost(call_of(instance), instance.outputs);
    EXPECT_TRUE(std::isfinite(cost.flops) && cost.flops >= 0) << name_of(op_case) << ": " << cost.flops;
    EXPECT_TRUE(std::isfinite(cost.bytes) && cost.bytes > 0) << name_of(op_case) << ": " << cost.bytes;
  }
}

TEST(Registry, EveryKernelBelongsToAnOp) {
  for (const KernelEntry& entry : kernel_entries()) {
    EXPECT_NE(find_op(entry.op), nullptr)
        << entry.implementation << " registers a kernel of the unknown op " << entry.op;
  }
}

// Whoever differentiates through an op must get a gradient that was checked.
// What declines every case would be listed nowhere and proven by nothing.
TEST(Registry, EveryOwnKernelTakesACase) {
  std::map<std::string, bool> taken;
  for (const OpCase& op_case : all_cases()) {
    if (find_op(op_case.op) == nullptr) continue;
    for (const Implementation& implementation : implementations_of(op_case.op)) {
      if (implementation.device != DeviceKind::cpu || implementation.name == "onednn") continue;
      if (implementation.name == "tiles" && !has_bf16_tiles()) continue;  // has kernels on other processors alone
      bool& takes_a_case = taken[op_case.op + " by " + implementation.name];
      takes_a_case |= accepts(op_case, implementation, {});
      for (const WholeCase& item : bf16_cases()) {
        if (!takes_a_case && item.op_case->op == op_case.op) {
          takes_a_case = accepts(*item.op_case, implementation, DType::bf16);
        }
      }
    }
  }
  EXPECT_GT(taken.size(), 40u);
  for (const auto& [kernel, takes_a_case] : taken) EXPECT_TRUE(takes_a_case) << kernel;
}

TEST(Registry, EveryOpWithAGradientHasACaseThatChecksIt) {
  std::map<std::string, bool> checked;
  for (const OpCase& op_case : all_cases()) checked[op_case.op] = checked[op_case.op] || op_case.check_gradient;
  for (const auto& [name, any] : checked) {
    if (any || find_op(name) == nullptr) continue;
    const auto op_case =
        std::find_if(all_cases().begin(), all_cases().end(), [&](const OpCase& c) { return c.op == name; });
    EXPECT_FALSE(has_gradient(*op_case)) << name << " has a gradient that no case checks";
  }
}

}  // namespace
}  // namespace dermatome::harness
