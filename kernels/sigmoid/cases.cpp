// Cases of sigmoid and its gradient.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

using Fill = InputFill;
constexpr Fill kUsual{Fill::Kind::uniform, -6, 6};
constexpr Fill kProbability{Fill::Kind::uniform, 0, 1};

const CaseRegistrar cases{
    {.op = "sigmoid", .name = "one_element", .inputs = {{{DType::f32, {1}}, kUsual}}, .attributes = {}},
    {.op = "sigmoid", .name = "odd_sides", .inputs = {{{DType::f32, {2, 5, 7, 3}}, kUsual}}, .attributes = {}},
    {.op = "sigmoid",
     .name = "far_from_zero",
     .inputs = {{{DType::f32, {1, 9, 11, 1}}, {Fill::Kind::uniform, -2000, 2000}}},
     .attributes = {},
     .check_gradient = false},
    {.op = "sigmoid",
     .name = "far_below_zero",
     .inputs = {{{DType::f32, {3}}, {Fill::Kind::constant, -80, -80}}},
     .attributes = {},
     .check_gradient = false},
    {.op = "sigmoid",
     .name = "many_pixels",
     .inputs = {{{DType::f32, {1, 257, 256, 1}}, kUsual}},
     .attributes = {},
     .check_gradient = false},
    {.op = "sigmoid_gradient",
     .name = "odd_sides",
     .inputs = {{{DType::f32, {2, 5, 7, 3}}}, {{DType::f32, {2, 5, 7, 3}}, kProbability}},
     .attributes = {},
     .check_gradient = false},
    {.op = "sigmoid_gradient",
     .name = "many_pixels",
     .inputs = {{{DType::f32, {1, 257, 256, 1}}}, {{DType::f32, {1, 257, 256, 1}}, kProbability}},
     .attributes = {},
     .check_gradient = false},
};

}  // namespace
}  // namespace dermatome
