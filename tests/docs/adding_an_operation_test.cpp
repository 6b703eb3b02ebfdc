// The page docs/adding-an-operation.md shows the files of kernels/leaky_relu as they are.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>

namespace {

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

const std::filesystem::path kRoot = DERMATOME_SOURCE_DIR;

TEST(AddingAnOperation, ShowsTheFilesAsTheyAre) {
  const std::string page = contents(kRoot / "docs" / "adding-an-operation.md");
  int listings = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kRoot / "kernels" / "leaky_relu")) {
    const std::string name = "kernels/leaky_relu/" + entry.path().filename().string();
    const std::string listing = "`" + name + "`\n\n```cpp\n" + contents(entry.path()) + "```\n";
    EXPECT_NE(page.find(listing), std::string::npos) << "the page shows another " << name;
    ++listings;
  }
  EXPECT_EQ(listings, 6);
}

}  // namespace
