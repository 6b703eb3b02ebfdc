// Threads and instruction sets.
#include "engine/core/threads.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

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

// A container whose limit is full of files that were read still has room.
TEST(Threads, MemoryOfACgroupIsWhatNoProcessHolds) {
  const auto folder = std::filesystem::path(testing::TempDir()) / ("dermatome-cgroup-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const auto put = [&](const char* name, const std::string& text) { std::ofstream(folder / name) << text; };
  EXPECT_EQ(cgroup_memory_left(folder), std::numeric_limits<std::size_t>::max()) << "no files: no limit";
  put("memory.max", "max\n");
  put("memory.current", "1000\n");
  put("memory.stat", "anon 300\nfile 650\ninactive_file 100\nactive_file 500\nslab_reclaimable 50\nslab 90\n");
  EXPECT_EQ(cgroup_memory_left(folder), std::numeric_limits<std::size_t>::max());
  put("memory.max", "1000\n");
  EXPECT_EQ(cgroup_memory_left(folder), 650u);
  put("memory.max", "200\n");
  EXPECT_EQ(cgroup_memory_left(folder), 0u) << "held already";
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace dermatome
