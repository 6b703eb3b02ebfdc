// Every input of the fuzzers' corpora, findings among them, once more in every run of the tests.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/targets.h"

namespace dermatome::fuzz {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = DERMATOME_SOURCE_DIR;

std::vector<std::byte> bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  return {bytes, bytes + text.size()};
}

// Runs the target on all files of the folders, and on their first halves.
void replay(void (*target)(std::span<const std::byte>), const std::vector<std::string>& folders, std::size_t least) {
  std::size_t inputs = 0;
  for (const auto& folder : folders) {
    for (const auto& entry : fs::directory_iterator(kRoot / folder)) {
      if (!entry.is_regular_file()) continue;
      SCOPED_TRACE(entry.path());
      const auto bytes = bytes_of(entry.path());
      EXPECT_NO_THROW(target(bytes));
      EXPECT_NO_THROW(target(std::span(bytes).first(bytes.size() / 2)));
      ++inputs;
    }
  }
  EXPECT_GE(inputs, least);
}

TEST(FuzzCorpus, Checkpoints) {
  replay(checkpoint, {"tests/fuzz/corpus/checkpoint", "tests/models/weights"}, 15);
}
TEST(FuzzCorpus, Safetensors) {
  replay(safetensors, {"tests/fuzz/corpus/safetensors", "tests/models/weights"}, 15);
}
TEST(FuzzCorpus, Graphs) {
  replay(graph, {"tests/fuzz/corpus/graph", "models"}, 5);
}
TEST(FuzzCorpus, Configs) {
  replay(config, {"tests/fuzz/corpus/config"}, 3);
}

}  // namespace
}  // namespace dermatome::fuzz
