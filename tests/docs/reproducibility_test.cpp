// docs/reproducibility.md names a test for each of its claims: they must be there.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

namespace dermatome {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(ReproducibilityPage, NamesTestsThatExist) {
  const fs::path root = DERMATOME_SOURCE_DIR;
  std::string tests;
  for (const auto& entry : fs::recursive_directory_iterator(root / "tests")) {
    if (entry.path().extension() == ".cpp") tests += text_of(entry.path());
  }
  const std::string page = text_of(root / "docs/reproducibility.md");
  const std::regex name("`([A-Z][A-Za-z]+)\\.([A-Z][A-Za-z]+)`");
  int claims = 0;
  for (std::sregex_iterator match(page.begin(), page.end(), name), end; match != end; ++match, ++claims) {
    const std::string arguments = "(" + (*match)[1].str() + ", " + (*match)[2].str() + ")";
    EXPECT_NE(tests.find(arguments), std::string::npos) << match->str();
  }
  EXPECT_GT(claims, 15);
}

}  // namespace
}  // namespace dermatome
