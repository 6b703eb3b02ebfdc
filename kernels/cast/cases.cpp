// Cases of cast. Gradients only between f32 and f64: central differences see the steps of coarser types.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

using Fill = InputFill;
constexpr Fill kWide{Fill::Kind::uniform, -1e6, 1e6};
constexpr Fill kBytes{Fill::Kind::integers, 0, 255};
constexpr Fill kWhole{Fill::Kind::integers, -1000000, 1000000};
// Next to the middle between two bf16 numbers, which is the nearest f32: rounding twice goes wrong.
constexpr Fill kAboveTie{Fill::Kind::constant, 0x40400001, 0x40400001};
constexpr Fill kBelowTie{Fill::Kind::constant, -0x40bfffff, -0x40bfffff};

const CaseRegistrar cases{
    {.op = "cast", .name = "f32_to_f64", .inputs = {{{DType::f32, {2, 3, 5, 3}}}}, .attributes = {{"type", "f64"}}},
    {.op = "cast",
     .name = "f32_to_bf16",
     .inputs = {{{DType::f32, {3, 5, 7, 17}}, kWide}},
     .attributes = {{"type", "bf16"}},
     .check_gradient = false},
    {.op = "cast",
     .name = "many_pixels_to_bf16",
     .inputs = {{{DType::f32, {1, 257, 256, 1}}}},
     .attributes = {{"type", "bf16"}},
     .check_gradient = false},
    {.op = "cast",
     .name = "u8_to_f32",
     .inputs = {{{DType::u8, {2, 5, 7, 3}}, kBytes}},
     .attributes = {},
     .check_gradient = false},
    {.op = "cast",
     .name = "i32_to_f32",
     .inputs = {{{DType::i32, {3, 4}}, kWhole}},
     .attributes = {},
     .check_gradient = false},
    {.op = "cast",
     .name = "i32_to_bf16",
     .inputs = {{{DType::i32, {31, 33}}, kWhole}},
     .attributes = {{"type", "bf16"}},
     .check_gradient = false},
    {.op = "cast",
     .name = "just_above_a_tie_of_bf16",
     .inputs = {{{DType::i32, {3}}, kAboveTie}},
     .attributes = {{"type", "bf16"}},
     .check_gradient = false},
    {.op = "cast",
     .name = "just_below_a_tie_of_bf16",
     .inputs = {{{DType::i32, {3}}, kBelowTie}},
     .attributes = {{"type", "bf16"}},
     .check_gradient = false},
};

}  // namespace
}  // namespace dermatome
