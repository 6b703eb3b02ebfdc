// Libraries that are loaded when they are needed: where they were found, and what is said where they are not.
#include "kernels/vendor/shared_library.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/data/support.h"

namespace dermatome {
namespace {

constexpr const char* kCudnn = "libcudnn.so.9";
constexpr const char* kVariable = "DERMATOME_CUDNN";

TEST(SharedLibrary, OfAFolderWithoutItIsNamedWithTheVariable) {
  const data::testing::TemporaryFolder folder;
  const std::string path = (folder / "").string();
  ::setenv(kVariable, path.c_str(), 1);
  const SharedLibrary library = open_library(kCudnn, kVariable);
  ::unsetenv(kVariable);
  EXPECT_EQ(library.handle, nullptr);
  EXPECT_EQ(library.file, "");
  EXPECT_TRUE(library.why_absent.starts_with("libcudnn.so.9 cannot be loaded from " + path +
                                             ", where DERMATOME_CUDNN points: "))
      << library.why_absent;
  EXPECT_EQ(library.why_absent.find('\n'), std::string::npos);
}

TEST(SharedLibrary, ThatIsNowhereSaysWhatToDo) {
  const SharedLibrary library = open_library("libdermatome_nowhere.so.9", "DERMATOME_NOWHERE");
  EXPECT_EQ(library.handle, nullptr);
  EXPECT_EQ(
      library.why_absent,
      "libdermatome_nowhere.so.9 was not found; install it, or let DERMATOME_NOWHERE name the folder where it is");
}

TEST(SharedLibrary, KnowsItsFile) {
  const SharedLibrary library = open_library("libc.so.6", "DERMATOME_NOWHERE");
  ASSERT_NE(library.handle, nullptr) << library.why_absent;
  EXPECT_TRUE(library.file.starts_with("/")) << library.file;
  EXPECT_TRUE(library.file.ends_with("libc.so.6")) << library.file;
  EXPECT_EQ(library.why_absent, "");
}

}  // namespace
}  // namespace dermatome
