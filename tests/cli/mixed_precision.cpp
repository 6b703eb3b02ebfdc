// --type bf16: refused where it would not pay, and a run whose files are those of an f32 run.
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "engine/core/threads.h"
#include "models/safetensors.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

TEST_F(CommandLine, RefusesBf16WhereTheProcessorLacksIt) {
  ::setenv("DERMATOME_ISA", "x86-64-v2", 1);
  expect_refused(2, training("r", {"--type", "bf16"}), {"--type bf16", "AVX512-BF16", "x86-64-v2", "use --type f32"});
  expect_refused(2, {"bench", "step", "--type", "bf16", "--device", "cpu"}, {"--type bf16", "AVX512-BF16"});
  ::unsetenv("DERMATOME_ISA");
  EXPECT_FALSE(fs::exists(folder_ / "r"));
}

TEST_F(CommandLine, TrainsInBf16AndKeepsF32Weights) {
  if (!has_bf16_products()) GTEST_SKIP() << "this processor has no AVX512-BF16";
  const Outcome outcome = run(training("r", {"epochs=2", "--type", "bf16"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("bf16"), std::string::npos) << outcome.err;
  const TensorFile file = read_safetensors(folder_ / "r/last.safetensors", Integrity::required);
  EXPECT_FALSE(file.tensors.empty());
  for (const auto& [name, tensor] : file.tensors) EXPECT_EQ(tensor.type(), DType::f32) << name;
  EXPECT_EQ(nlohmann::json::parse(file.metadata.at("dermatome")).at("type"), "bf16");

  const auto jaccard = [&](const char* type) {
    const Outcome evaluation =
        run({"evaluate", "--run", "r", "--data", "data", "--threads", "1", "--json", "-", "--type", type});
    EXPECT_EQ(evaluation.code, 0) << evaluation.err;
    return nlohmann::json::parse(evaluation.out).at("jaccard").get<double>();
  };
  EXPECT_NEAR(jaccard("f32"), jaccard("bf16"), 0.02);

  // The forward pass differs by a rounding, so the losses differ, and by no more.
  const Outcome in_f32 = run(training("s", {"epochs=1"}));
  ASSERT_EQ(in_f32.code, 0) << in_f32.err;
  const auto first_loss = [&](const char* name) {
    std::ifstream steps(folder_ / name / "steps.csv");
    std::string line;
    std::getline(steps, line);
    std::getline(steps, line);
    return std::stod(line.substr(line.rfind(',') + 1));
  };
  EXPECT_NE(first_loss("r"), first_loss("s"));
  EXPECT_NEAR(first_loss("r"), first_loss("s"), 0.01);
}

}  // namespace
}  // namespace dermatome::cli
