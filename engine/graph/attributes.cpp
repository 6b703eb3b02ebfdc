// Attributes: checking and printing.
#include "engine/graph/attributes.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "engine/core/suggest.h"

namespace dermatome {
namespace {

std::vector<std::string> names_of(const std::vector<AttributeSpec>& specs) {
  std::vector<std::string> names;
  for (const auto& spec : specs) names.push_back(spec.name);
  return names;
}

AttributeValue index_value(std::int64_t index) {
  return {index, static_cast<double>(index)};
}

AttributeValue value_of(const AttributeSpec& spec, const AttributeArgument& argument) {
  if (spec.kind == AttributeKind::choice) {
    const auto* name = std::get_if<std::string>(&argument);
    if (name == nullptr) fail_usage("{} takes one of {}", spec.name, fmt::join(spec.choices, ", "));
    const auto found = std::find(spec.choices.begin(), spec.choices.end(), *name);
    if (found == spec.choices.end()) {
      fail_usage("{}={} is not one of {}", spec.name, *name, fmt::join(spec.choices, ", "));
    }
    return index_value(found - spec.choices.begin());
  }
  if (spec.kind == AttributeKind::boolean) {
    const auto* value = std::get_if<bool>(&argument);
    if (value == nullptr) fail_usage("{} takes true or false", spec.name);
    return index_value(*value ? 1 : 0);
  }
  double number = 0;
  if (const auto* integer = std::get_if<std::int64_t>(&argument)) {
    number = static_cast<double>(*integer);
  } else if (const auto* real = std::get_if<double>(&argument)) {
    number = *real;
  } else {
    fail_usage("{} takes a number", spec.name);
  }
  const bool whole = spec.kind == AttributeKind::integer;
  if (whole && (number != std::floor(number) || std::abs(number) > 0x1p53)) {
    fail_usage("{} takes a whole number, not {}", spec.name, number);
  }
  if (!(number >= spec.minimum && number <= spec.maximum)) {
    fail_usage("{}={} is out of bounds (at least {}{})", spec.name, number, spec.minimum,
               spec.maximum < 1e300 ? fmt::format(", at most {}", spec.maximum) : "");
  }
  return {whole ? static_cast<std::int64_t>(number) : 0, number};
}

}  // namespace

AttributeSpec required_integer(std::string name, double minimum) {
  return {.name = std::move(name), .required = true, .choices = {}, .minimum = minimum};
}

AttributeSpec integer_attribute(std::string name, std::int64_t fallback, double minimum) {
  return {.name = std::move(name), .fallback = static_cast<double>(fallback), .choices = {}, .minimum = minimum};
}

AttributeSpec real_attribute(std::string name, double fallback, double minimum, double maximum) {
  return {.name = std::move(name),
          .kind = AttributeKind::real,
          .fallback = fallback,
          .choices = {},
          .minimum = minimum,
          .maximum = maximum};
}

AttributeSpec boolean_attribute(std::string name, bool fallback) {
  return {.name = std::move(name), .kind = AttributeKind::boolean, .fallback = fallback ? 1.0 : 0.0, .choices = {}};
}

AttributeSpec choice_attribute(std::string name, std::vector<std::string> choices, std::string_view fallback) {
  const auto found = std::find(choices.begin(), choices.end(), fallback);
  DERMATOME_CHECK(found != choices.end(), "{} is not among the choices of {}", fallback, name);
  const auto index = static_cast<double>(found - choices.begin());
  return {.name = std::move(name), .kind = AttributeKind::choice, .fallback = index, .choices = std::move(choices)};
}

Attributes::Attributes(const std::vector<AttributeSpec>& specs) : specs_(&specs), given_(specs.size(), false) {
  for (const auto& spec : specs)
    values_.push_back({spec.kind == AttributeKind::real ? 0 : static_cast<std::int64_t>(spec.fallback), spec.fallback});
}

std::size_t Attributes::index_of(std::string_view name) const {
  for (std::size_t i = 0; specs_ != nullptr && i < specs_->size(); ++i) {
    if ((*specs_)[i].name == name) return i;
  }
  fail_usage("there is no setting '{}'{}", name,
             specs_ == nullptr ? std::string() : did_you_mean(name, names_of(*specs_)));
}

void Attributes::set(std::string_view name, const AttributeArgument& argument) {
  const std::size_t i = index_of(name);
  values_[i] = value_of((*specs_)[i], argument);
  given_[i] = true;
}

void Attributes::check_complete() const {
  for (std::size_t i = 0; specs_ != nullptr && i < specs_->size(); ++i) {
    if ((*specs_)[i].required && !given_[i]) fail_usage("{} must be given", (*specs_)[i].name);
  }
}

std::string_view Attributes::choice(std::string_view name) const {
  const std::size_t i = index_of(name);
  return (*specs_)[i].choices[static_cast<std::size_t>(values_[i].integer)];
}

std::string Attributes::to_string() const {
  std::vector<std::string> parts;
  for (std::size_t i = 0; specs_ != nullptr && i < specs_->size(); ++i) {
    const auto& spec = (*specs_)[i];
    if (!spec.required && values_[i].real == spec.fallback) continue;
    switch (spec.kind) {
      case AttributeKind::boolean: parts.push_back(fmt::format("{}={}", spec.name, values_[i].integer != 0)); break;
      case AttributeKind::choice: parts.push_back(fmt::format("{}={}", spec.name, choice(spec.name))); break;
      default: parts.push_back(fmt::format("{}={}", spec.name, values_[i].real));
    }
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

bool operator==(const Attributes& a, const Attributes& b) {
  if (a.specs_ != b.specs_) return false;
  for (std::size_t i = 0; i < a.values_.size(); ++i) {
    if (a.values_[i].real != b.values_[i].real) return false;
  }
  return true;
}

}  // namespace dermatome
