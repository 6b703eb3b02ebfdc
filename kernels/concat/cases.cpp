// Cases of concat.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

const CaseRegistrar cases{
    {.op = "concat", .name = "one_tensor", .inputs = {{{DType::f32, {1, 3, 5, 2}}}}, .attributes = {}},
    {.op = "concat",
     .name = "one_channel_each",
     .inputs = {{{DType::f32, {1, 3, 5, 1}}}, {{DType::f32, {1, 3, 5, 1}}}},
     .attributes = {}},
    {.op = "concat",
     .name = "three_odd_widths",
     .inputs = {{{DType::f32, {2, 3, 5, 3}}}, {{DType::f32, {2, 3, 5, 1}}}, {{DType::f32, {2, 3, 5, 5}}}},
     .attributes = {}},
    {.op = "concat", .name = "matrices", .inputs = {{{DType::f32, {3, 4}}}, {{DType::f32, {3, 7}}}}, .attributes = {}},
    {.op = "concat",
     .name = "many_channels",
     .inputs = {{{DType::f32, {2, 9, 11, 128}}}, {{DType::f32, {2, 9, 11, 67}}}},
     .attributes = {},
     .check_gradient = false},
    {.op = "concat",
     .name = "many_pixels",
     .inputs = {{{DType::f32, {1, 257, 256, 1}}}, {{DType::f32, {1, 257, 256, 2}}}},
     .attributes = {},
     .check_gradient = false},
};

}  // namespace
}  // namespace dermatome
