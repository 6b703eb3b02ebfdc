// Cases of conv_transpose2d: the pixel-doubling form of U-Net34, its one-channel head, overlaps, padding.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

OpCase forward(std::string name, Shape x, std::int64_t channels, std::int64_t kernel, std::int64_t stride,
               std::int64_t pad, bool bias, bool check_gradient) {
  OpCase c{.op = "conv_transpose2d",
           .name = std::move(name),
           .inputs = {{{DType::f32, x}}, {{DType::f32, {x[3], channels, kernel, kernel}}}},
           .attributes = {{"channels", channels}, {"kernel", kernel}, {"stride", stride}, {"pad", pad}, {"bias", bias}},
           .check_gradient = check_gradient};
  if (bias) c.inputs.push_back({{DType::f32, {channels}}});
  return c;
}

const CaseRegistrar cases{
    forward("one_pixel", {1, 1, 1, 1}, 1, 2, 2, 0, true, true),
    forward("overlapping", {2, 3, 4, 3}, 2, 3, 2, 1, true, true),
    forward("gaps", {1, 3, 2, 2}, 3, 1, 2, 0, false, true),
    forward("pixel_doubling", {2, 3, 2, 4}, 3, 2, 2, 0, true, true),
    forward("up1", {2, 4, 4, 512}, 128, 2, 2, 0, true, false),
    forward("head", {2, 16, 16, 256}, 1, 2, 2, 0, true, false),
    forward("large_head", {2, 16, 16, 16}, 1, 1, 1, 0, true, false),
    forward("many_pixels", {1, 131, 129, 5}, 3, 2, 2, 0, true, false),
};

}  // namespace
}  // namespace dermatome
