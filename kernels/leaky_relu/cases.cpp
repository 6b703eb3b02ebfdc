// Cases of leaky_relu: inputs keep away from the kink.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

constexpr InputFill kOffZero{InputFill::Kind::off_zero, -2, 2};

const CaseRegistrar cases{
    {.op = "leaky_relu", .name = "one_element", .inputs = {{{DType::f32, {1}}, kOffZero}}, .attributes = {}},
    {.op = "leaky_relu",
     .name = "steep",
     .inputs = {{{DType::f32, {2, 5, 7, 3}}, kOffZero}},
     .attributes = {{"slope", 0.3}}},
    {.op = "leaky_relu",
     .name = "many_pixels",
     .inputs = {{{DType::f32, {1, 257, 257, 1}}, kOffZero}},
     .attributes = {},
     .check_gradient = false},
    {.op = "leaky_relu_gradient",
     .name = "odd_sides",
     .inputs = {{{DType::f32, {2, 5, 7, 3}}}, {{DType::f32, {2, 5, 7, 3}}, kOffZero}},
     .attributes = {},
     .check_gradient = false},
};

}  // namespace
}  // namespace dermatome
