// Every op's CUDA kernels over its cases: on a GPU, and everywhere their host bodies.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "kernels/vendor/cudnn_convolution.h"
#include "tests/cuda/emulated_device.h"
#include "tests/harness/checks.h"
#include "tests/harness/meaning.h"
#include "tests/harness/test_ops.h"

namespace dermatome::harness {
namespace {

std::vector<std::string> ops() {
  std::set<std::string> names;
  for (const KernelEntry& entry : kernel_entries()) {
    if (entry.device == DeviceKind::cuda && !is_test_op(entry.op)) names.insert(entry.op);
  }
  return {names.begin(), names.end()};
}

std::string name_of_op(const testing::TestParamInfo<std::string>& info) {
  return info.param;
}

// Calls check(case, implementation, type) for every case of an op that one of its CUDA kernels takes; gives how many.
template <typename Check>
int for_each_kernel_case(const std::string& op, const Check& check) {
  int count = 0;
  for (const OpCase& op_case : all_cases()) {
    if (op_case.op != op) continue;
    for (const Implementation& implementation : implementations_of(op)) {
      if (implementation.device != DeviceKind::cuda) continue;
      for (const std::optional<DType> type : {std::optional<DType>{}, std::optional<DType>{DType::bf16}}) {
        if (type && !has_bf16_form(op_case)) continue;
        if (!accepts(op_case, implementation, type)) continue;
        check(op_case, implementation, type);
        ++count;
      }
    }
  }
  return count;
}

// Cases of f64 are nobody's.
bool taken_by_any(const OpCase& op_case) {
  const auto all = implementations_of(op_case.op);
  return std::any_of(all.begin(), all.end(), [&](const Implementation& implementation) {
    return implementation.device == DeviceKind::cuda && accepts(op_case, implementation, {});
  });
}

class OnGpu : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (backend_of(DeviceKind::cuda).device_count() == 0) GTEST_SKIP() << backend_of(DeviceKind::cuda).why_absent();
  }
};

class HostBodies : public testing::TestWithParam<std::string> {
 protected:
  EmulatedDevice device_;
};

void expect_parity(const std::string& op, bool bf16_too = true) {
  const int count = for_each_kernel_case(op, [&](const auto& op_case, const auto& implementation, auto type) {
    if (bf16_too || !type) EXPECT_TRUE(check_parity(op_case, implementation, type));
  });
  EXPECT_GT(count, 0) << "no case of " << op << " is taken by a CUDA kernel";
}

void expect_memory(const std::string& op) {
  for_each_kernel_case(op, [](const auto& op_case, const auto& implementation, auto type) {
    EXPECT_TRUE(check_reruns(op_case, implementation, false, type));
    EXPECT_TRUE(check_in_place(op_case, implementation, type));
    EXPECT_TRUE(check_unused_outputs(op_case, implementation, type));
  });
}

void expect_program(const std::string& op) {
  for (const OpCase& op_case : all_cases()) {
    if (op_case.op != op || !taken_by_any(op_case)) continue;
    EXPECT_TRUE(check_program(op_case, kCuda, {}));
    if (has_gradient(op_case)) EXPECT_TRUE(check_gradient_on(op_case, kCuda, {}));
  }
}

TEST_P(OnGpu, AgreesWithTheMeaningInF64) {
  expect_parity(GetParam());
}
TEST_P(OnGpu, RepeatsItsBitsAndKeepsToItsMemory) {
  expect_memory(GetParam());
}
TEST_P(OnGpu, HasTheBitsOfItsKernelAsAProgram) {
  expect_program(GetParam());
}

TEST_P(HostBodies, AgreeWithTheMeaningInF64) {
  expect_parity(GetParam());
}
TEST_P(HostBodies, RepeatTheirBitsAndKeepToTheirMemory) {
  expect_memory(GetParam());
}
TEST_P(HostBodies, HaveTheBitsOfTheirKernelAsAProgram) {
  expect_program(GetParam());
}

// Plans without what follows them, as a GPU takes them where they are faster. In bf16 these round twice.
TEST_P(HostBodies, AgreeWithTheMeaningInF64WithPassesBehindPlans) {
  cudnn::host_candidate = cudnn::kLastCandidate;
  expect_parity(GetParam(), false);
  cudnn::host_candidate = 0;
}

// Those of linear and of small windows, among which are all products.
bool may_be_product(const OpCase& op_case) {
  for (const auto& [name, value] : op_case.attributes) {
    const auto* kernel = name == "kernel" ? std::get_if<std::int64_t>(&value) : nullptr;
    if (kernel != nullptr) return *kernel <= 2;
  }
  return true;
}

// Each formulation behind the first, of the four that there are at most; cuBLASLt's are the last of them.
TEST(Formulations, AgreeWithTheMeaningInF64) {
  const EmulatedDevice device;
  constexpr const char* kOps[] = {"linear",
                                  "linear_data_gradient",
                                  "linear_weight_gradient",
                                  "conv2d",
                                  "conv2d_fused",
                                  "conv2d_sums",
                                  "conv2d_data_gradient",
                                  "conv2d_data_gradient_sums",
                                  "conv2d_weight_gradient",
                                  "conv_transpose2d"};
  for (std::size_t candidate = 1; candidate < 4; ++candidate) {
    cudnn::host_candidate = candidate;
    for (const char* op : kOps) {
      for_each_kernel_case(op, [&](const auto& op_case, const auto& implementation, auto type) {
        if (!type && may_be_product(op_case)) EXPECT_TRUE(check_parity(op_case, implementation, type));
      });
    }
  }
  cudnn::host_candidate = 0;
}

INSTANTIATE_TEST_SUITE_P(Cuda, OnGpu, testing::ValuesIn(ops()), name_of_op);
INSTANTIATE_TEST_SUITE_P(Cuda, HostBodies, testing::ValuesIn(ops()), name_of_op);

}  // namespace
}  // namespace dermatome::harness
