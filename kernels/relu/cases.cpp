// Cases of relu: inputs keep away from the kink.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

using Fill = InputFill;
constexpr Fill kOffZero{Fill::Kind::off_zero, -2, 2};

const CaseRegistrar cases{
    {.op = "relu", .name = "one_element", .inputs = {{{DType::f32, {1}}, kOffZero}}, .attributes = {}},
    {.op = "relu", .name = "odd_sides", .inputs = {{{DType::f32, {2, 5, 7, 3}}, kOffZero}}, .attributes = {}},
    {.op = "relu", .name = "many_pixels", .inputs = {{{DType::f32, {1, 257, 257, 1}}, kOffZero}}, .attributes = {}},
    {.op = "relu_gradient",
     .name = "odd_sides",
     .inputs = {{{DType::f32, {2, 5, 7, 3}}, {}}, {{DType::f32, {2, 5, 7, 3}}, kOffZero}},
     .attributes = {},
     .check_gradient = false},
};

}  // namespace
}  // namespace dermatome
