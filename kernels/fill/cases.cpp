// Cases of fill: every type, ranks 0, 1, 4 and 5. There is no input to differentiate by.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

using Settings = std::vector<std::pair<std::string, AttributeArgument>>;

Settings image(const char* type, double value, std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c) {
  return {{"value", value}, {"type", type}, {"rank", 4},   {"extent0", n},
          {"extent1", h},   {"extent2", w}, {"extent3", c}};
}

const CaseRegistrar cases{
    {.op = "fill",
     .name = "scalar",
     .inputs = {},
     .attributes = {{"value", 1.0}, {"rank", 0}},
     .check_gradient = false},
    {.op = "fill", .name = "one_element", .inputs = {}, .attributes = {{"value", -0.1}}, .check_gradient = false},
    {.op = "fill",
     .name = "odd_sides",
     .inputs = {},
     .attributes = image("f32", 2.5, 2, 5, 7, 3),
     .check_gradient = false},
    {.op = "fill",
     .name = "many_pixels",
     .inputs = {},
     .attributes = image("f32", 1, 1, 257, 256, 1),
     .check_gradient = false},
    {.op = "fill",
     .name = "bf16",
     .inputs = {},
     .attributes = image("bf16", 0.1, 1, 3, 5, 17),
     .check_gradient = false},
    {.op = "fill", .name = "f64", .inputs = {}, .attributes = image("f64", 0.1, 1, 3, 5, 1), .check_gradient = false},
    {.op = "fill", .name = "u8", .inputs = {}, .attributes = image("u8", 255, 1, 3, 5, 1), .check_gradient = false},
    {.op = "fill", .name = "i32", .inputs = {}, .attributes = image("i32", -7, 1, 3, 5, 1), .check_gradient = false},
    {.op = "fill",
     .name = "rank_5",
     .inputs = {},
     .attributes = {{"value", 3.0}, {"rank", 5}, {"extent0", 2}, {"extent2", 3}, {"extent4", 5}},
     .check_gradient = false},
};

}  // namespace
}  // namespace dermatome
