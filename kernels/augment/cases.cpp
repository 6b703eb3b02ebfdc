// Cases of augment: small affine tables, both mask borders.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

using Kind = InputFill::Kind;

OpCase warp(std::string name, std::int64_t resident, std::int64_t samples, std::int64_t height, std::int64_t width,
            bool reflect) {
  return {.op = "augment",
          .name = std::move(name),
          .inputs = {{{DType::u8, {resident, height, width, 3}}, {Kind::integers, 0, 255}},
                     {{DType::u8, {resident, height, width}}, {Kind::binary, 0, 255}},
                     {{DType::i32, {samples}}, {Kind::integers, 0, static_cast<double>(resident - 1)}},
                     {{DType::f32, {samples, 8}}, {Kind::uniform, -1, 1}}},
          .attributes = {{"reflect_mask", reflect}},
          .tolerance = 2e-4,  // of a sampling position a hundred pixels out in f32
          .check_gradient = false};
}

const CaseRegistrar cases{
    warp("one_pixel", 1, 1, 1, 1, true),
    warp("odd_sides", 3, 5, 7, 9, true),
    warp("mask_border_background", 2, 2, 13, 11, false),
    warp("many_pixels", 1, 1, 260, 255, true),
};

}  // namespace
}  // namespace dermatome
