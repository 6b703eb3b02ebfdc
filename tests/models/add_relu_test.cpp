// fuse_add_relu inside whole programs: how often it applies, and that results and gradients keep their bits. Without
// fuse_batch_norm_relu, which would take the batch norm in front, too.
#include "tests/models/training_step.h"

namespace dermatome {
namespace {

using testing::TrainingStep;
using testing::without_pass;

// Two residual blocks; a third sum has another reader and stays.
constexpr std::string_view kText = R"(model m(image: 3 channels) {
  stem   = conv2d(image, 16, kernel=3, pad=1)
  conv1  = conv2d(stem, 16, kernel=3, pad=1, bias=false)
  bn1    = batch_norm(conv1)
  first  = relu(bn1 + stem)
  conv2  = conv2d(first, 16, kernel=1, bias=false)
  bn2    = batch_norm(conv2)
  second = relu(first + bn2)
  third  = second + stem
  head   = conv2d(relu(third) + third, 1, kernel=1)
  return head
})";

constexpr const char* kPass = "fuse_add_relu";

TrainingStep step_with(const CompileOptions& options) {
  return testing::run_training_step(kText, without_pass(options, "fuse_batch_norm_relu"), training_phase);
}

TEST(AddRelu, TakesEverySumThatNobodyElseReadsAndKeepsTheBits) {
  const TrainingStep with = step_with({});
  const TrainingStep without = step_with(without_pass({}, kPass));
  EXPECT_EQ(with.applied.at(kPass), 2);
  EXPECT_FALSE(without.applied.contains(kPass));
  EXPECT_EQ(with.values, without.values);
}

TEST(AddRelu, AppliesInBf16Too) {
  const CompileOptions bf16{.activations = DType::bf16};
  const TrainingStep with = step_with(bf16);
  EXPECT_EQ(with.applied.at(kPass), 2);
  testing::expect_near(with, step_with(without_pass(bf16, kPass)), 0.1f);  // the sum is no longer rounded between
}

}  // namespace
}  // namespace dermatome
