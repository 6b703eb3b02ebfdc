// Cases of moving_average: one pair and many, slow and quick.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

OpCase averages(std::string name, double decay, std::vector<Shape> shapes) {
  OpCase c{.op = "moving_average",
           .name = std::move(name),
           .inputs = {{{DType::f32, {1}}, {InputFill::Kind::uniform, decay, decay}}},
           .attributes = {},
           .check_gradient = false};
  for (const Shape& shape : shapes) {
    c.inputs.push_back({{DType::f32, shape}});
    c.inputs.push_back({{DType::f32, shape}});
  }
  return c;
}

const CaseRegistrar cases{
    averages("one_element", 0.5, {{1}}),
    averages("several", 0.9, {{5, 3, 3, 3}, {17}, {64, 2}}),
    averages("many_elements", 0.999, {{70001}, {257, 300}}),
};

}  // namespace
}  // namespace dermatome
