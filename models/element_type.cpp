// Conversion of stored elements to f32.
#include "models/element_type.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include "engine/core/error.h"

namespace dermatome {
namespace {

struct TypeTraits {
  std::string_view name;
  std::size_t bytes;
};
constexpr std::array<TypeTraits, 10> kTypes{{{"f64", 8},
                                             {"f32", 4},
                                             {"f16", 2},
                                             {"bf16", 2},
                                             {"i64", 8},
                                             {"i32", 4},
                                             {"i16", 2},
                                             {"i8", 1},
                                             {"u8", 1},
                                             {"bool", 1}}};

// The i-th element at `data`, which need not be aligned.
template <typename T>
T element_at(const std::byte* data, std::int64_t i) {
  T value;
  std::memcpy(&value, data + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return value;
}

float narrow(double value, const std::string& what) {
  const float narrowed = static_cast<float>(value);
  DERMATOME_CHECK(std::isfinite(narrowed) || !std::isfinite(value), "{} holds {}, which is too large for f32", what,
                  value);
  return narrowed;
}

bool is_dense(const StridedView& view) {
  std::int64_t expected = 1;
  for (std::size_t axis = view.sizes.size(); axis-- > 0;) {
    if (view.sizes[axis] != 1 && view.strides[axis] != expected) return false;
    expected *= view.sizes[axis];
  }
  return true;
}

// visit(index in the storage) for each element of the view, in row-major order.
template <typename Visit>
void for_each_index(const StridedView& view, std::int64_t elements, const Visit& visit) {
  if (is_dense(view)) {
    for (std::int64_t i = 0; i < elements; ++i) visit(view.offset + i);
    return;
  }
  std::array<std::int64_t, Shape::kMaxRank> at{};
  std::int64_t index = view.offset;
  for (std::int64_t i = 0; i < elements; ++i) {
    visit(index);
    for (std::size_t axis = view.sizes.size(); axis-- > 0;) {
      if (view.sizes[axis] == 1) continue;  // its stride means nothing and may be any number
      index += view.strides[axis];
      if (++at[axis] < view.sizes[axis]) break;
      index -= view.strides[axis] * view.sizes[axis];
      at[axis] = 0;
    }
  }
}

}  // namespace

std::size_t size_of(ElementType type) {
  return kTypes[static_cast<std::size_t>(type)].bytes;
}
std::string_view name_of(ElementType type) {
  return kTypes[static_cast<std::size_t>(type)].name;
}
bool is_floating(ElementType type) {
  return type == ElementType::f64 || type == ElementType::f32 || type == ElementType::f16 || type == ElementType::bf16;
}

float widen_half(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu;
  const std::uint32_t fraction = bits & 0x3ffu;
  if (exponent == 0) {  // zero and subnormal: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 0x1f ? 0xffu : exponent + (127 - 15);
  return std::bit_cast<float>(sign | (wide << 23) | (fraction << 13));
}

float widen_bfloat(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

void check_view(const StridedView& view, std::int64_t count, const std::string& what) {
  const std::size_t rank = view.sizes.size();
  DERMATOME_CHECK(rank == view.strides.size(), "{} has {} sizes and {} strides", what, rank, view.strides.size());
  DERMATOME_CHECK(rank <= Shape::kMaxRank, "{} has {} axes; {} is the most", what, rank, Shape::kMaxRank);
  DERMATOME_CHECK(count >= 0 && view.offset >= 0 && view.offset <= count, "{} starts at element {} of a storage of {}",
                  what, view.offset, count);
  DERMATOME_CHECK(std::all_of(view.sizes.begin(), view.sizes.end(), [](auto size) { return size >= 0; }) &&
                      std::all_of(view.strides.begin(), view.strides.end(), [](auto stride) { return stride >= 0; }),
                  "{} has a negative size or stride", what);
  if (std::find(view.sizes.begin(), view.sizes.end(), 0) != view.sizes.end()) {
    double extent = 1;
    for (const auto size : view.sizes) extent *= static_cast<double>(std::max<std::int64_t>(1, size));
    DERMATOME_CHECK(extent <= 0x1p40, "{} has an impossible shape", what);
    return;
  }
  std::int64_t elements = 1;
  std::int64_t last = view.offset;
  bool inside = true;
  for (std::size_t axis = 0; inside && axis < rank; ++axis) {
    const std::int64_t steps = view.sizes[axis] - 1;
    inside = view.sizes[axis] <= count / elements &&
             (steps == 0 || view.strides[axis] == 0 || steps <= (count - last) / view.strides[axis]);
    if (!inside) break;
    elements *= view.sizes[axis];
    last += steps * view.strides[axis];
  }
  DERMATOME_CHECK(inside && last < count, "{} reaches beyond its storage of {} elements", what, count);
}

Tensor to_f32(const StridedView& view, std::span<const std::byte> storage, const std::string& what) {
  const Tensor tensor({DType::f32, Shape(view.sizes)});
  const std::int64_t elements = tensor.shape().elements();
  if (elements == 0) return tensor;
  const std::byte* data = storage.data();
  float* out = tensor.as<float>().data();
  switch (view.type) {
    case ElementType::f32:
      if (is_dense(view)) {
        std::memcpy(out, data + view.offset * 4, static_cast<std::size_t>(elements) * 4);
      } else {
        for_each_index(view, elements, [&](std::int64_t i) { *out++ = element_at<float>(data, i); });
      }
      break;
    case ElementType::f64:
      for_each_index(view, elements, [&](std::int64_t i) { *out++ = narrow(element_at<double>(data, i), what); });
      break;
    case ElementType::f16:
      for_each_index(view, elements, [&](std::int64_t i) { *out++ = widen_half(element_at<std::uint16_t>(data, i)); });
      break;
    case ElementType::bf16:
      for_each_index(view, elements,
                     [&](std::int64_t i) { *out++ = widen_bfloat(element_at<std::uint16_t>(data, i)); });
      break;
    default: fail("{} is of type {}, which is no floating-point type", what, name_of(view.type));
  }
  return tensor;
}

}  // namespace dermatome
