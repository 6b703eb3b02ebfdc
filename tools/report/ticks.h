// Round numbers for axes, and numbers as people read them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace dermatome::report {

struct Range {
  double low = 0;
  double high = 1;
};

// The smallest of 1, 2 and 5 times a power of ten that divides `span` into at most `most` parts. span > 0, most >= 1.
double round_step(double span, int most);

// `range` widened until both ends are ticks of linear_ticks(result, most). An empty range gets a width. most >= 2:
// a range around 0 has two parts at least.
Range rounded_range(Range range, int most = 5);

// Every multiple of round_step(high - low, most) in [low, high], in rising order.
std::vector<double> linear_ticks(Range range, int most = 5);

// The same, of whole numbers only.
std::vector<double> whole_ticks(Range range, int most = 8);

// 1, 2 and 5 times the powers of ten in [low, high], or the powers alone where the range is longer than three of them.
// 0 < low < high.
std::vector<double> log_ticks(Range range);

// `range` widened to the nearest 1, 2 or 5 times a power of ten on either side. 0 < low <= high.
Range rounded_log_range(Range range);

// As few digits as tell the values apart: "0.2", "1 000", "2×10⁻⁵".
std::vector<std::string> tick_labels(const std::vector<double>& ticks);

// In all of these a number that is not finite is "–".
std::string fixed(double value, int decimals);  // "0.842"
std::string significant(double value);          // three digits: "0.0012", "3.5×10⁻⁵", "148"
std::string percent(double share);              // "12 %", "0.8 %"
std::string duration(double seconds);           // "0.84 s", "12 min 5 s", "2 h 14 min"
std::string count(std::size_t value);           // "12 600", with thin spaces that do not break

}  // namespace dermatome::report
