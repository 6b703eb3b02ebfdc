// Shape: the extents of a tensor, outermost first. Activations are NHWC; weights keep PyTorch's order (OIHW).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace dermatome {

class Shape {
 public:
  static constexpr int kMaxRank = 5;

  constexpr Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents) : Shape(std::span(extents.begin(), extents.size())) {}
  explicit Shape(std::span<const std::int64_t> extents);  // throws Error past kMaxRank or for a negative extent

  int rank() const { return rank_; }
  // The extent of axis i; negative i counts from the end. Throws Error outside the rank.
  std::int64_t operator[](int axis) const;
  std::int64_t elements() const;  // 1 for a scalar (rank 0)
  std::span<const std::int64_t> extents() const { return {extents_.data(), static_cast<std::size_t>(rank_)}; }

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

std::string to_string(const Shape& shape);  // "[8, 128, 128, 64]"

}  // namespace dermatome
