// The exponential and the logarithm of kernels in float, against double.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/launch/elementary.h"

namespace dermatome::launch {
namespace {

// Distance in units of the last place of the exact value.
double units_off(float value, double exact) {
  return std::abs(static_cast<double>(value) - exact) / std::ldexp(1.0, std::ilogb(exact) - 23);
}

// Every 97th float between two, by their bits.
template <typename F>
void for_floats(float from, float to, const F& f) {
  constexpr std::uint32_t kStep = 97;
  for (std::uint32_t bits = bits_of(from); bits <= bits_of(to); bits += kStep) f(float_of(bits));
}

TEST(Elementary, ExponentialIsWithinTwoUnits) {
  double worst = 0;
  for_floats(-0.0f, -87.0f, [&](float x) { worst = std::max(worst, units_off(exponential(x), std::exp(double{x}))); });
  EXPECT_LE(worst, 2);
  EXPECT_EQ(exponential(0.0f), 1.0f);
}

TEST(Elementary, ExponentialEndsWhereFloatsDo) {
  const float least = exponential(-87.0f);
  EXPECT_GT(least, 0.0f);
  EXPECT_EQ(exponential(-1000.0f), least);
  EXPECT_EQ(exponential(-std::numeric_limits<float>::infinity()), least);
  EXPECT_TRUE(std::isnan(exponential(std::numeric_limits<float>::quiet_NaN())));
}

TEST(Elementary, LogarithmIsWithinTwoUnits) {
  double worst = 0;
  for_floats(1e-37f, 1.0f,
             [&](float x) { worst = std::max(worst, units_off(log_of_one_plus(x), std::log1p(double{x}))); });
  EXPECT_LE(worst, 2);
  EXPECT_EQ(log_of_one_plus(0.0f), 0.0f);
  EXPECT_TRUE(std::isnan(log_of_one_plus(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace dermatome::launch
