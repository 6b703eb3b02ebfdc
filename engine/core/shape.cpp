// Shape and TensorDesc: construction and printing.
#include "engine/core/shape.h"

#include <fmt/ranges.h>

#include "engine/core/error.h"
#include "engine/core/tensor.h"

namespace dermatome {

Shape::Shape(std::span<const std::int64_t> extents) : rank_(static_cast<int>(extents.size())) {
  DERMATOME_CHECK(extents.size() <= kMaxRank, "a shape has at most {} axes, not {}", kMaxRank, extents.size());
  for (int i = 0; i < rank_; ++i) {
    const auto extent = extents[static_cast<std::size_t>(i)];
    DERMATOME_CHECK(extent >= 0, "a shape cannot have the negative extent {}", extent);
    extents_[static_cast<std::size_t>(i)] = extent;
  }
}

std::int64_t Shape::operator[](int axis) const {
  const int at = axis < 0 ? axis + rank_ : axis;
  DERMATOME_CHECK(at >= 0 && at < rank_, "axis {} is outside shape {}", axis, to_string(*this));
  return extents_[static_cast<std::size_t>(at)];
}

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  for (const auto extent : extents()) product *= extent;
  return product;
}

std::string to_string(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape.extents(), ", "));
}

std::string to_string(const TensorDesc& desc) {
  return fmt::format("{}{}", name_of(desc.type), to_string(desc.shape));
}

DType parse_dtype(std::string_view name) {
  for (const DType type : {DType::f32, DType::bf16, DType::f64, DType::u8, DType::i32}) {
    if (name_of(type) == name) return type;
  }
  fail_usage("unknown element type '{}' (f32, bf16, f64, u8 or i32)", name);
}

}  // namespace dermatome
