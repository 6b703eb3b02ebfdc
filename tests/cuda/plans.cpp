// Which candidate serves a convolution where the host stands in for a device.
#include <gtest/gtest.h>

#include "kernels/vendor/cudnn_convolution.h"
#include "tests/cuda/emulated_device.h"

namespace dermatome::cudnn {
namespace {

// A weight gradient's candidates go where all others go to be chosen among.
TEST(Plans, OfWeightGradientsAreChosenAmongAllCandidates) {
  const harness::EmulatedDevice device;
  const Convolution wanted{.direction = Direction::weight_gradient,
                           .n = 1,
                           .height = 4,
                           .width = 4,
                           .in = 8,
                           .out_height = 4,
                           .out_width = 4,
                           .out = 8,
                           .kernel = 1,
                           .type = DType::bf16,
                           .result = DType::f32};
  const Op& op = op_named("conv2d_weight_gradient");
  const Attributes attributes(op.signature().attributes);
  const KernelRequest request{.op = op,
                              .attributes = attributes,
                              .inputs = {},
                              .input_present = {},
                              .outputs = {},
                              .output_used = {},
                              .type = DType::bf16,
                              .device = harness::kCuda};
  EXPECT_EQ(plan_for(wanted, request).chosen.result, DType::f32);
  host_candidate = kLastCandidate;
  const Planned last = plan_for(wanted, request);
  host_candidate = 0;
  EXPECT_EQ(last.chosen.result, DType::bf16);
  EXPECT_EQ(last.wanted, wanted);
}

}  // namespace
}  // namespace dermatome::cudnn
