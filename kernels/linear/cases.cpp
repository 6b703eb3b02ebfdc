// Cases of linear and its gradients.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

constexpr InputFill kAbsent{InputFill::Kind::absent, 0, 0};

const CaseRegistrar cases{
    {.op = "linear",
     .name = "one_sample_one_feature",
     .inputs = {{{DType::f32, {1, 1}}}, {{DType::f32, {1, 1}}}, {{DType::f32, {1}}}},
     .attributes = {{"features", 1}}},
    {.op = "linear",
     .name = "odd_sizes",
     .inputs = {{{DType::f32, {5, 7}}}, {{DType::f32, {3, 7}}}, {{DType::f32, {3}}}},
     .attributes = {{"features", 3}}},
    {.op = "linear",
     .name = "no_bias",
     .inputs = {{{DType::f32, {2, 9}}}, {{DType::f32, {4, 9}}}, {{DType::f32, {4}}, kAbsent}},
     .attributes = {{"features", 4}, {"bias", false}}},
    {.op = "linear",
     .name = "resnet_head",
     .inputs = {{{DType::f32, {6, 514}}}, {{DType::f32, {1000, 514}}}, {{DType::f32, {1000}}}},
     .attributes = {{"features", 1000}},
     .check_gradient = false},
    {.op = "linear",
     .name = "many_samples",
     .inputs = {{{DType::f32, {65539, 3}}}, {{DType::f32, {2, 3}}}, {{DType::f32, {2}}}},
     .attributes = {{"features", 2}},
     .check_gradient = false},
    {.op = "linear_data_gradient",
     .name = "odd_sizes",
     .inputs = {{{DType::f32, {5, 33}}}, {{DType::f32, {33, 131}}}},
     .attributes = {},
     .check_gradient = false},
    {.op = "linear_weight_gradient",
     .name = "odd_sizes",
     .inputs = {{{DType::f32, {67, 131}}}, {{DType::f32, {67, 33}}}},
     .attributes = {},
     .check_gradient = false},
    {.op = "linear_weight_gradient",
     .name = "one_sample",
     .inputs = {{{DType::f32, {1, 17}}}, {{DType::f32, {1, 5}}}},
     .attributes = {},
     .check_gradient = false},
};

}  // namespace
}  // namespace dermatome
