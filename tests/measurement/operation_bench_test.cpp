// One operation alone: built from texts, right in its results, and choosing the kernel that is asked for.
#include "tools/measurement/operation_bench.h"

#include <gtest/gtest.h>

#include "tests/data/support.h"
#include "tests/measurement/support.h"

namespace dermatome::measurement {
namespace {

using data::testing::expect_error;

OperationSettings convolution() {
  return {.op = "conv2d", .shapes = {"2x8x6x16"}, .attributes = {"channels=16", "kernel=3", "pad=1"}, .gradient = true};
}

OperationSettings on_reference(OperationSettings settings) {
  settings.device = {DeviceKind::reference, 0};
  settings.type = DType::f64;
  return settings;
}

TEST(OperationBench, TimesTheKernelsOfBothPasses) {
  OperationBench bench(convolution());
  const auto forward = bench.time("forward", 0.001, kRoundRates);
  ASSERT_EQ(forward.size(), 1u);
  EXPECT_EQ(forward[0].node.op, "conv2d");
  EXPECT_EQ(forward[0].node.shape, "f32[2, 8, 6, 16]");
  EXPECT_DOUBLE_EQ(forward[0].node.cost.flops, 2.0 * 2 * 8 * 6 * 16 * 16 * 9);
  EXPECT_GE(forward[0].runs, 3);
  EXPECT_GT(forward[0].node.fastest, 0);
  std::vector<std::string> ops;
  for (const auto& timing : bench.time("gradient", 0.001, kRoundRates)) ops.push_back(timing.node.op);
  std::sort(ops.begin(), ops.end());
  EXPECT_EQ(ops, (std::vector<std::string>{"conv2d_data_gradient", "conv2d_weight_gradient"}));
}

TEST(OperationBench, AgreesWithTheReference) {
  auto settings = convolution();
  OperationBench bench(settings);
  OperationBench reference(on_reference(settings));
  const auto results = bench.results();
  const auto wanted = reference.results();
  ASSERT_EQ(results.size(), 4u);  // y and the gradients of x, weight and bias
  ASSERT_EQ(wanted.size(), results.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i].name, wanted[i].name);
    ASSERT_EQ(results[i].values.size(), wanted[i].values.size());
    double magnitude = 0;
    for (const double value : wanted[i].values) magnitude = std::max(magnitude, std::abs(value));
    EXPECT_GT(magnitude, 0.01) << results[i].name;
    for (std::size_t k = 0; k < wanted[i].values.size(); ++k) {
      ASSERT_NEAR(results[i].values[k], wanted[i].values[k], 1e-4 * magnitude) << results[i].name;
    }
  }
}

TEST(OperationBench, RunsInBf16AsInsideABf16Network) {
  OperationBench relu({.op = "relu", .shapes = {"2x3x5x7"}, .type = DType::bf16});
  const auto timings = relu.time("forward", 0.001, kRoundRates);
  ASSERT_EQ(timings.size(), 1u);
  EXPECT_EQ(timings[0].node.shape, "bf16[2, 3, 5, 7]");
  auto settings = convolution();
  settings.type = DType::bf16;
  OperationBench bench(settings);
  const auto wanted = OperationBench(on_reference(settings)).results();
  const auto results = bench.results();
  ASSERT_EQ(results.size(), wanted.size());
  bool rounded = false;
  for (std::size_t i = 0; i < results.size(); ++i) {
    double magnitude = 0;
    for (const double value : wanted[i].values) magnitude = std::max(magnitude, std::abs(value));
    for (std::size_t k = 0; k < wanted[i].values.size(); ++k) {
      ASSERT_NEAR(results[i].values[k], wanted[i].values[k], 2e-2 * magnitude) << results[i].name;
      rounded = rounded || std::abs(results[i].values[k] - wanted[i].values[k]) > 1e-4 * magnitude;
    }
  }
  EXPECT_TRUE(rounded) << "f32 would be closer";
  EXPECT_EQ(bench.time("forward", 0.001, kRoundRates)[0].node.shape, "bf16[2, 8, 6, 16]");
  for (const auto& timing : bench.time("gradient", 0.001, kRoundRates)) EXPECT_NE(timing.node.op, "cast");
}

TEST(OperationBench, TakesTheImplementationThatIsAskedFor) {
  std::vector<std::string> kernels;
  for (const char* name : {"cpu", "onednn"}) {
    auto settings = convolution();
    settings.compile.implementation = name;
    if (!has_implementation("conv2d", {}, name)) continue;  // built without oneDNN
    OperationBench bench(settings);
    kernels.push_back(bench.time("forward", 0.001, kRoundRates)[0].node.kernel);
    EXPECT_TRUE(kernels.back().starts_with(name)) << kernels.back();
  }
  EXPECT_FALSE(kernels.empty());
}

TEST(OperationBench, ShapesMayNameTypesWeightsAndAbsentInputs) {
  OperationBench weights({.op = "conv2d",
                          .shapes = {"1x4x4x3", "5x3x1x1", "none"},
                          .attributes = {"channels=5", "kernel=1", "bias=false"}});
  EXPECT_EQ(weights.results()[0].values.size(), 80u);
  OperationBench types({.op = "max_pool_gradient",
                        .shapes = {"1x2x2x3", "1x2x2x3:u8"},
                        .attributes = {"kernel=2", "stride=2", "height=4", "width=4"}});
  EXPECT_EQ(types.results()[0].values.size(), 48u);
  OperationBench many({.op = "concat", .shapes = {"1x2x2x3", "1x2x2x4", "1x2x2x5"}});
  EXPECT_EQ(many.results()[0].values.size(), 48u);
}

TEST(OperationBench, MistakesAreNamed) {
  const auto with = [](std::vector<std::string> shapes, std::vector<std::string> attributes) {
    return [=] { OperationBench({.op = "conv2d", .shapes = shapes, .attributes = attributes}); };
  };
  const std::vector<std::string> right{"channels=4", "kernel=1"};
  for (const char* shape : {"", "8", "8x", "0x1x1x1", "-1x2x2x2", "2x2x2x2x2x2", "axbxcxd", "99999999x99999999x9x9"}) {
    expect_error(with({shape}, right), {});
  }
  expect_error(with({"8xx4x4"}, right), {"'8xx4x4' is no shape such as 8x64x64x64"});
  expect_error(with({"1x2x2x2:f31"}, right), {"f31"});
  expect_error(with({"1x2x2x2"}, {"channels=4"}), {"kernel must be given"});
  expect_error(with({"1x2x2x2"}, {"channels=4", "kernl=1"}), {"'kernl'", "did you mean 'kernel'?"});
  expect_error(with({"1x2x2x2"}, {"channels=4", "kernel"}), {"'kernel' is not of the form name=value"});
  expect_error(with({"1x2x2x2"}, {"channels=4", "kernel=big"}), {"kernel takes a number"});
  expect_error(with({"1x2x2x2", "4x2x1x1", "4", "4"}, right), {"conv2d has 3 inputs", "4 shapes"});
  expect_error([] { OperationBench({.op = "add", .shapes = {"2x2"}}); }, {"add needs a --shape for its input b"});
  expect_error(with({"8"}, right), {"conv2d does not take an input", "[8]"});
  expect_error([] { OperationBench({.op = "ad", .shapes = {"2x2"}}); }, {"'ad'"});
  expect_error([] { OperationBench({.op = "relu", .shapes = {"2x2"}, .type = DType::i32}); }, {"relu"});
}

}  // namespace
}  // namespace dermatome::measurement
