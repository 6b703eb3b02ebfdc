// Which candidate serves a convolution where the host stands in for a device, and that products compute what
// convolutions do.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/vendor/cudnn_convolution.h"
#include "kernels/vendor/cudnn_plan_choice.h"
#include "kernels/vendor/cudnn_products.h"
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

Buffer varied(Device device, std::int64_t elements, DType type, Stream& stream) {
  Buffer buffer(device, static_cast<std::size_t>(elements) * size_of(type));
  fill_varied(buffer, type, stream);
  return buffer;
}

// What a plan leaves in memory that was not empty before.
std::vector<float> result_of(const Convolution& c, Plan& plan, Device device = {}) {
  Backend& backend = backend_of(device.kind);
  const auto stream = backend.make_stream(device.index);
  const std::int64_t x = c.x_pixels() * c.x_step();
  const std::int64_t y = c.y_pixels() * c.y_step();
  const std::int64_t kernel = c.out * c.kernel * c.kernel * c.in;
  const bool of_data = c.direction == Direction::data_gradient;
  const bool of_weight = c.direction == Direction::weight_gradient;
  const Buffer first = varied(device, of_data ? y : x, c.type, *stream);
  const Buffer second = varied(device, of_weight ? y : kernel, c.type, *stream);
  const Buffer bias = varied(device, c.channels_written(), DType::f32, *stream);
  const Buffer result = varied(device, of_data ? x : of_weight ? kernel : y, c.result, *stream);
  const Buffer workspace(device, static_cast<std::size_t>(plan.workspace_bytes()));
  plan.run({.first = first.data(),
            .second = second.data(),
            .bias = reinterpret_cast<const float*>(bias.data()),
            .result = result.data(),
            .workspace = workspace.data()},
           *stream);
  std::vector<std::byte> bytes(result.bytes());
  backend.copy_to_host(bytes.data(), result.data(), bytes.size(), *stream);
  stream->synchronize();
  const std::size_t width = size_of(c.result);
  std::vector<float> values(bytes.size() / width);
  for (std::size_t i = 0; i < values.size(); ++i) {  // bf16: the upper half
    std::memcpy(reinterpret_cast<std::byte*>(&values[i]) + sizeof(float) - width, bytes.data() + i * width, width);
  }
  return values;
}

// Of the convolution that the candidate is, as cuDNN's formulation of it.
std::vector<float> expected_of(Convolution candidate) {
  candidate.product = false;
  return result_of(candidate, *make_host_plan(candidate));
}

void expect_near(const std::vector<float>& found, const std::vector<float>& expected, const Convolution& c) {
  ASSERT_EQ(found.size(), expected.size());
  const float tolerance = c.result == DType::bf16 ? 0x1p-7f : 1e-5f;
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], expected[i], tolerance * std::max(1.0f, std::abs(expected[i])))
        << to_string(c) << " at " << i;
  }
}

Convolution windows(Direction direction, std::int64_t kernel, DType type) {
  return {.direction = direction,
          .n = 2,
          .height = 3 * kernel,
          .width = 5 * kernel,
          .in = 6,
          .out_height = 3,
          .out_width = 5,
          .out = 7,
          .kernel = kernel,
          .stride = kernel,
          .type = type,
          .result = type};
}

std::vector<Convolution> product_candidates() {
  std::vector<Convolution> all;
  for (const DType type : {DType::f32, DType::bf16}) {
    for (const Direction direction : {Direction::forward, Direction::data_gradient, Direction::weight_gradient}) {
      all.push_back(windows(direction, 1, type));
    }
    for (const std::int64_t kernel : {2, 3}) all.push_back(windows(Direction::data_gradient, kernel, type));
  }
  Convolution widened = windows(Direction::weight_gradient, 1, DType::bf16);
  widened.result = DType::f32;
  all.push_back(widened);
  const std::size_t whole = all.size();
  for (std::size_t i = 0; i < whole; ++i) {
    Convolution sliced = all[i];
    sliced.x_pitch = 16;
    all.push_back(sliced);
    sliced.y_pitch = 9;
    all.push_back(sliced);
  }
  for (const Direction direction : {Direction::forward, Direction::data_gradient}) {
    Convolution finished = windows(direction, 1, DType::f32);
    finished.epilogue = {.bias = true, .relu = true};
    all.push_back(finished);
  }
  std::vector<Convolution> candidates;
  for (const Convolution& wanted : all) {
    for (const Convolution& candidate : candidates_for(wanted)) {
      if (candidate.product) candidates.push_back(candidate);
    }
  }
  return candidates;
}

// What cuBLASLt is told to multiply, multiplied on the host, leaves what the convolution leaves, and what lies between
// slices as it was.
TEST(Plans, OfProductsComputeTheConvolution) {
  const auto candidates = product_candidates();
  EXPECT_EQ(candidates.size(), 11u * 3 + 2 * 2);
  for (const Convolution& candidate : candidates) {
    expect_near(result_of(candidate, *make_host_plan(candidate)), expected_of(candidate), candidate);
  }
}

// By every algorithm that cuBLASLt offers on a GPU; it may decline a candidate.
TEST(GpuProducts, ComputeTheConvolution) {
  if (backend_of(DeviceKind::cuda).device_count() == 0) GTEST_SKIP() << backend_of(DeviceKind::cuda).why_absent();
  std::size_t served = 0;
  for (const bool deterministic : {false, true}) {
    for (Convolution candidate : product_candidates()) {
      candidate.deterministic = deterministic;
      const auto names = product_plans(candidate, harness::kCuda.index);
      served += names.empty() ? 0 : 1;
      for (const std::string& name : names) {
        const auto plan = make_product_plan(candidate, name, harness::kCuda.index);
        ASSERT_NE(plan, nullptr) << name << " of " << to_string(candidate);
        expect_near(result_of(candidate, *plan, harness::kCuda), expected_of(candidate), candidate);
      }
    }
  }
  EXPECT_GT(served, product_candidates().size()) << "of twice as many";
}

}  // namespace
}  // namespace dermatome::cudnn
