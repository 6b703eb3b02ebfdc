// Cases of adam: first and later steps, several groups that began at different times, weight decay, clipped gradients.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

using Kind = InputFill::Kind;

OpCase update(std::string name, InputFill steps, std::vector<Shape> parameters, double weight_decay,
              InputFill scale = {Kind::absent}) {
  const TensorDesc one{DType::f32, {1}};
  OpCase c{.op = "adam",
           .name = std::move(name),
           .inputs = {{{DType::f32, {3}}, steps},
                      {one, {Kind::constant, 0.9, 0.9}},
                      {{DType::f32, {3}}, {Kind::uniform, 1e-4, 1e-2}},
                      {{DType::i32, {static_cast<std::int64_t>(parameters.size())}}, {Kind::integers, 0, 2}},
                      {one, scale}},
           .attributes = {{"weight_decay", weight_decay}},
           .check_gradient = false};
  for (const Shape& shape : parameters) {
    const TensorDesc desc{DType::f32, shape};
    c.inputs.push_back({desc});
    c.inputs.push_back({desc, {Kind::uniform, -0.1, 0.1}});
    c.inputs.push_back({desc, {Kind::uniform, 0.001, 0.1}});
    c.inputs.push_back({desc});
  }
  return c;
}

const CaseRegistrar cases{
    update("first_step_one_element", {Kind::constant, 1, 1}, {{1}}, 0),
    update("three_groups", {Kind::uniform, 1, 20}, {{5, 3, 3, 3}, {17}, {64, 2}, {1}}, 1e-2),
    update("clipped", {Kind::uniform, 1, 20}, {{5, 3, 3, 3}, {17}}, 1e-2, {Kind::uniform, 0.1, 0.2}),
    update("many_elements", {Kind::uniform, 900, 1000}, {{70001}, {257, 300}}, 1e-7),
};

}  // namespace
}  // namespace dermatome
