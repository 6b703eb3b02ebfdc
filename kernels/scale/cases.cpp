// Cases of scale.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

const CaseRegistrar cases{
    {.op = "scale", .name = "one_element", .inputs = {{{DType::f32, {1}}}}, .attributes = {{"factor", -2.5}}},
    {.op = "scale", .name = "odd_sides", .inputs = {{{DType::f32, {2, 5, 7, 3}}}}, .attributes = {{"factor", 0.1}}},
    {.op = "scale",
     .name = "many_pixels",
     .inputs = {{{DType::f32, {1, 257, 256, 1}}}},
     .attributes = {{"factor", 3.0}},
     .check_gradient = false},
};

}  // namespace
}  // namespace dermatome
