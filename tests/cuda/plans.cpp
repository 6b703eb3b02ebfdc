// Which candidate serves a convolution where the host stands in for a device, and that products compute what
// convolutions do.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/vendor/cudnn_convolution.h"
#include "kernels/vendor/cudnn_plan_choice.h"
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

std::vector<float> floats_of(const Buffer& buffer, DType type) {
  const std::size_t bytes = size_of(type);
  std::vector<float> values(buffer.bytes() / bytes);
  for (std::size_t i = 0; i < values.size(); ++i) {  // bf16: the upper half
    std::memcpy(reinterpret_cast<std::byte*>(&values[i]) + sizeof(float) - bytes, buffer.data() + i * bytes, bytes);
  }
  return values;
}

Buffer varied(std::int64_t elements, DType type, Stream& stream) {
  Buffer buffer({}, static_cast<std::size_t>(elements) * size_of(type));
  fill_varied(buffer, type, stream);
  return buffer;
}

// By the host's plan, over memory that was not empty before.
std::vector<float> result_of(const Convolution& c) {
  const auto stream = backend_of(DeviceKind::cpu).make_stream(0);
  const std::int64_t x = c.x_pixels() * c.x_step();
  const std::int64_t y = c.y_pixels() * c.y_step();
  const std::int64_t kernel = c.out * c.kernel * c.kernel * c.in;
  const bool of_data = c.direction == Direction::data_gradient;
  const bool of_weight = c.direction == Direction::weight_gradient;
  const Buffer first = varied(of_data ? y : x, c.type, *stream);
  const Buffer second = varied(of_weight ? y : kernel, c.type, *stream);
  const Buffer bias = varied(c.channels_written(), DType::f32, *stream);
  const Buffer result = varied(of_data ? x : of_weight ? kernel : y, c.result, *stream);
  make_host_plan(c)->run({.first = first.data(),
                          .second = second.data(),
                          .bias = reinterpret_cast<const float*>(bias.data()),
                          .result = result.data()},
                         *stream);
  return floats_of(result, c.result);
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

std::vector<Convolution> products() {
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
  return all;
}

// What cuBLASLt is told to multiply, multiplied on the host, leaves what the convolution leaves, and what lies between
// slices as it was.
TEST(Plans, OfProductsComputeTheConvolution) {
  int count = 0;
  for (const Convolution& wanted : products()) {
    for (Convolution candidate : candidates_for(wanted)) {
      if (!candidate.product) continue;
      const std::vector<float> product = result_of(candidate);
      candidate.product = false;
      const std::vector<float> expected = result_of(candidate);
      ASSERT_EQ(product.size(), expected.size());
      const float tolerance = wanted.result == DType::bf16 ? 0x1p-7f : 1e-5f;
      for (std::size_t i = 0; i < product.size(); ++i) {
        ASSERT_NEAR(product[i], expected[i], tolerance * std::max(1.0f, std::abs(expected[i])))
            << to_string(candidate) << " at " << i;
      }
      ++count;
    }
  }
  EXPECT_EQ(count, 11 * 3 + 2 * 2);
}

}  // namespace
}  // namespace dermatome::cudnn
