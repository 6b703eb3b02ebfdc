// Threads and instruction sets.
#include "engine/core/threads.h"

#include <gtest/gtest.h>

#include "tests/engine/expect_error.h"

namespace dermatome {
namespace {

TEST(Threads, AreSetAndBounded) {
  const int before = threads();
  set_threads(3);
  EXPECT_EQ(threads(), 3);
  set_threads(0);
  EXPECT_EQ(threads(), usable_cores());
  expect_error<UsageError>([] { set_threads(-1); }, {"-1"});
  expect_error<UsageError>([] { set_threads(1025); }, {"1025", "1024"});
  EXPECT_EQ(threads(), usable_cores()) << "a refused number was set";
  set_threads(before);
}

TEST(Threads, InstructionSetHasAName) {
  EXPECT_EQ(name_of(instruction_set()).substr(0, 8), "x86-64-v");
  EXPECT_GT(peak_resident_bytes(), 1000000u);
  EXPECT_GE(usable_cores(), 1);
}

}  // namespace
}  // namespace dermatome
