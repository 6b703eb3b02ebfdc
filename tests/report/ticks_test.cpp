// Round numbers on axes, and numbers as people read them.
#include "tools/report/ticks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "engine/core/error.h"

namespace dermatome::report {
namespace {

using Ticks = std::vector<double>;
using Labels = std::vector<std::string>;

TEST(ReportTicks, StepsAreOneTwoOrFiveTimesAPowerOfTen) {
  EXPECT_EQ(round_step(1, 5), 0.2);
  EXPECT_EQ(round_step(1, 4), 0.5);
  EXPECT_EQ(round_step(0.012, 5), 0.005);
  EXPECT_EQ(round_step(60, 10), 10);
  EXPECT_EQ(round_step(7, 10), 1);
  EXPECT_EQ(round_step(1e-7, 1), 1e-7);
}

TEST(ReportTicks, StepsRefuseWhatIsNoSpan) {
  EXPECT_THROW(round_step(0, 5), Error);
  EXPECT_THROW(round_step(-1, 5), Error);
  EXPECT_THROW(round_step(std::nan(""), 5), Error);
  EXPECT_THROW(round_step(std::numeric_limits<double>::infinity(), 5), Error);
}

TEST(ReportTicks, LinearTicksAreExactDecimals) {
  EXPECT_EQ(linear_ticks({0, 1}, 10), (Ticks{0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1}));
  EXPECT_EQ(linear_ticks({0.2, 1}, 5), (Ticks{0.2, 0.4, 0.6, 0.8, 1}));
  EXPECT_EQ(linear_ticks({-0.3, 0.3}, 6), (Ticks{-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3}));
  EXPECT_EQ(linear_ticks({3, 3}), (Ticks{3}));
}

TEST(ReportTicks, LinearTicksStayInsideAndFew) {
  for (const double high : {1e-9, 0.7, 3.0, 61.0, 99999.0, 4e12}) {
    for (const int most : {1, 2, 5, 10}) {
      const Ticks ticks = linear_ticks({0, high}, most);
      EXPECT_LE(ticks.size(), static_cast<std::size_t>(most) + 1) << high;
      EXPECT_EQ(ticks.front(), 0);
      EXPECT_LE(ticks.back(), high * (1 + 1e-9));
    }
  }
}

TEST(ReportTicks, WholeTicksHaveNoFractions) {
  EXPECT_EQ(whole_ticks({0, 2}, 8), (Ticks{0, 1, 2}));
  EXPECT_EQ(whole_ticks({0.5, 1.5}, 8), (Ticks{1}));
  EXPECT_EQ(whole_ticks({0.5, 30.5}, 6), (Ticks{5, 10, 15, 20, 25, 30}));
}

TEST(ReportTicks, RoundedRangeEndsOnTicks) {
  for (const Range range : {Range{0, 0.613}, Range{0.31, 0.87}, Range{-0.02, 0.4}, Range{5, 5}, Range{0, 0}}) {
    const Range rounded = rounded_range(range);
    EXPECT_LT(rounded.low, rounded.high);
    EXPECT_LE(rounded.low, range.low);
    EXPECT_GE(rounded.high, range.high);
    const Ticks ticks = linear_ticks(rounded);
    EXPECT_EQ(ticks.front(), rounded.low);
    EXPECT_EQ(ticks.back(), rounded.high);
  }
}

TEST(ReportTicks, LogTicksAreOneTwoFiveOrPowersAlone) {
  EXPECT_EQ(log_ticks({0.005, 1}), (Ticks{0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1}));
  EXPECT_EQ(log_ticks({1e-5, 10}), (Ticks{1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10}));
  EXPECT_THROW(log_ticks({0, 1}), Error);
}

TEST(ReportTicks, RoundedLogRangeIsTheNearestAround) {
  const auto rounded = [](double low, double high) {
    const Range range = rounded_log_range({low, high});
    return Ticks{range.low, range.high};
  };
  EXPECT_EQ(rounded(0.0061, 0.83), (Ticks{0.005, 1}));
  EXPECT_EQ(rounded(0.02, 0.5), (Ticks{0.02, 0.5}));
  EXPECT_EQ(rounded(0.19, 2.1), (Ticks{0.1, 5}));
  EXPECT_EQ(rounded(1, 1), (Ticks{1, 10})) << "one value gets a width";
}

TEST(ReportTicks, LabelsHaveNoNeedlessDigits) {
  EXPECT_EQ(tick_labels({0, 0.2, 0.30000000000000004, 1}), (Labels{"0", "0.2", "0.3", "1"}));
  EXPECT_EQ(tick_labels({0.0005, 0.00005, 2e-7}), (Labels{"0.0005", "5×10⁻⁵", "2×10⁻⁷"}));
  EXPECT_EQ(tick_labels({-2, 1000, 20000, 3e12}), (Labels{"−2", "1000", "20\u202f000", "3×10¹²"}));
}

TEST(ReportNumbers, UnknownIsADash) {
  for (const double value : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(fixed(value, 3), "–");
    EXPECT_EQ(significant(value), "–");
    EXPECT_EQ(percent(value), "–");
    EXPECT_EQ(duration(value), "–");
  }
  EXPECT_EQ(duration(-1), "–");
}

TEST(ReportNumbers, AreShort) {
  EXPECT_EQ(fixed(0.8125, 2), "0.81");
  EXPECT_EQ(fixed(-0.5, 1), "−0.5");
  EXPECT_EQ(significant(0.00123456), "0.00123");
  EXPECT_EQ(significant(0.0000351), "3.51×10⁻⁵");
  EXPECT_EQ(significant(148.4), "148");
  EXPECT_EQ(percent(0.123), "12\u202f%");
  EXPECT_EQ(percent(0.0123), "1.2\u202f%");
  EXPECT_EQ(percent(0.0995), "10\u202f%");
  EXPECT_EQ(percent(0), "0\u202f%");
  EXPECT_EQ(percent(1e-5), "under 0.1\u202f%");
  EXPECT_EQ(count(2594), "2594");
  EXPECT_EQ(count(12600), "12\u202f600");
}

TEST(ReportNumbers, DurationsTakeFittingUnits) {
  EXPECT_EQ(duration(0.00123), "1.23 ms");
  EXPECT_EQ(duration(0.84), "0.84 s");
  EXPECT_EQ(duration(42), "42.0 s");
  EXPECT_EQ(duration(59.99), "1 min");
  EXPECT_EQ(duration(725), "12 min 5 s");
  EXPECT_EQ(duration(8040), "2 h 14 min");
  EXPECT_EQ(duration(3599.7), "1 h");
}

}  // namespace
}  // namespace dermatome::report
