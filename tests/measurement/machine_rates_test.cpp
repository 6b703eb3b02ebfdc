// The machine's rates and what they allow.
#include "tools/measurement/machine_rates.h"

#include <gtest/gtest.h>

#include "engine/core/threads.h"
#include "tests/measurement/support.h"

namespace dermatome::measurement {
namespace {

TEST(MachineRates, AreThoseOfAMachine) {
  const MachineRates rates = measure_machine_rates(0.01);
  EXPECT_GT(rates.copy, 1e8);
  EXPECT_LT(rates.copy, 1e13);
#ifdef DERMATOME_ONEDNN
  EXPECT_GT(rates.matrix_f32, 1e8);
  EXPECT_EQ(rates.matrix_bf16 > 0, has_bf16_products());
#else
  EXPECT_EQ(rates.matrix_f32, 0);
#endif
}

TEST(Roofline, TheSlowerOfMovingAndComputingIsTheBound) {
  const Bound moving = bound_of({.flops = 1e9, .bytes = 1e9}, DType::f32, kRoundRates);
  EXPECT_DOUBLE_EQ(moving.seconds, 0.1);
  EXPECT_FALSE(moving.by_matrix);
  const Bound computing = bound_of({.flops = 1e11, .bytes = 1e9}, DType::f32, kRoundRates);
  EXPECT_DOUBLE_EQ(computing.seconds, 1);
  EXPECT_TRUE(computing.by_matrix);
  EXPECT_DOUBLE_EQ(bound_of({.flops = 1e11, .bytes = 1e9}, DType::bf16, kRoundRates).seconds, 0.25);
  // A type without a measured rate is bound by what moves.
  EXPECT_DOUBLE_EQ(bound_of({.flops = 1e15, .bytes = 1e9}, DType::f64, kRoundRates).seconds, 0.1);
  EXPECT_EQ(bound_of({}, DType::f32, {}).seconds, 0);
}

}  // namespace
}  // namespace dermatome::measurement
