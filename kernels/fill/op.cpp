// fill: one of the core ops that autograd emits itself.
#include <array>
#include <cmath>

#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

std::vector<AttributeSpec> attributes_of_fill() {
  AttributeSpec rank = integer_attribute("rank", 1, 0);
  rank.maximum = Shape::kMaxRank;
  std::vector<AttributeSpec> specs{real_attribute("value", 0),
                                   choice_attribute("type", {"f32", "bf16", "f64", "u8", "i32"}, "f32"),
                                   std::move(rank)};
  for (int i = 0; i < Shape::kMaxRank; ++i) specs.push_back(integer_attribute(fmt::format("extent{}", i), 1, 0));
  return specs;
}

class Fill final : public Op {
 public:
  Fill()
      : Op({.name = "fill",
            .summary = "a tensor of one constant",
            .inputs = {},
            .outputs = {{"y"}},
            .attributes = attributes_of_fill()}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const Attributes& a = call.attributes;
    const DType type = parse_dtype(a.choice("type"));
    const double value = a.real("value");
    if (!is_floating(type)) {
      const double low = type == DType::u8 ? 0 : -2147483648.0;
      const double high = type == DType::u8 ? 255 : 2147483647.0;
      DERMATOME_CHECK(value == std::floor(value) && value >= low && value <= high, "{} is no value of type {}", value,
                      name_of(type));
    }
    std::array<std::int64_t, Shape::kMaxRank> extents{};
    for (std::size_t i = 0; i < extents.size(); ++i) extents[i] = a.integer(fmt::format("extent{}", i));
    const auto rank = static_cast<std::size_t>(a.integer("rank"));
    return {{type, Shape(std::span<const std::int64_t>(extents.data(), rank))}};
  }
};

DERMATOME_REGISTER_OP(Fill);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(fill)
