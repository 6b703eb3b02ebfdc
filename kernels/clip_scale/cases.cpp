// Cases of clip_scale: norms below and above the bound, one tensor and many, of chunks that are not full.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

using Kind = InputFill::Kind;

OpCase tensors(std::string name, std::vector<Shape> shapes, InputFill fill, double max_norm) {
  OpCase c{.op = "clip_scale",
           .name = std::move(name),
           .inputs = {},
           .attributes = {{"max_norm", max_norm}},
           .check_gradient = false};
  for (const Shape& shape : shapes) c.inputs.push_back({{DType::f32, shape}, fill});
  return c;
}

const CaseRegistrar cases{
    tensors("small_ones_stay", {{5, 3}, {7}}, {Kind::uniform, -0.01, 0.01}, 1),
    tensors("zeros_stay", {{9}}, {Kind::constant, 0, 0}, 1),
    tensors("one_element", {{1}}, {Kind::uniform, 3, 4}, 0.5),
    tensors("odd_sizes", {{5, 3, 3, 3}, {17}, {64, 2}, {1}}, {Kind::uniform, -1, 1}, 0.25),
    tensors("many_chunks", {{70001}, {16384}, {257, 300}, {3}}, {Kind::uniform, -1, 1}, 5),
};

}  // namespace
}  // namespace dermatome
