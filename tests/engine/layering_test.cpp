// Who may include whom: docs/design.md's rooms, read from the #include lines of all sources.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot = DERMATOME_SOURCE_DIR;
const std::vector<std::string> kRooms{"engine", "kernels", "data", "models", "tools", "tests", "bench"};

bool starts_with(const std::string& text, const std::string& start) {
  return text.rfind(start, 0) == 0;
}

// "kernels/relu/" of kernels/relu/cpu.cpp.
std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/') + 1);
}

std::string family_of(const std::string& path) {
  return path.substr(0, path.find('/', std::string("kernels/").size()) + 1);
}

// Folders (and single files) whose headers a file may include. Empty: no rule.
std::vector<std::string> allowed(const std::string& path) {
  if (starts_with(path, "engine/core/")) return {"engine/core/"};
  if (starts_with(path, "engine/graph/")) return {"engine/core/", "engine/graph/", "engine/compile/call.h"};
  if (starts_with(path, "engine/")) return {"engine/"};
  // What is fused uses the arithmetic of what it fuses.
  if (starts_with(path, "kernels/decoder_step/"))
    return {"engine/",         "kernels/launch/",    "kernels/vendor/", "kernels/decoder_step/",
            "kernels/conv2d/", "kernels/batch_norm/"};
  if (starts_with(path, "kernels/batch_norm_relu/"))
    return {"engine/", "kernels/launch/", "kernels/batch_norm_relu/", "kernels/batch_norm/"};
  if (starts_with(path, "kernels/segmentation_loss/"))
    return {"engine/", "kernels/launch/", "kernels/segmentation_loss/", "kernels/bce_with_logits/"};
  if (starts_with(path, "kernels/")) return {"engine/", "kernels/launch/", "kernels/vendor/", family_of(path)};
  if (starts_with(path, "data/")) return {"engine/core/", "data/"};
  if (starts_with(path, "models/")) return {"engine/", "models/"};
  if (starts_with(path, "tools/")) return {"engine/", "kernels/", "data/", "models/", "tools/"};
  if (starts_with(path, "tests/")) return {"engine/", "kernels/", "data/", "models/", "tools/", "tests/"};
  if (starts_with(path, "bench/")) return {"engine/", "kernels/", "data/", "models/", "tools/measurement/", "bench/"};
  return {};
}

// What is wrong with one file including another, or an empty text.
std::string objection(const std::string& path, const std::string& included, bool quoted) {
  for (const char* vendor : {"dnnl", "oneapi/", "cudnn", "cublas", "cuda_runtime"}) {
    if (starts_with(included, vendor) && !starts_with(path, "kernels/vendor/")) {
      return path + " includes " + included + ": vendor headers belong into kernels/vendor";
    }
  }
  if (!quoted) return "";
  const auto rules = allowed(path);
  const bool fine =
      std::any_of(rules.begin(), rules.end(), [&](const std::string& rule) { return starts_with(included, rule); });
  return fine ? "" : path + " must not include " + included;
}

// The included name of a line, or an empty text.
std::string included_in(const std::string& line, bool& quoted) {
  const std::size_t start = line.find_first_not_of(" \t");
  if (start == std::string::npos || line.compare(start, 8, "#include") != 0) return "";
  const std::size_t open = line.find_first_of("<\"", start + 8);
  if (open == std::string::npos) return "";
  quoted = line[open] == '"';
  const std::size_t close = line.find(quoted ? '"' : '>', open + 1);
  return close == std::string::npos ? "" : line.substr(open + 1, close - open - 1);
}

bool is_source(const fs::path& path) {
  static const std::set<std::string> extensions{".h", ".cpp", ".cc", ".cu", ".cuh"};
  return extensions.contains(path.extension().string());
}

std::vector<std::string> all_sources() {
  std::vector<std::string> sources;
  for (const auto& room : kRooms) {
    if (!fs::exists(kRoot / room)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / room)) {
      if (entry.is_regular_file() && is_source(entry.path()))
        sources.push_back(fs::relative(entry.path(), kRoot).string());
    }
  }
  return sources;
}

TEST(Layering, IncludesGoOneWay) {
  const auto sources = all_sources();
  ASSERT_GT(sources.size(), 50u) << "the sources were not found in " << kRoot;
  for (const auto& path : sources) {
    std::ifstream file(kRoot / path);
    for (std::string line; std::getline(file, line);) {
      bool quoted = false;
      const std::string included = included_in(line, quoted);
      if (included.empty()) continue;
      EXPECT_EQ(objection(path, included, quoted), "");
    }
  }
}

// Weak symbols of containers would carry one instruction set into the rest: see check_isa_symbols.sh.
TEST(Layering, FilesOfOneInstructionSetUseNoContainers) {
  const std::set<std::string> harmless{"cfloat", "climits", "cmath", "cstddef",  "cstdint",     "cstring",
                                       "limits", "math.h",  "omp.h", "string.h", "type_traits", "immintrin.h"};
  for (const auto& path : all_sources()) {
    if (!starts_with(path, "kernels/") || (path != folder_of(path) + "cpu.cpp" && path != folder_of(path) + "math.h"))
      continue;
    std::ifstream file(kRoot / path);
    for (std::string line; std::getline(file, line);) {
      bool quoted = true;
      const std::string included = included_in(line, quoted);
      if (included.empty() || quoted) continue;
      EXPECT_TRUE(harmless.contains(included)) << path << " includes <" << included << ">";
    }
  }
}

TEST(Layering, ForbiddenIncludesAreFound) {
  EXPECT_NE(objection("engine/core/tensor.h", "engine/graph/graph.h", true), "");
  EXPECT_NE(objection("engine/graph/graph.h", "engine/compile/program.h", true), "");
  EXPECT_NE(objection("engine/compile/program.cpp", "kernels/launch/op_case.h", true), "");
  EXPECT_NE(objection("kernels/relu/op.cpp", "kernels/add/math.h", true), "");
  EXPECT_NE(objection("kernels/relu/cpu.cpp", "data/image/image.h", true), "");
  EXPECT_NE(objection("data/dataset.cpp", "engine/graph/graph.h", true), "");
  EXPECT_NE(objection("models/unet34.cpp", "data/dataset.h", true), "");
  EXPECT_NE(objection("bench/step.cpp", "tests/harness/instance.h", true), "");
  EXPECT_NE(objection("kernels/conv2d/onednn.cpp", "oneapi/dnnl/dnnl.hpp", false), "");
  EXPECT_NE(objection("kernels/relu/cpu.cpp", "math.h", true), "") << "includes are written from the root";
  EXPECT_EQ(objection("kernels/relu/cpu.cpp", "kernels/relu/math.h", true), "");
  EXPECT_EQ(objection("tools/train.cpp", "tools/training/stage.h", true), "");
  bool quoted = false;
  EXPECT_EQ(included_in("  #include \"engine/core/error.h\"  // why", quoted), "engine/core/error.h");
  EXPECT_TRUE(quoted);
}

}  // namespace
