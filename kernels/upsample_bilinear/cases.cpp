// Cases of upsample_bilinear, up and down.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

OpCase resize(std::string name, const Shape& from, std::int64_t height, std::int64_t width) {
  return {.op = "upsample_bilinear",
          .name = std::move(name),
          .inputs = {{{DType::f32, from}}},
          .attributes = {{"height", height}, {"width", width}},
          .check_gradient = false};
}

const CaseRegistrar cases{
    resize("from_one_pixel", {1, 1, 1, 1}, 3, 5),
    resize("same_size", {2, 5, 7, 3}, 5, 7),
    resize("twice_odd_sides", {2, 5, 7, 3}, 10, 14),
    resize("odd_factor", {1, 8, 9, 17}, 29, 31),
    resize("down", {1, 33, 29, 3}, 7, 5),
    resize("up_and_down", {1, 9, 40, 1}, 31, 11),
    resize("to_one_pixel", {2, 6, 5, 2}, 1, 1),
    resize("photograph", {1, 64, 64, 1}, 283, 337),
};

}  // namespace
}  // namespace dermatome
