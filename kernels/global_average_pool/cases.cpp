// Cases of global_average_pool and its gradient.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

const CaseRegistrar cases{
    {.op = "global_average_pool", .name = "one_pixel", .inputs = {{{DType::f32, {1, 1, 1, 1}}}}, .attributes = {}},
    {.op = "global_average_pool", .name = "odd_sides", .inputs = {{{DType::f32, {2, 3, 5, 7}}}}, .attributes = {}},
    {.op = "global_average_pool",
     .name = "resnet_head",
     .inputs = {{{DType::f32, {3, 7, 7, 514}}}},
     .attributes = {},
     .check_gradient = false},
    {.op = "global_average_pool",
     .name = "many_pixels",
     .inputs = {{{DType::f32, {1, 257, 256, 1}}, {InputFill::Kind::uniform, 0, 1}}},
     .attributes = {},
     .check_gradient = false},
    {.op = "global_average_pool_gradient",
     .name = "odd_sides",
     .inputs = {{{DType::f32, {2, 7}}}},
     .attributes = {{"height", 3}, {"width", 5}},
     .check_gradient = false},
    {.op = "global_average_pool_gradient",
     .name = "many_pixels",
     .inputs = {{{DType::f32, {1, 1}}}},
     .attributes = {{"height", 257}, {"width", 256}},
     .check_gradient = false},
};

}  // namespace
}  // namespace dermatome
