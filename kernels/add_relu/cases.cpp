// Cases of add_relu: the sums keep away from the kink, as |a| > |b|.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

using Kind = InputFill::Kind;

OpCase sum(std::string name, Shape shape, bool check_gradient) {
  return {.op = "add_relu",
          .name = std::move(name),
          .inputs = {{{DType::f32, shape}, {Kind::binary, -1, 1}}, {{DType::f32, shape}, {Kind::uniform, -0.9, 0.9}}},
          .attributes = {},
          .check_gradient = check_gradient};
}

const CaseRegistrar cases{
    sum("one_element", {1}, true),
    sum("odd_sides", {2, 5, 7, 3}, true),
    sum("many_pixels", {1, 257, 257, 1}, false),
};

}  // namespace
}  // namespace dermatome
