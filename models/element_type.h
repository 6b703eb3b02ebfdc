// The element types that weight files hold, which are more than the engine computes with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/core/tensor.h"

namespace dermatome {

enum class ElementType : std::uint8_t { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };

std::size_t size_of(ElementType type);
std::string_view name_of(ElementType type);  // "f16"
bool is_floating(ElementType type);

// IEEE 754 binary16, exactly.
float widen_half(std::uint16_t bits);
// The upper half of an f32.
float widen_bfloat(std::uint16_t bits);

// Elements of a storage as a tensor: offset and strides count elements.
struct StridedView {
  ElementType type = ElementType::f32;
  std::int64_t offset = 0;
  std::vector<std::int64_t> sizes, strides;
};

// Throws Error, with `what` in front, unless every element lies within a storage of `count` elements and no element is
// shown more often than there are elements: so whatever is allocated for the view is no larger than what is at hand.
void check_view(const StridedView& view, std::int64_t count, const std::string& what);

// A dense f32 tensor of a floating-point view that was checked; `storage` need not be aligned. Throws Error, with
// `what` in front, for an f64 value that f32 cannot hold.
Tensor to_f32(const StridedView& view, std::span<const std::byte> storage, const std::string& what);

}  // namespace dermatome
