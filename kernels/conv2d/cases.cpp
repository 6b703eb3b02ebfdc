// Cases of conv2d: kernels 1, 3, 7, strides, odd sides, odd channels, bias, U-Net34's own shapes in small.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

// Winograd's transforms magnify the roundings of bf16 at the points.
constexpr double kWinogradInBf16 = 0x1p-5;

OpCase forward(std::string name, Shape x, std::int64_t channels, std::int64_t kernel, std::int64_t stride,
               std::int64_t pad, bool bias, bool check_gradient) {
  OpCase c{.op = "conv2d",
           .name = std::move(name),
           .inputs = {{{DType::f32, x}}, {{DType::f32, {channels, x[3], kernel, kernel}}}},
           .attributes = {{"channels", channels}, {"kernel", kernel}, {"stride", stride}, {"pad", pad}, {"bias", bias}},
           .bf16_gradient_tolerance = kernel == 3 && stride == 1 ? kWinogradInBf16 : 0,
           .check_gradient = check_gradient};
  if (bias) c.inputs.push_back({{DType::f32, {channels}}});
  return c;
}

OpCase data_gradient(std::string name, Shape dy, std::int64_t in, std::int64_t kernel, std::int64_t stride,
                     std::int64_t pad, std::int64_t height, std::int64_t width) {
  return {.op = "conv2d_data_gradient",
          .name = std::move(name),
          .inputs = {{{DType::f32, dy}}, {{DType::f32, {dy[3], in, kernel, kernel}}}},
          .attributes = {{"kernel", kernel}, {"stride", stride}, {"pad", pad}, {"height", height}, {"width", width}},
          .bf16_tolerance = kernel == 3 && stride == 1 ? kWinogradInBf16 : 0,
          .check_gradient = false};
}

OpCase weight_gradient(std::string name, Shape x, Shape dy, std::int64_t kernel, std::int64_t stride,
                       std::int64_t pad) {
  return {.op = "conv2d_weight_gradient",
          .name = std::move(name),
          .inputs = {{{DType::f32, x}}, {{DType::f32, dy}}},
          .attributes = {{"kernel", kernel}, {"stride", stride}, {"pad", pad}},
          .tolerance = 5e-5,
          .bf16_tolerance = kernel == 3 && stride == 1 ? kWinogradInBf16 : 0,
          .check_gradient = false};
}

const CaseRegistrar cases{
    forward("one_pixel", {1, 1, 1, 1}, 1, 1, 1, 0, true, true),
    forward("odd_sides_stride_2", {2, 5, 7, 3}, 4, 3, 2, 1, true, true),
    forward("seven_by_seven", {1, 9, 8, 2}, 3, 7, 2, 3, false, true),
    forward("unread_border", {1, 6, 6, 2}, 3, 1, 2, 0, false, true),
    forward("stem", {2, 64, 64, 3}, 64, 7, 2, 3, false, false),
    forward("block", {2, 16, 16, 64}, 64, 3, 1, 1, false, false),
    forward("shrinking", {2, 16, 16, 64}, 128, 3, 2, 1, false, false),
    forward("skip", {2, 16, 16, 64}, 128, 1, 1, 0, true, false),
    forward("one_channel_out", {1, 33, 31, 17}, 1, 3, 1, 1, true, false),
    forward("many_pixels", {1, 260, 257, 3}, 5, 3, 1, 1, false, false),
    // Winograd: tiles that stick out, every padding, panels of channels narrower than the widest, few tiles with large
    // kernels.
    forward("cut_tiles", {2, 7, 9, 32}, 48, 3, 1, 1, true, false),
    forward("no_padding", {1, 10, 11, 16}, 80, 3, 1, 0, false, false),
    forward("wide_padding", {1, 5, 6, 16}, 16, 3, 1, 2, false, false),
    forward("large_kernels", {1, 9, 8, 224}, 208, 3, 1, 1, true, false),
    // Products: windows over the border, more terms than a block's, panels narrower than the widest, gaps, a border
    // that no window reaches.
    forward("pixel_halving", {2, 8, 6, 48}, 80, 2, 2, 0, true, false),
    forward("deep", {1, 7, 6, 48}, 16, 3, 2, 1, true, false),
    data_gradient("one_channel_to_sixteen", {2, 9, 11, 1}, 16, 1, 1, 0, 9, 11),
    data_gradient("gaps", {2, 3, 4, 32}, 48, 1, 2, 0, 6, 8),
    data_gradient("border", {1, 3, 3, 32}, 80, 2, 2, 0, 7, 6),
    weight_gradient("gaps", {2, 6, 8, 48}, {2, 3, 4, 32}, 1, 2, 0),
    weight_gradient("one_pixel_windows", {2, 9, 7, 24}, {2, 9, 7, 80}, 1, 1, 0),
    weight_gradient("many_pixels", {1, 42, 41, 3}, {1, 42, 41, 16}, 3, 1, 1),
    data_gradient("cut_tiles", {2, 7, 9, 48}, 32, 3, 1, 1, 7, 9),
    data_gradient("no_padding", {1, 8, 9, 16}, 80, 3, 1, 0, 10, 11),
    data_gradient("large_kernels", {1, 9, 8, 224}, 208, 3, 1, 1, 9, 8),
    weight_gradient("cut_tiles", {2, 7, 9, 48}, {2, 7, 9, 80}, 3, 1, 1),
    weight_gradient("no_padding", {1, 10, 11, 16}, {1, 8, 9, 32}, 3, 1, 0),
    weight_gradient("large_kernels", {1, 9, 8, 224}, {1, 9, 8, 208}, 3, 1, 1),
    weight_gradient("many_tiles", {13, 16, 15, 32}, {13, 16, 15, 16}, 3, 1, 1),
    // Products of tiles: rows of images that are no whole tiles, phases of unequal size, windows farther apart than
    // they are wide, wider than their step, without padding, pixels read in place and not.
    forward("tiles_cut", {3, 5, 7, 96}, 32, 3, 1, 1, true, false),
    forward("tiles_of_unequal_phases", {2, 7, 9, 32}, 64, 3, 2, 1, false, false),
    forward("tiles_with_gaps", {1, 8, 7, 32}, 32, 2, 3, 0, true, false),
    forward("tiles_wide_windows", {1, 6, 18, 32}, 32, 5, 1, 2, false, false),
    forward("tiles_no_padding", {2, 6, 5, 32}, 32, 3, 1, 0, false, false),
    forward("tiles_odd_pixels", {1, 3, 5, 64}, 32, 1, 1, 0, true, false),
    forward("tiles_many", {2, 32, 32, 32}, 96, 3, 1, 1, false, false),
    data_gradient("tiles_cut", {3, 5, 7, 96}, 32, 3, 1, 1, 5, 7),
    data_gradient("tiles_of_unequal_phases", {2, 4, 5, 32}, 64, 3, 2, 1, 7, 9),
    data_gradient("tiles_with_gaps", {1, 3, 2, 32}, 32, 2, 3, 0, 8, 7),
    data_gradient("tiles_wide_windows", {1, 6, 18, 32}, 32, 5, 1, 2, 6, 18),
    data_gradient("tiles_no_padding", {2, 4, 3, 32}, 32, 3, 1, 0, 6, 5),
    data_gradient("tiles_downsample", {2, 8, 8, 64}, 32, 1, 2, 0, 16, 16),
    data_gradient("tiles_many", {2, 32, 32, 32}, 96, 3, 1, 1, 32, 32),
    weight_gradient("tiles_cut", {3, 5, 7, 96}, {3, 5, 7, 32}, 3, 1, 1),
    weight_gradient("tiles_of_unequal_phases", {2, 7, 9, 32}, {2, 4, 5, 64}, 3, 2, 1),
    weight_gradient("tiles_with_gaps", {1, 8, 7, 32}, {1, 3, 2, 32}, 2, 3, 0),
    weight_gradient("tiles_wide_windows", {1, 6, 18, 32}, {1, 6, 18, 32}, 5, 1, 2),
    weight_gradient("tiles_no_padding", {2, 6, 5, 32}, {2, 4, 3, 32}, 3, 1, 0),
    weight_gradient("tiles_odd_pixels", {1, 3, 5, 64}, {1, 3, 5, 32}, 1, 1, 0),
    weight_gradient("tiles_many", {2, 32, 32, 32}, {2, 32, 32, 96}, 3, 1, 1),
    data_gradient("odd_sides_stride_2", {2, 3, 4, 4}, 3, 3, 2, 1, 5, 7),
    data_gradient("unread_border", {1, 3, 3, 3}, 2, 1, 2, 0, 6, 6),
    data_gradient("block", {2, 16, 16, 64}, 64, 3, 1, 1, 16, 16),
    data_gradient("shrinking", {2, 8, 8, 128}, 64, 3, 2, 1, 16, 16),
    data_gradient("pixel_doubling", {2, 8, 8, 256}, 128, 2, 2, 0, 16, 16),
    data_gradient("pixel_doubling_head", {2, 16, 16, 256}, 1, 2, 2, 0, 32, 32),
    weight_gradient("odd_sides_stride_2", {2, 5, 7, 3}, {2, 3, 4, 4}, 3, 2, 1),
    weight_gradient("unread_border", {1, 6, 6, 2}, {1, 3, 3, 3}, 1, 2, 0),
    weight_gradient("gaps_of_few_channels", {2, 16, 32, 3}, {2, 8, 16, 16}, 1, 2, 0),
    weight_gradient("stem", {2, 64, 64, 3}, {2, 32, 32, 64}, 7, 2, 3),
    weight_gradient("block", {2, 16, 16, 64}, {2, 16, 16, 64}, 3, 1, 1),
    weight_gradient("pixel_doubling_head", {2, 32, 32, 1}, {2, 16, 16, 256}, 2, 2, 0),
};

// --- conv2d_sums ---

OpCase sums(std::string name, Shape x, std::int64_t channels, std::int64_t kernel, std::int64_t stride,
            std::int64_t pad, bool bias) {
  OpCase c = forward(std::move(name), x, channels, kernel, stride, pad, bias, false);
  c.op = "conv2d_sums";
  c.bf16_tolerance = 0x1p-7;  // kernels may add up y before or behind its rounding
  c.attributes.pop_back();    // bias
  return c;
}

const CaseRegistrar sums_cases{
    sums("odd_channels", {2, 5, 7, 3}, 5, 3, 2, 1, true),
    sums("block", {2, 16, 16, 64}, 64, 3, 1, 1, false),
    sums("many_pixels", {1, 260, 255, 3}, 4, 3, 1, 1, false),
};

// --- conv2d_data_gradient_sums ---

OpCase data_gradient_sums(std::string name, Shape dy, std::int64_t in, std::int64_t kernel, std::int64_t stride,
                          std::int64_t pad, std::int64_t height, std::int64_t width, bool added) {
  OpCase c = data_gradient(std::move(name), dy, in, kernel, stride, pad, height, width);
  c.op = "conv2d_data_gradient_sums";
  c.bf16_tolerance = 0x1p-7;  // kernels may add up g before or behind its rounding
  const TensorDesc dx{DType::f32, {dy[0], height, width, in}};
  c.inputs.push_back({dx, {InputFill::Kind::off_zero, -2, 2}});
  c.inputs.push_back({dx});
  if (added) c.inputs.push_back({dx});
  return c;
}

const CaseRegistrar data_gradient_sums_cases{
    data_gradient_sums("odd_channels", {2, 3, 4, 5}, 3, 3, 2, 1, 5, 7, false),
    data_gradient_sums("added", {2, 5, 7, 5}, 3, 3, 1, 1, 5, 7, true),
    data_gradient_sums("block", {2, 16, 16, 64}, 64, 3, 1, 1, 16, 16, true),
    data_gradient_sums("many_pixels", {1, 260, 255, 4}, 4, 1, 1, 0, 260, 255, true),
};

// --- conv2d_fused: every part alone and all together, by each implementation of the convolution ---

struct Parts {
  bool bias = false, affine = false, residual = false, relu_first = false, relu = false;
};

constexpr Parts kNormalised{.affine = true};
constexpr Parts kWhole{.bias = true, .affine = true, .residual = true, .relu_first = true, .relu = true};

OpCase fused(std::string name, Shape x, std::int64_t channels, std::int64_t kernel, std::int64_t stride,
             std::int64_t pad, Parts parts) {
  constexpr InputFill kAbsent{.kind = InputFill::Kind::absent};
  const InputFill of_bias = parts.bias ? InputFill{} : kAbsent;
  const InputFill of_affine = parts.affine ? InputFill{} : kAbsent;
  const InputFill of_residual = parts.residual ? InputFill{} : kAbsent;
  const TensorDesc each{DType::f32, {channels}};
  const auto side = [&](std::int64_t size) { return (size + 2 * pad - kernel) / stride + 1; };
  return {.op = "conv2d_fused",
          .name = std::move(name),
          .inputs = {{{DType::f32, x}},
                     {{DType::f32, {channels, x[3], kernel, kernel}}},
                     {each, of_bias},
                     {each, of_affine},
                     {each, of_affine},
                     {{DType::f32, {x[0], side(x[1]), side(x[2]), channels}}, of_residual}},
          .attributes = {{"channels", channels},
                         {"kernel", kernel},
                         {"stride", stride},
                         {"pad", pad},
                         {"relu_first", parts.relu_first},
                         {"relu", parts.relu}},
          .check_gradient = false};
}

const CaseRegistrar fused_cases{
    fused("one_pixel", {1, 1, 1, 1}, 1, 1, 1, 0, kWhole),
    fused("odd_channels", {2, 5, 7, 3}, 5, 3, 2, 1, kWhole),
    fused("many_channels_of_one_pixel", {1, 2, 2, 3}, 150, 2, 2, 0, kWhole),
    fused("stem", {2, 64, 64, 3}, 64, 7, 2, 3, {.affine = true, .relu = true}),
    fused("shrinking", {2, 16, 16, 64}, 128, 3, 2, 1, {.affine = true, .relu = true}),
    fused("downsample", {2, 16, 16, 64}, 128, 1, 2, 0, kNormalised),
    fused("deep", {1, 7, 6, 48}, 16, 3, 2, 1, kWhole),
    fused("one_pixel_windows", {1, 6, 5, 64}, 80, 1, 1, 0, kWhole),
    // Winograd, in blocks and in panels.
    fused("block_start", {2, 16, 16, 64}, 64, 3, 1, 1, {.affine = true, .relu = true}),
    fused("block_end", {2, 16, 16, 64}, 64, 3, 1, 1, {.affine = true, .residual = true, .relu = true}),
    fused("normalised", {1, 7, 9, 32}, 32, 3, 1, 1, kNormalised),
    fused("bias_and_relu", {1, 7, 9, 32}, 32, 3, 1, 1, {.bias = true, .relu = true}),
    fused("relu_first", {1, 7, 9, 32}, 32, 3, 1, 1, {.affine = true, .relu_first = true}),
    fused("residual", {1, 7, 9, 32}, 32, 3, 1, 1, {.residual = true}),
    fused("cut_tiles", {2, 7, 9, 32}, 48, 3, 1, 1, kWhole),
    fused("no_padding", {1, 10, 11, 16}, 80, 3, 1, 0, kWhole),
    fused("large_kernels", {1, 9, 8, 224}, 208, 3, 1, 1, kWhole),
    // Products of tiles.
    fused("tiles_cut", {3, 5, 7, 96}, 32, 3, 1, 1, kWhole),
    fused("tiles_of_unequal_phases", {2, 7, 9, 32}, 64, 3, 2, 1, {.affine = true, .residual = true, .relu = true}),
};

}  // namespace
}  // namespace dermatome
