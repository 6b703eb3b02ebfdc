// Round numbers for axes (1, 2 and 5 times a power of ten), and numbers as people read them.
#include "tools/report/ticks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/core/error.h"

namespace dermatome::report {
namespace {

constexpr std::array<double, 3> kMantissas = {1, 2, 5};

// A product of a mantissa and a power of ten without the dirt of pow() in its last digits: 0.3, not
// 0.30000000000000004.
double scaled(double mantissa, int exponent) {
  return exponent < 0 ? mantissa / std::pow(10.0, -exponent) : mantissa * std::pow(10.0, exponent);
}

int exponent_of(double value) {
  return static_cast<int>(std::floor(std::log10(std::abs(value)) + 1e-9));
}

struct Step {
  double mantissa;
  int exponent;

  double value() const { return scaled(mantissa, exponent); }
  double times(double n) const { return scaled(mantissa * n, exponent); }
};

Step step_of(double span, int most) {
  DERMATOME_CHECK(span > 0 && std::isfinite(span) && most >= 1, "an axis cannot divide {} into {} parts", span, most);
  const double raw = span / most;
  const int exponent = exponent_of(raw);
  for (const double mantissa : kMantissas) {
    if (scaled(mantissa, exponent) >= raw * (1 - 1e-9)) return {mantissa, exponent};
  }
  return {1, exponent + 1};
}

std::vector<double> multiples(Step step, Range range) {
  const double slack = 1e-9;
  const double first = std::ceil(range.low / step.value() - slack);
  const double last = std::floor(range.high / step.value() + slack);
  std::vector<double> ticks;
  for (double n = first; n <= last; ++n) ticks.push_back(n == 0 ? 0 : step.times(n));
  return ticks;
}

std::string superscript(int value) {
  static constexpr std::array<const char*, 10> kDigits = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text = value < 0 ? "⁻" : "";
  for (const char digit : fmt::format("{}", std::abs(value))) text += kDigits[static_cast<std::size_t>(digit - '0')];
  return text;
}

std::string without_trailing_zeros(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string with_minus_sign(const std::string& text) {
  return text.starts_with('-') ? "−" + text.substr(1) : text;
}

// Thin spaces between groups of three digits, from five digits on.
std::string grouped(const std::string& digits) {
  const std::size_t whole = std::min(digits.find('.'), digits.size());
  const std::size_t sign = digits.starts_with('-') ? 1 : 0;
  if (whole - sign < 5) return digits;
  std::string text = digits.substr(0, sign);
  for (std::size_t i = sign; i < digits.size(); ++i) {
    if (i > sign && i < whole && (whole - i) % 3 == 0) text += "\u202f";
    text += digits[i];
  }
  return text;
}

std::string power_notation(double value, int digits) {
  const int exponent = exponent_of(value);
  const std::string mantissa = without_trailing_zeros(fmt::format("{:.{}f}", value / scaled(1, exponent), digits));
  return with_minus_sign(mantissa) + "×10" + superscript(exponent);
}

// `decimals` digits after the point where that is short, else a power of ten.
std::string tick_label(double value, int decimals) {
  if (value == 0) return "0";
  if (std::abs(value) < 1e-4 || std::abs(value) >= 1e6) return power_notation(value, 3);
  return with_minus_sign(grouped(without_trailing_zeros(fmt::format("{:.{}f}", value, decimals))));
}

}  // namespace

double round_step(double span, int most) {
  return step_of(span, most).value();
}

Range rounded_range(Range range, int most) {
  DERMATOME_CHECK(most >= 2, "an axis needs room for two parts, not for {}", most);
  if (!(range.high > range.low)) {
    const double half = std::abs(range.low) / 2;
    range = half == 0 ? Range{0, 1} : Range{range.low - half, range.low + half};
  }
  // A range that grew may call for the next step, and then grows again.
  while (true) {
    const Step step = step_of(range.high - range.low, most);
    const Range wider = {step.times(std::floor(range.low / step.value() + 1e-9)),
                         step.times(std::ceil(range.high / step.value() - 1e-9))};
    if (wider.low == range.low && wider.high == range.high) return range;
    range = wider;
  }
}

std::vector<double> linear_ticks(Range range, int most) {
  if (!(range.high > range.low)) return {range.low};
  return multiples(step_of(range.high - range.low, most), range);
}

std::vector<double> whole_ticks(Range range, int most) {
  if (!(range.high > range.low)) return {std::round(range.low)};
  Step step = step_of(range.high - range.low, most);
  if (step.exponent < 0) step = {1, 0};
  return multiples(step, range);
}

std::vector<double> log_ticks(Range range) {
  DERMATOME_CHECK(range.low > 0 && range.high > range.low, "a logarithmic axis cannot run from {} to {}", range.low,
                  range.high);
  const bool powers_only = range.high / range.low > 1e3 * (1 + 1e-9);
  std::vector<double> ticks;
  for (int exponent = exponent_of(range.low); exponent <= exponent_of(range.high); ++exponent) {
    for (const double mantissa : kMantissas) {
      const double value = scaled(mantissa, exponent);
      const bool inside = value >= range.low * (1 - 1e-9) && value <= range.high * (1 + 1e-9);
      if (inside && (mantissa == 1 || !powers_only)) ticks.push_back(value);
    }
  }
  return ticks;
}

Range rounded_log_range(Range range) {
  DERMATOME_CHECK(range.low > 0 && range.high >= range.low, "a logarithmic axis cannot run from {} to {}", range.low,
                  range.high);
  Range result = {scaled(1, exponent_of(range.low)), scaled(1, exponent_of(range.high) + 1)};
  for (const double mantissa : kMantissas) {
    const double below = scaled(mantissa, exponent_of(range.low));
    if (below <= range.low * (1 + 1e-9)) result.low = below;
  }
  for (auto mantissa = kMantissas.rbegin(); mantissa != kMantissas.rend(); ++mantissa) {
    const double above = scaled(*mantissa, exponent_of(range.high));
    if (above >= range.high * (1 - 1e-9)) result.high = above;
  }
  if (result.high <= result.low) result.high = result.low * 10;
  return result;
}

std::vector<std::string> tick_labels(const std::vector<double>& ticks) {
  std::vector<std::string> labels;
  for (const double tick : ticks) {
    // Ticks are round: what is below a hundred-millionth of one is dirt.
    const int decimals = tick == 0 ? 0 : std::clamp(8 - exponent_of(tick), 0, 8);
    labels.push_back(tick_label(tick, decimals));
  }
  return labels;
}

std::string fixed(double value, int decimals) {
  return std::isfinite(value) ? with_minus_sign(grouped(fmt::format("{:.{}f}", value, decimals))) : "–";
}

std::string significant(double value) {
  if (!std::isfinite(value)) return "–";
  if (value == 0) return "0";
  if (std::abs(value) < 1e-4 || std::abs(value) >= 1e6) return power_notation(value, 2);
  const int decimals = std::clamp(2 - exponent_of(value), 0, 8);
  return with_minus_sign(grouped(without_trailing_zeros(fmt::format("{:.{}f}", value, decimals))));
}

std::string percent(double share) {
  if (!std::isfinite(share)) return "–";
  const double value = 100 * share;
  if (value > 0 && value < 0.1) return "under 0.1\u202f%";
  return with_minus_sign(fmt::format("{:.{}f}", value, value < 9.95 && value > 0 ? 1 : 0)) + "\u202f%";
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "–";
  if (seconds < 0.0995) return fmt::format("{:.3g} ms", seconds * 1000);
  if (seconds < 59.95) return fmt::format("{:.{}f} s", seconds, seconds < 9.95 ? 2 : 1);
  if (seconds >= 1e9) return significant(seconds) + " s";
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 3600)
    return whole % 60 ? fmt::format("{} min {} s", whole / 60, whole % 60) : fmt::format("{} min", whole / 60);
  const long long minutes = (whole + 30) / 60;
  return minutes % 60 ? fmt::format("{} h {} min", minutes / 60, minutes % 60) : fmt::format("{} h", minutes / 60);
}

std::string count(std::size_t value) {
  return grouped(fmt::format("{}", value));
}

}  // namespace dermatome::report
