// Cases of add.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

const CaseRegistrar cases{
    {.op = "add", .name = "one_element", .inputs = {{{DType::f32, {1}}}, {{DType::f32, {1}}}}, .attributes = {}},
    {.op = "add",
     .name = "odd_sides",
     .inputs = {{{DType::f32, {3, 5, 7, 2}}}, {{DType::f32, {3, 5, 7, 2}}}},
     .attributes = {}},
    {.op = "add",
     .name = "many_pixels",
     .inputs = {{{DType::f32, {1, 257, 256, 1}}}, {{DType::f32, {1, 257, 256, 1}}}},
     .attributes = {}},
};

}  // namespace
}  // namespace dermatome
