// Cases of bce_with_logits and multiply_by_scalar.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

using Fill = InputFill;
constexpr Fill kLogits{Fill::Kind::off_zero, -4, 4};
constexpr Fill kMask{Fill::Kind::binary, 0, 1};
constexpr Fill kSoft{Fill::Kind::uniform, 0, 0.45};
constexpr Fill kDivisor{Fill::Kind::constant, 70, 70};

std::vector<CaseInput> inputs(const Shape& shape, Fill logits, Fill target) {
  return {{{DType::f32, shape}, logits}, {{DType::f32, shape}, target}, {{DType::f32, {1}}, kDivisor}};
}

const CaseRegistrar cases{
    {.op = "bce_with_logits", .name = "one_pixel", .inputs = inputs({1, 1, 1, 1}, kLogits, kMask), .attributes = {}},
    {.op = "bce_with_logits", .name = "odd_sides", .inputs = inputs({2, 5, 7, 1}, kLogits, kMask), .attributes = {}},
    {.op = "bce_with_logits", .name = "soft_target", .inputs = inputs({1, 5, 9, 1}, kLogits, kSoft), .attributes = {}},
    {.op = "bce_with_logits",
     .name = "far_from_zero",
     .inputs = inputs({2, 9, 11, 1}, {Fill::Kind::uniform, -1000, 1000}, kMask),
     .attributes = {},
     .check_gradient = false},
    {.op = "bce_with_logits",
     .name = "one_image_of_many_pixels",
     .inputs = inputs({1, 257, 259, 1}, kLogits, kMask),
     .attributes = {},
     .check_gradient = false},
    {.op = "bce_with_logits",
     .name = "batch_of_many_pixels",
     .inputs = inputs({3, 181, 127, 1}, kLogits, kMask),
     .attributes = {},
     .check_gradient = false},
    {.op = "multiply_by_scalar",
     .name = "factor",
     .inputs = {{{DType::f32, {2, 5, 7, 3}}}, {{DType::f32, {1}}}},
     .attributes = {},
     .check_gradient = false},
    {.op = "multiply_by_scalar",
     .name = "factor_and_divisor",
     .inputs = {{{DType::f32, {1, 257, 256, 1}}}, {{DType::f32, {1}}}, {{DType::f32, {1}}, kDivisor}},
     .attributes = {},
     .check_gradient = false},
};

}  // namespace
}  // namespace dermatome
