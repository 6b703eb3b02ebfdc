// fuse_batch_norm_relu in training on the CPU: what it takes, and that results and gradients stay what they are.
#include "tests/models/training_step.h"

namespace dermatome {
namespace {

using testing::expect_near;
using testing::TrainingStep;
using testing::without_pass;

constexpr const char* kPass = "fuse_batch_norm_relu";
constexpr const char* kGradient = "batch_norm_relu_gradient";

// One alone, two behind sums, one whose sum somebody else reads, too; channels in whole registers and not.
constexpr std::string_view kText = R"(model m(image: 3 channels) {
  conv0  = conv2d(image, 16, kernel=3, pad=1, bias=false)
  bn0    = batch_norm(conv0)
  stem   = relu(bn0)
  conv1  = conv2d(stem, 16, kernel=3, pad=1, bias=false)
  bn1    = batch_norm(conv1)
  first  = relu(bn1 + stem)
  conv2  = conv2d(first, 16, kernel=1, bias=false)
  bn2    = batch_norm(conv2)
  second = relu(first + bn2)
  conv3  = conv2d(second, 7, kernel=1, bias=false)
  bn3    = batch_norm(conv3)
  narrow = relu(bn3)
  conv4  = conv2d(narrow, 7, kernel=1, bias=false)
  bn4    = batch_norm(conv4)
  sum    = bn4 + narrow
  head   = conv2d(relu(sum) + sum, 1, kernel=1)
  return head
})";

TrainingStep step_with(const CompileOptions& options, const Model::PhaseOf& phase = training_phase) {
  return testing::run_training_step(kText, options, phase);
}

TEST(BatchNormRelu, IsOneOperationInTrainingWithTheSameGradients) {
  const TrainingStep fused = step_with({});
  const TrainingStep separate = step_with(without_pass({}, kPass));
  EXPECT_EQ(fused.count("batch_norm_relu"), 4);
  EXPECT_EQ(fused.count(kGradient), 4);
  EXPECT_EQ(fused.count("relu_gradient"), 1) << "of the sum that the head reads, too";
  EXPECT_EQ(separate.count("batch_norm_relu") + separate.count(kGradient), 0);
  EXPECT_EQ(separate.count("relu_gradient"), 5);
  expect_near(fused, separate, 1e-6f);
}

TEST(BatchNormRelu, TakesFixedStatisticsToo) {
  const auto frozen = [](const std::string&) { return Phase{.training = true, .live_statistics = false}; };
  const TrainingStep fused = step_with({}, frozen);
  EXPECT_EQ(fused.count(kGradient), 4);
  expect_near(fused, step_with(without_pass({}, kPass), frozen), 1e-5f);
}

TEST(BatchNormRelu, IsNearInBf16) {
  const CompileOptions bf16{.activations = DType::bf16};
  const TrainingStep fused = step_with(bf16);
  EXPECT_EQ(fused.count(kGradient), 4);
  expect_near(fused, step_with(without_pass(bf16, kPass)), 0.1f);  // fewer roundings between
}

}  // namespace
}  // namespace dermatome
