// Cases of max_pool and its gradient. Inputs are free of ties, but for the one case that is about them.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

using Fill = InputFill;
constexpr Fill kDistinct{Fill::Kind::distinct, -1, 1};
constexpr Fill kNegative{Fill::Kind::distinct, -2, -1};
constexpr Fill kTies{Fill::Kind::integers, 0, 2};
constexpr Fill kTaps2{Fill::Kind::integers, 0, 3};
constexpr Fill kTaps3{Fill::Kind::integers, 0, 8};

const CaseRegistrar cases{
    {.op = "max_pool",
     .name = "resnet_stem_one_channel",
     .inputs = {{{DType::f32, {1, 8, 6, 1}}, kDistinct}},
     .attributes = {{"kernel", 3}, {"stride", 2}, {"pad", 1}}},
    {.op = "max_pool",
     .name = "odd_sides_below_zero",  // padding would win if it counted as zero
     .inputs = {{{DType::f32, {2, 5, 7, 3}}, kNegative}},
     .attributes = {{"kernel", 3}, {"stride", 2}, {"pad", 1}}},
    {.op = "max_pool",
     .name = "even_kernel",
     .inputs = {{{DType::f32, {1, 7, 5, 5}}, kDistinct}},
     .attributes = {{"kernel", 2}, {"stride", 2}}},
    {.op = "max_pool",
     .name = "stride_beyond_kernel",
     .inputs = {{{DType::f32, {1, 8, 7, 2}}, kDistinct}},
     .attributes = {{"kernel", 2}, {"stride", 3}, {"pad", 1}}},
    {.op = "max_pool",
     .name = "overlapping",
     .inputs = {{{DType::f32, {1, 6, 7, 2}}, kDistinct}},
     .attributes = {{"kernel", 5}, {"stride", 1}, {"pad", 2}}},
    {.op = "max_pool",
     .name = "ties_take_the_first",
     .inputs = {{{DType::f32, {2, 9, 11, 20}}, kTies}},
     .attributes = {{"kernel", 3}, {"stride", 2}, {"pad", 1}},
     .check_gradient = false},
    {.op = "max_pool",
     .name = "largest_kernel",
     .inputs = {{{DType::f32, {1, 31, 17, 3}}, kDistinct}},
     .attributes = {{"kernel", 15}, {"stride", 4}, {"pad", 7}},
     .check_gradient = false},
    {.op = "max_pool",
     .name = "many_channels",
     .inputs = {{{DType::f32, {2, 17, 15, 150}}, kDistinct}},
     .attributes = {{"kernel", 3}, {"stride", 2}, {"pad", 1}},
     .check_gradient = false},
    {.op = "max_pool",
     .name = "many_pixels",
     .inputs = {{{DType::f32, {1, 301, 299, 1}}, kDistinct}},
     .attributes = {{"kernel", 3}, {"stride", 1}, {"pad", 1}},
     .check_gradient = false},
    {.op = "max_pool_gradient",
     .name = "odd_sides",
     .inputs = {{{DType::f32, {2, 5, 7, 3}}}, {{DType::u8, {2, 5, 7, 3}}, kTaps3}},
     .attributes = {{"kernel", 3}, {"stride", 2}, {"pad", 1}, {"height", 9}, {"width", 14}},
     .check_gradient = false},
    {.op = "max_pool_gradient",
     .name = "rows_that_no_window_covers",
     .inputs = {{{DType::f32, {1, 3, 3, 17}}}, {{DType::u8, {1, 3, 3, 17}}, kTaps2}},
     .attributes = {{"kernel", 2}, {"stride", 3}, {"height", 10}, {"width", 8}},
     .check_gradient = false},
    {.op = "max_pool_gradient",
     .name = "many_pixels",
     .inputs = {{{DType::f32, {1, 129, 257, 2}}}, {{DType::u8, {1, 129, 257, 2}}, kTaps3}},
     .attributes = {{"kernel", 3}, {"stride", 2}, {"pad", 1}, {"height", 257}, {"width", 513}},
     .check_gradient = false},
};

}  // namespace
}  // namespace dermatome
