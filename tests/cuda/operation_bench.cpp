// Operations alone on the host in a GPU's role: by which clock they are timed.
#include "tools/measurement/operation_bench.h"

#include <gtest/gtest.h>

#include "tests/cuda/emulated_device.h"
#include "tests/measurement/support.h"

namespace dermatome::measurement {
namespace {

using harness::EmulatedDevice;
using harness::kCuda;

OperationSettings convolution() {
  return {.op = "conv2d",
          .shapes = {"1x4x4x8"},
          .attributes = {"channels=8", "kernel=3", "pad=1"},
          .gradient = true,
          .device = kCuda};
}

// Whatever the host's clock says, a run takes what lies between its marks.
TEST(OperationBenchOnCuda, IsTimedByTheMarksOfItsStream) {
  EmulatedDevice device;
  OperationBench bench(convolution());
  EXPECT_EQ(device.marks(), 0);
  device.offer_marks(2.5);
  for (const char* pass : {"forward", "gradient"}) {
    const auto timings = bench.time(pass, 0.001, kRoundRates);
    EXPECT_FALSE(timings.empty());
    for (const auto& timing : timings) {
      EXPECT_DOUBLE_EQ(timing.node.seconds, 2.5) << timing.node.op;
      EXPECT_DOUBLE_EQ(timing.node.fastest, 2.5) << timing.node.op;
      EXPECT_GE(timing.runs, 3);
    }
  }
  EXPECT_GT(device.marks(), 2 * 3);
}

// A kernel that takes less than a launch does is run so often that it takes longer.
TEST(OperationBenchOnCuda, TimesShortKernelsTogether) {
  EmulatedDevice device;
  OperationBench bench(convolution());
  device.offer_marks(9e-6);
  const auto timings = bench.time("forward", 0.001, kRoundRates);
  ASSERT_EQ(timings.size(), 1u);
  EXPECT_NEAR(timings[0].node.seconds, 1.8e-6, 1e-12) << "five behind each other between two marks";
}

TEST(OperationBenchOnCuda, IsTimedByTheHostsClockWithoutMarks) {
  EmulatedDevice device;
  OperationBench bench(convolution());
  const auto timings = bench.time("forward", 0.001, kRoundRates);
  ASSERT_EQ(timings.size(), 1u);
  EXPECT_GT(timings[0].node.fastest, 0);
  EXPECT_LT(timings[0].node.fastest, 1);
  EXPECT_EQ(device.marks(), 0);
}

}  // namespace
}  // namespace dermatome::measurement
