// Cases of slice and slice_gradient.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

const CaseRegistrar cases{
    {.op = "slice",
     .name = "all_of_one_channel",
     .inputs = {{{DType::f32, {1, 3, 5, 1}}}},
     .attributes = {{"begin", 0}, {"channels", 1}}},
    {.op = "slice",
     .name = "middle_of_odd_sides",
     .inputs = {{{DType::f32, {2, 3, 5, 7}}}},
     .attributes = {{"begin", 2}, {"channels", 3}}},
    {.op = "slice",
     .name = "end_of_a_matrix",
     .inputs = {{{DType::f32, {5, 6}}}},
     .attributes = {{"begin", 4}, {"channels", 2}}},
    {.op = "slice",
     .name = "many_channels",
     .inputs = {{{DType::f32, {2, 9, 11, 195}}}},
     .attributes = {{"begin", 128}, {"channels", 67}},
     .check_gradient = false},
    {.op = "slice",
     .name = "many_pixels",
     .inputs = {{{DType::f32, {1, 257, 256, 3}}}},
     .attributes = {{"begin", 1}, {"channels", 1}},
     .check_gradient = false},
    {.op = "slice_gradient",
     .name = "middle_of_odd_sides",
     .inputs = {{{DType::f32, {2, 3, 5, 3}}}},
     .attributes = {{"begin", 2}, {"channels", 7}},
     .check_gradient = false},
    {.op = "slice_gradient",
     .name = "many_pixels",
     .inputs = {{{DType::f32, {1, 257, 256, 1}}}},
     .attributes = {{"begin", 2}, {"channels", 3}},
     .check_gradient = false},
};

}  // namespace
}  // namespace dermatome
