// Cases of decoder_step and its gradients: with and without normalisation and skip, U-Net34's channels, its head.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

using Kind = InputFill::Kind;

constexpr InputFill kPositive{Kind::uniform, 0.5, 2};
constexpr InputFill kAbsent{Kind::absent};
// Small weights and large biases keep the sums away from ReLU's kink.
constexpr InputFill kSmall{Kind::uniform, -0.1, 0.1};
constexpr InputFill kLarge{Kind::binary, -4, 4};
// Scale and weight are multiplied before they are rounded, and what is normalised is rounded.
constexpr double kBf16 = 0x1p-8;

CaseInput channels(std::int64_t count, InputFill fill = {}) {
  return {{DType::f32, {count}}, fill};
}

// skip: channels of the skip tensor and of what becomes of it, or 0.
OpCase forward(std::string name, Shape x, std::int64_t kernel, std::int64_t out, Shape skip, std::string mode,
               bool check_gradient) {
  OpCase c{.op = "decoder_step",
           .name = std::move(name),
           .inputs = {{{DType::f32, x}}, {{DType::f32, {x[3], out, kernel, kernel}}, kSmall}, channels(out, kLarge)},
           .attributes = {{"kernel", kernel}, {"mode", mode}},
           .tolerance = 5e-5,
           .bf16_tolerance = kBf16,
           .check_gradient = check_gradient};
  if (skip[0] > 0) {
    c.inputs.push_back({{DType::f32, {x[0], x[1] * kernel, x[2] * kernel, skip[0]}}});
    c.inputs.push_back({{DType::f32, {skip[1], skip[0], 1, 1}}, kSmall});
    c.inputs.push_back(channels(skip[1], kLarge));
  } else {
    for (int i = 0; i < 3; ++i) c.inputs.push_back({{DType::f32, {1}}, kAbsent});
  }
  for (int i = 0; i < 4; ++i)
    c.inputs.push_back(mode == "none" ? channels(1, kAbsent) : channels(x[3], i == 3 ? kPositive : InputFill{}));
  return c;
}

OpCase backward(std::string name, Shape x, std::int64_t kernel, std::int64_t out, std::int64_t of_dy, std::string mode,
                bool masked) {
  OpCase c{.op = "decoder_step_gradient",
           .name = std::move(name),
           .inputs = {{{DType::f32, {x[0], x[1] * kernel, x[2] * kernel, of_dy}}},
                      {{DType::f32, x}},
                      {{DType::f32, {x[3], out, kernel, kernel}}}},
           .attributes = {{"kernel", kernel}, {"mode", mode}, {"masked", masked}},
           .tolerance = 5e-5,
           .bf16_tolerance = kBf16,
           .check_gradient = false};
  for (int i = 0; i < 4; ++i)
    c.inputs.push_back(mode == "none" ? channels(1, kAbsent) : channels(x[3], i == 3 ? kPositive : InputFill{}));
  return c;
}

OpCase skip_backward(std::string name, Shape skip, std::int64_t out, std::int64_t of_dy) {
  return {.op = "decoder_skip_gradient",
          .name = std::move(name),
          .inputs = {{{DType::f32, {skip[0], skip[1], skip[2], of_dy}}},
                     {{DType::f32, skip}},
                     {{DType::f32, {out, skip[3], 1, 1}}}},
          .attributes = {},
          .tolerance = 5e-5,
          .check_gradient = false};
}

const CaseRegistrar cases{
    forward("plain", {1, 2, 3, 16}, 2, 16, {0, 0}, "none", true),
    forward("normalised", {2, 2, 3, 16}, 2, 1, {0, 0}, "train", true),
    forward("joined", {1, 2, 2, 16}, 2, 16, {16, 16}, "none", true),
    forward("joined_and_normalised", {2, 2, 2, 16}, 2, 16, {16, 16}, "train", true),
    forward("frozen", {1, 2, 2, 32}, 2, 16, {16, 32}, "frozen", true),
    forward("eval_tripling", {1, 2, 1, 16}, 3, 1, {0, 0}, "eval", true),
    forward("eval_wide_tripling", {1, 2, 3, 16}, 3, 80, {0, 0}, "eval", false),
    forward("up1", {2, 4, 4, 512}, 2, 128, {256, 128}, "none", false),
    forward("up2", {2, 8, 8, 256}, 2, 128, {128, 128}, "train", false),
    forward("up4", {1, 9, 7, 256}, 2, 128, {64, 128}, "eval", false),
    forward("head", {2, 16, 17, 256}, 2, 1, {0, 0}, "train", false),
    backward("odd_sides", {2, 3, 1, 48}, 3, 80, 96, "train", true),
    backward("up1", {2, 4, 4, 512}, 2, 128, 256, "none", true),
    backward("up2", {2, 8, 8, 256}, 2, 128, 256, "train", true),
    backward("up4_unmasked", {1, 9, 7, 256}, 2, 128, 256, "train", false),
    backward("up3_frozen", {2, 8, 8, 256}, 2, 128, 256, "frozen", true),
    forward("head_of_one_tap", {2, 7, 5, 48}, 1, 1, {0, 0}, "train", false),
    backward("head_of_one_tap", {2, 7, 5, 48}, 1, 1, 1, "train", true),
    backward("head", {2, 16, 17, 256}, 2, 1, 1, "train", true),
    skip_backward("odd_sides", {2, 3, 1, 48}, 80, 96),
    skip_backward("up1", {2, 8, 8, 256}, 128, 256),
    skip_backward("up4", {1, 31, 17, 64}, 128, 256),
};

}  // namespace
}  // namespace dermatome
