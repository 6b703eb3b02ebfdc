// Element types of tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace dermatome {

enum class DType : std::uint8_t { f32, bf16, f64, u8, i32 };

constexpr std::size_t size_of(DType type) {
  switch (type) {
    case DType::f32: return 4;
    case DType::bf16: return 2;
    case DType::f64: return 8;
    case DType::u8: return 1;
    case DType::i32: return 4;
  }
  return 0;
}

constexpr std::string_view name_of(DType type) {
  switch (type) {
    case DType::f32: return "f32";
    case DType::bf16: return "bf16";
    case DType::f64: return "f64";
    case DType::u8: return "u8";
    case DType::i32: return "i32";
  }
  return "?";
}

constexpr bool is_floating(DType type) {
  return type == DType::f32 || type == DType::bf16 || type == DType::f64;
}

// The type of that name; throws UsageError naming the choices.
DType parse_dtype(std::string_view name);

}  // namespace dermatome
