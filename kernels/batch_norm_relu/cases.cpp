// Cases of batch_norm_relu, with and without a residual, and of its gradient. What is added keeps away from the kink.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

using Kind = InputFill::Kind;

constexpr InputFill kPositive{Kind::uniform, 0.5, 2};
constexpr InputFill kFar{Kind::binary, -20, 20};

OpCase forward(std::string name, Shape x, std::string mode, bool joined, bool check_gradient) {
  const TensorDesc channels{DType::f32, {x[-1]}};
  OpCase result{.op = "batch_norm_relu",
                .name = std::move(name),
                .inputs = {{{DType::f32, x}}, {channels}, {channels}, {channels}, {channels, kPositive}},
                .attributes = {{"mode", std::move(mode)}},
                .tolerance = 5e-5,
                .check_gradient = check_gradient};
  if (joined) result.inputs.push_back({{DType::f32, x}, kFar});
  return result;
}

// Statistics by sums that are not x's, so that it shows who read which. `joined`: with a residual, too.
OpCase by_sums(std::string name, Shape x, bool joined) {
  const TensorDesc channels{DType::f32, {x[-1]}};
  OpCase result = forward(std::move(name), x, "train", joined, false);
  if (!joined) result.inputs.push_back({{DType::f32, x}, {Kind::absent}});
  result.inputs.push_back({channels});
  result.inputs.push_back({channels, kPositive});
  return result;
}

// The mask comes from x; with `joined` from y.
OpCase backward(std::string name, Shape x, bool fixed, bool joined) {
  const TensorDesc channels{DType::f32, {x[-1]}};
  OpCase result{
      .op = "batch_norm_relu_gradient",
      .name = std::move(name),
      .inputs = {{{DType::f32, x}}, {{DType::f32, x}}, {channels}, {channels}, {channels}, {channels, kPositive}},
      .attributes = {{"fixed", fixed}},
      .tolerance = 5e-5,
      .check_gradient = false};
  if (joined) result.inputs.push_back({{DType::f32, x}, {Kind::off_zero, -2, 2}});
  return result;
}

// By sums that are not dy's, and every element of dy comes through.
OpCase backward_by_sums(std::string name, Shape x, bool fixed) {
  const TensorDesc channels{DType::f32, {x[-1]}};
  OpCase result = backward(std::move(name), x, fixed, false);
  result.inputs.push_back({{DType::f32, x}, {Kind::absent}});
  result.inputs.push_back({channels});
  result.inputs.push_back({channels});
  return result;
}

const CaseRegistrar cases{
    forward("train_odd_sides", {2, 3, 5, 3}, "train", false, false),
    forward("train_wide", {2, 4, 4, 512}, "train", false, false),
    forward("train_residual", {2, 3, 5, 3}, "train", true, true),
    forward("train_residual_many_pixels", {1, 260, 255, 4}, "train", true, false),
    by_sums("by_sums", {2, 3, 5, 3}, false),
    by_sums("by_sums_residual", {2, 4, 4, 512}, true),
    forward("frozen_residual", {2, 3, 5, 3}, "frozen", true, true),
    forward("eval_odd_sides", {2, 3, 5, 3}, "eval", false, false),
    forward("eval_one_pixel", {1, 1, 1, 4}, "eval", true, true),
    backward("odd_sides", {2, 7, 5, 19}, false, false),
    backward("many_pixels", {1, 260, 255, 4}, false, false),
    backward("residual_odd_sides", {2, 7, 5, 19}, false, true),
    backward("residual_many_pixels", {1, 260, 255, 4}, false, true),
    backward("fixed", {2, 7, 5, 20}, true, false),
    backward_by_sums("by_sums", {2, 7, 5, 19}, false),
    backward_by_sums("by_sums_wide", {2, 4, 4, 512}, false),
    backward_by_sums("by_sums_fixed", {2, 7, 5, 20}, true),
    backward("fixed_residual", {2, 7, 5, 3}, true, true),
};

}  // namespace
}  // namespace dermatome
