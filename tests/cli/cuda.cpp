// --device cuda and auto on machines with and without a GPU: what is not there is said in one sentence, and the CPU
// never needs any of it.
#include <cstdlib>

#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

bool has_driver() {
  return fs::exists("/dev/nvidiactl");
}

TEST_F(CommandLine, SaysWhyThereIsNoGpu) {
  if (has_driver()) GTEST_SKIP() << "there is an NVIDIA driver here";
  if (DERMATOME_HAS_CUDA) {
    expect_exactly(1, training("r", {"--device", "cuda"}),
                   "--device cuda cannot be used: there is no NVIDIA driver here; use --device cpu");
    expect_refused(1, training("r", {"--device", "cuda:3"}), {"--device cuda:3", "no NVIDIA driver"});
  } else {
    expect_exactly(2, training("r", {"--device", "cuda"}), "this build has no cuda device; use --device cpu");
  }
  EXPECT_FALSE(fs::exists(folder_ / "r")) << "a refused command line leaves no run folder";
}

TEST_F(CommandLine, InfoTellsWhatOfCudaIsThere) {
  const Outcome outcome = run({"info"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(
      outcome.out.find(DERMATOME_HAS_CUDA ? "\nCUDA             runtime " : "\nCUDA             off (built without"),
      std::string::npos)
      << outcome.out;
  if (DERMATOME_HAS_CUDA && !has_driver()) {
    EXPECT_NE(outcome.out.find("\nGPU              off (there is no NVIDIA driver here"), std::string::npos)
        << outcome.out;
  }
}

// What is found of cuDNN, and where; what is not, and why.
TEST_F(CommandLine, InfoTellsWhichCudnnIsThere) {
  if (!DERMATOME_HAS_CUDA) GTEST_SKIP() << "built without CUDA";
  const std::string title = "\ncuDNN            ";
  const std::string found = run({"info"}).out;
  const bool off = found.find(title + "off (libcudnn.so.9 ") != std::string::npos;
  EXPECT_TRUE(off || found.find("/libcudnn.so.9", found.find(title + "9.")) != std::string::npos) << found;
  const std::string folder = (folder_ / "without").string();
  fs::create_directories(folder);
  ::setenv("DERMATOME_CUDNN", folder.c_str(), 1);
  const Outcome outcome = run({"info"});
  ::unsetenv("DERMATOME_CUDNN");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find(title + "off (libcudnn.so.9 cannot be loaded from " + folder +
                             ", where DERMATOME_CUDNN points: "),
            std::string::npos)
      << outcome.out;
}

// Neither the driver nor cuDNN nor cuBLAS is among the libraries that the binary needs to start.
TEST_F(CommandLine, StartsWithoutDriverAndCudnn) {
  const std::string list = (folder_ / "needed").string();
  ASSERT_EQ(std::system(("readelf -d '" DERMATOME_BINARY "' | grep NEEDED >'" + list + "'").c_str()), 0);
  const std::string needed = text_of(list);
  for (const char* library : {"libcuda", "libcudart", "libcudnn", "libcublas", "libnvrtc"}) {
    EXPECT_EQ(needed.find(library), std::string::npos) << needed;
  }
  const Outcome outcome = run(training("r", {"epochs=1", "--device", "cpu"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(CommandLine, AutoTakesTheCpuWithoutAGpu) {
  if (has_driver()) GTEST_SKIP() << "there is an NVIDIA driver here";
  const Outcome outcome = run(training("r", {"epochs=1", "--device", "auto"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE((outcome.out + outcome.err).find("cpu on 1 thread "), std::string::npos) << outcome.out << outcome.err;
}

}  // namespace
}  // namespace dermatome::cli
