// What is said where a GPU cannot be used, and what of the backend can be known without one.
#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "engine/core/tensor.h"
#include "kernels/vendor/cuda.h"
#include "tests/cuda/emulated_device.h"
#include "tools/command.h"

namespace dermatome::cuda {
namespace {

TEST(CudaDevice, EachReasonForHavingNoneIsASentence) {
  EXPECT_EQ(why_no_device(cudaErrorInsufficientDriver, 0, 13000), "there is no NVIDIA driver here; use --device cpu");
  EXPECT_EQ(why_no_device(cudaErrorInsufficientDriver, 12040, 13010),
            "the NVIDIA driver here serves CUDA up to 12.4 and this build needs 13.1; install a newer driver, or use "
            "--device cpu");
  EXPECT_EQ(why_no_device(cudaErrorNoDevice, 13000, 13000),
            "the NVIDIA driver finds no GPU (or CUDA_VISIBLE_DEVICES hides it); use --device cpu");
  EXPECT_NE(why_no_device(cudaErrorSystemNotReady, 13000, 13000).find("--device cpu"), std::string::npos);
}

TEST(CudaDevice, CodeRunsOnItsOwnGenerationAndPtxOnAllLater) {
  constexpr std::array both{80, 90};
  for (const int capability : {80, 86, 89, 90, 100, 120}) EXPECT_TRUE(code_runs_on(capability, both)) << capability;
  EXPECT_FALSE(code_runs_on(75, both));
  constexpr std::array ampere{86};
  EXPECT_FALSE(code_runs_on(80, ampere));
  EXPECT_TRUE(code_runs_on(90, ampere));
  EXPECT_EQ(why_no_code("cuda:0 (Tesla T4)", 75, both),
            "cuda:0 (Tesla T4) has compute capability 7.5 and this build holds code for sm_80, sm_90; build with "
            "-DDERMATOME_CUDA_ARCHITECTURES=75, or use --device cpu");
}

TEST(CudaDevice, HasBf16FromAmpereOn) {
  for (const int capability : {80, 86, 90, 100, 120}) EXPECT_EQ(why_no_bf16("cuda:0", capability), "") << capability;
  EXPECT_EQ(why_no_bf16("cuda:1 (Tesla T4)", 75),
            "bf16 needs a GPU of compute capability 8.0 or more, and cuda:1 (Tesla T4) has 7.5");
}

TEST(CudaDevice, WithoutBf16IsRefusedItInOneSentence) {
  harness::EmulatedDevice device;
  RunOptions options{.device_name = "cuda", .type_name = "bf16"};
  EXPECT_EQ(options.type(), DType::bf16);
  EXPECT_NE(bf16_offer().find("; on cuda:0"), std::string::npos) << bf16_offer();
  const std::string why = why_no_bf16("cuda:0 (Tesla T4)", 75);
  device.set_why_no_bf16(why);
  EXPECT_NE(bf16_offer().find("; off on the GPU (" + why + ")"), std::string::npos) << bf16_offer();
  try {
    options.apply();
    FAIL() << "nothing was thrown";
  } catch (const UsageError& error) {
    EXPECT_EQ(error.what(), "--type " + why + "; use --type f32");
  }
  options.type_name = "f32";
  EXPECT_EQ(options.type(), DType::f32);
}

TEST(CudaDevice, AFailedCallIsNamed) {
  try {
    check(cudaErrorInvalidValue, "cudaMemcpyAsync(to, from)");
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "cudaMemcpyAsync failed: invalid argument (cudaErrorInvalidValue)");
  }
  EXPECT_NO_THROW(check(cudaSuccess, "cudaMalloc"));
}

class CudaMemory : public testing::Test {
 protected:
  void SetUp() override {
    if (backend_of(DeviceKind::cuda).device_count() == 0) GTEST_SKIP() << backend_of(DeviceKind::cuda).why_absent();
  }
};

// More than the pinned buffers hold, and not a multiple of them.
TEST_F(CudaMemory, IsCopiedThereAndBack) {
  Tensor host({DType::i32, {5'000'017}});
  for (std::size_t i = 0; i < host.as<std::int32_t>().size(); ++i) {
    host.as<std::int32_t>()[i] = static_cast<std::int32_t>(i * 2654435761u);
  }
  const Tensor there = host.to(harness::kCuda);
  EXPECT_EQ(std::memcmp(there.clone().to({}).data(), host.data(), host.bytes()), 0);
  there.zero();
  for (const std::int32_t value : there.to({}).as<std::int32_t>()) ASSERT_EQ(value, 0);
}

TEST_F(CudaMemory, SaysHowMuchIsMissing) {
  const std::size_t too_much = std::size_t{1} << 46;
  EXPECT_THROW(Buffer(harness::kCuda, too_much), Error);
  EXPECT_NO_THROW(Buffer(harness::kCuda, 1024)) << "the error is not reported again";
}

}  // namespace
}  // namespace dermatome::cuda
