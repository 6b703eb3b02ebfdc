// Attributes: the fixed settings of one node (kernel, stride, ...), typed and ordered by the op's signature.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/compile/call.h"

namespace dermatome {

enum class AttributeKind : std::uint8_t { integer, real, boolean, choice };

// One attribute as an op declares it. An attribute without a default must be given.
struct AttributeSpec {
  std::string name;
  AttributeKind kind = AttributeKind::integer;
  bool required = false;
  double fallback = 0;               // default; for a choice the index
  std::vector<std::string> choices;  // of a choice, in the order of the enumerators in the family's math.h
  // Inclusive bounds of integers and reals.
  double minimum = -1e300;
  double maximum = 1e300;
};

AttributeSpec required_integer(std::string name, double minimum);
AttributeSpec integer_attribute(std::string name, std::int64_t fallback, double minimum);
AttributeSpec real_attribute(std::string name, double fallback, double minimum = -1e300, double maximum = 1e300);
AttributeSpec boolean_attribute(std::string name, bool fallback);
AttributeSpec choice_attribute(std::string name, std::vector<std::string> choices, std::string_view fallback);

// A value as somebody writes it; a choice is given by its name.
using AttributeArgument = std::variant<std::int64_t, double, bool, std::string>;

class Attributes {
 public:
  Attributes() = default;
  // All at their defaults. The specs belong to an Op and outlive every node.
  explicit Attributes(const std::vector<AttributeSpec>& specs);

  // Throws UsageError naming the attribute: unknown, of the wrong kind, out of bounds, not among the choices.
  void set(std::string_view name, const AttributeArgument& argument);
  // Throws UsageError when a required attribute was never set.
  void check_complete() const;

  std::int64_t integer(std::string_view name) const { return values_[index_of(name)].integer; }
  double real(std::string_view name) const { return values_[index_of(name)].real; }
  bool boolean(std::string_view name) const { return integer(name) != 0; }
  std::string_view choice(std::string_view name) const;

  const std::vector<AttributeSpec>& specs() const { return *specs_; }
  const std::vector<AttributeValue>& values() const { return values_; }
  bool is_set(std::string_view name) const { return given_[index_of(name)]; }

  // "kernel=3, stride=2": those that differ from their defaults.
  std::string to_string() const;

  friend bool operator==(const Attributes& a, const Attributes& b);

 private:
  std::size_t index_of(std::string_view name) const;

  const std::vector<AttributeSpec>* specs_ = nullptr;
  std::vector<AttributeValue> values_;
  std::vector<bool> given_;
};

using AttributeList = std::initializer_list<std::pair<std::string_view, AttributeArgument>>;

}  // namespace dermatome
