// Cases of channel_sum.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

const CaseRegistrar cases{
    {.op = "channel_sum", .name = "vector", .inputs = {{{DType::f32, {5}}}}, .attributes = {}, .check_gradient = false},
    {.op = "channel_sum",
     .name = "one_channel_many_pixels",
     .inputs = {{{DType::f32, {1, 257, 256, 1}}}},
     .attributes = {},
     .check_gradient = false},
    {.op = "channel_sum",
     .name = "odd_sides",
     .inputs = {{{DType::f32, {2, 5, 7, 3}}}},
     .attributes = {},
     .check_gradient = false},
    {.op = "channel_sum",
     .name = "many_channels",
     .inputs = {{{DType::f32, {3, 9, 11, 259}}}},
     .attributes = {},
     .check_gradient = false},
};

}  // namespace
}  // namespace dermatome
