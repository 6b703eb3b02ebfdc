// What training leaves between two steps.
#include "tools/measurement/feeding.h"

#include <gtest/gtest.h>

#include "tests/measurement/support.h"

namespace dermatome::measurement {
namespace {

TEST(Feeding, IsMeasuredWhereverPhotographsLie) {
  const Model model = tiny_model();
  for (const auto residence : {training::Residence::device, training::Residence::host}) {
    const Feeding feeding = measure_feeding(model, {.size = 32, .batch = 2}, residence, 0.05);
    EXPECT_GT(feeding.device, 0);
    EXPECT_GT(feeding.step, feeding.device);
    EXPECT_LT(feeding.step, 60);
  }
}

}  // namespace
}  // namespace dermatome::measurement
