// Cases of batch_norm in its three modes.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

constexpr InputFill kPositive{InputFill::Kind::uniform, 0.5, 2};
constexpr InputFill kOffCentre{InputFill::Kind::uniform, 99, 101};

OpCase forward(std::string name, Shape x, std::string mode, bool check_gradient, InputFill fill = {}) {
  const TensorDesc channels{DType::f32, {x[-1]}};
  return {.op = "batch_norm",
          .name = std::move(name),
          .inputs = {{{DType::f32, x}, fill}, {channels}, {channels}, {channels}, {channels, kPositive}},
          .attributes = {{"mode", std::move(mode)}},
          .tolerance = 5e-5,
          .check_gradient = check_gradient};
}

OpCase backward(std::string op, std::string name, Shape x) {
  const TensorDesc channels{DType::f32, {x[-1]}};
  return {.op = std::move(op),
          .name = std::move(name),
          .inputs = {{{DType::f32, x}}, {{DType::f32, x}}, {channels}, {channels}, {channels, kPositive}},
          .attributes = {},
          .tolerance = 5e-5,
          .check_gradient = false};
}

OpCase affine(std::string name, std::int64_t count, double eps) {
  const TensorDesc channels{DType::f32, {count}};
  return {.op = "batch_norm_affine",
          .name = std::move(name),
          .inputs = {{channels}, {channels}, {channels}, {channels, kPositive}},
          .attributes = {{"eps", eps}},
          .check_gradient = false};
}

const CaseRegistrar cases{
    forward("train_one_channel", {1, 5, 3, 1}, "train", true),
    forward("train_odd_sides", {2, 3, 5, 3}, "train", true),
    forward("train_far_from_zero", {2, 16, 16, 17}, "train", false, kOffCentre),
    forward("train_many_pixels", {1, 260, 255, 3}, "train", false),
    forward("train_wide", {2, 4, 4, 512}, "train", false),
    forward("frozen_odd_sides", {2, 3, 5, 3}, "frozen", true),
    forward("eval_odd_sides", {2, 3, 5, 3}, "eval", true),
    forward("eval_one_pixel", {1, 1, 1, 4}, "eval", true),
    affine("one_channel", 1, 1e-5),
    affine("wide", 130, 0.5),
    backward("batch_norm_gradient", "odd_sides", {2, 7, 5, 19}),
    backward("batch_norm_gradient", "many_pixels", {1, 260, 255, 3}),
    backward("batch_norm_frozen_gradient", "odd_sides", {2, 7, 5, 19}),
    backward("batch_norm_frozen_gradient", "many_pixels", {1, 260, 255, 3}),
};

}  // namespace
}  // namespace dermatome
