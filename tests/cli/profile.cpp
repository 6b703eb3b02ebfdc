// dermatome profile and bench through the binary.
#include <nlohmann/json.hpp>

#include "engine/core/device.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

std::vector<std::string> profile(std::vector<std::string> more) {
  std::vector<std::string> arguments{"profile", "--model",   "tiny.graph", "--size",    "32", "--batch",
                                     "2",       "--seconds", "0.01",       "--threads", "1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST_F(CommandLine, ProfilesAStepAndComparesTwo) {
  const Outcome first = run(profile({"--json", "a.json", "--trace", "t.json"}));
  ASSERT_EQ(first.code, 0) << first.err;
  for (const char* part : {"kernels   ", "of the step lie between them", "operation ", "conv2d", "adam", "limit"}) {
    EXPECT_NE(first.out.find(part), std::string::npos) << part << " not in:\n" << first.out;
  }
  const auto json = nlohmann::json::parse(text_of(folder_ / "a.json"));
  EXPECT_EQ(json.at("mode"), "train");
  EXPECT_GT(json.at("copy_bytes_per_second"), 0);
  EXPECT_EQ(json.at("memory").at("live_bytes"), json.at("arena_lower_bound_bytes"));
  EXPECT_NE(first.out.find(fmt::format("the arena is fullest at node {}, ", json.at("memory").at("node").get<int>())),
            std::string::npos)
      << first.out;
  const auto trace = nlohmann::json::parse(text_of(folder_ / "t.json"));
  EXPECT_GE(trace.at("traceEvents").size(), json.at("nodes").size());

  ASSERT_EQ(run(profile({"--json", "b.json", "--mode", "infer"})).code, 0);
  const Outcome difference = run({"profile", "--diff", "a.json", "b.json"});
  EXPECT_EQ(difference.code, 0) << difference.err;
  EXPECT_NE(difference.out.find("only before"), std::string::npos) << difference.out;
  EXPECT_NE(difference.out.find("\nmoments of Adam "), std::string::npos) << difference.out;
  expect_refused(1, {"profile", "--diff", "a.json", "tiny.graph"}, {"tiny.graph is not a profile"});
  expect_refused(1, {"profile", "--diff", "nowhere.json", "a.json"}, {"nowhere.json cannot be read"});
  expect_refused(2, {"profile", "--diff", "a.json"}, {"--diff"});
}

TEST_F(CommandLine, ProfileShowsTheNodesThatAreAskedFor) {
  const Outcome some = run(profile({"--from-node", "2", "--nodes", "3"}));
  ASSERT_EQ(some.code, 0) << some.err;
  const auto table = some.out.substr(some.out.find("node  name"));
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 4) << table;
  for (const char* index : {"\n   2  ", "\n   3  ", "\n   4  "})
    EXPECT_NE(table.find(index), std::string::npos) << table;
  const Outcome behind = run(profile({"--from-node", "9999"}));
  EXPECT_EQ(behind.code, 2);
  EXPECT_NE(behind.err.find("--from-node 9999 is behind the last of "), std::string::npos) << behind.err;
  EXPECT_EQ(some.out.find("the arena is fullest"), std::string::npos) << some.out;
  EXPECT_TRUE(nlohmann::json::accept(run(profile({"--json", "-"})).out));
}

TEST_F(CommandLine, ProfileShowsAsManyValuesAsAreAskedFor) {
  const Outcome two = run(profile({"--values", "2", "--nodes", "1"}));
  ASSERT_EQ(two.code, 0) << two.err;
  const auto begin = two.out.find("type and shape\n");
  ASSERT_NE(begin, std::string::npos) << two.out;
  const auto table = two.out.substr(begin, two.out.find("the largest live set") - begin);
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 1 + 2 + 1) << table;
  EXPECT_NE(table.find("more, none larger"), std::string::npos) << table;
  expect_refused(2, profile({"--values", "0"}), {"--values", "1 to 1000000"});
}

// One photograph takes a third of the memory that is left.
TEST_F(CommandLine, StepsThatDoNotFitNameTheBatchThatWould) {
  constexpr std::size_t kMapBytes = std::size_t{4} << 20;  // of a channel at 1024 px
  const std::size_t width = backend_of(DeviceKind::cpu).available_bytes(0) / kMapBytes / 3;
  folder_.add("wide.graph", std::string_view(fmt::format("model wide(image: 3 channels) {{\n"
                                                         "  conv = conv2d(image, {}, kernel=1)\n"
                                                         "  out = conv2d(relu(conv), 1, kernel=1)\n  return out\n}}\n",
                                                         width)));
  const std::vector<std::string> wide{"--model", "wide.graph", "--size", "1024", "--batch", "8", "--device", "cpu"};
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"bench", "step"}, std::vector<std::string>{"profile"}}) {
    for (const char* mode : {"train", "infer"}) {
      auto words = command;
      words.insert(words.end(), wide.begin(), wide.end());
      words.insert(words.end(), {"--mode", mode});
      expect_refused(1, words,
                     {fmt::format("wide {} 1024 px batch 8: this needs ", mode), " MiB are left; --", " would fit"});
    }
  }
}

TEST_F(CommandLine, BenchesOneOperation) {
  const std::vector<std::string> convolution{"bench", "op",          "conv2d", "--shape",   "1x8x8x16",
                                             "-a",    "channels=16", "-a",     "kernel=3",  "--attribute",
                                             "pad=1", "--seconds",   "0.001",  "--threads", "1"};
  auto both = convolution;
  both.insert(both.end(), {"--pass", "both", "--compare", "reference", "--json", "o.json"});
  const Outcome outcome = run(both);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* part : {"conv2d_weight_gradient", "roofline", "gradient of weight", "largest difference"}) {
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << " not in:\n" << outcome.out;
  }
  const auto json = nlohmann::json::parse(text_of(folder_ / "o.json"));
  ASSERT_EQ(json.at("kernels").size(), 3u);
  for (const auto& kernel : json.at("kernels")) EXPECT_LE(kernel.at("fastest_seconds"), kernel.at("median_seconds"));
  for (const auto& output : json.at("agreement")) {
    EXPECT_LT(output.at("largest_difference").get<double>(),
              1e-4 * output.at("largest_magnitude").get<double>() + 1e-9);
  }
  auto own = convolution;
  own.insert(own.end(), {"--implementation", "cpu"});
  EXPECT_NE(run(own).out.find("  cpu "), std::string::npos);
  own.back() = "cpuu";
  expect_refused(2, own, {"conv2d has no implementation 'cpuu' on cpu", "did you mean 'cpu'?"});
  expect_refused(2, {"bench", "op", "conv3d", "--shape", "1x2x2x2"}, {"conv3d", "did you mean 'conv2d'?"});
  expect_refused(2, {"bench", "op", "conv2d"}, {"--shape is required"});
  expect_refused(2, {"bench", "op", "relu", "--shape", "1xx2"}, {"'1xx2' is no shape"});
}

TEST_F(CommandLine, BenchMachineTellsTheRates) {
  const std::vector<std::string> machine{"bench", "machine",  "--seconds", "0.01",  "--threads",
                                         "1",     "--device", "cpu",       "--json"};
  const auto with_json = [&](const char* file) {
    auto words = machine;
    words.emplace_back(file);
    return words;
  };
  const Outcome text = run(with_json("rates.json"));
  ASSERT_EQ(text.code, 0) << text.err;
  for (const char* part : {"copy  ", " GB/s", "matrix f32  ", "matrix bf16  ", "cpu, 1 threads, x86-64-v"}) {
    EXPECT_NE(text.out.find(part), std::string::npos) << part << " not in:\n" << text.out;
  }
  const Outcome alone = run(with_json("-"));
  ASSERT_EQ(alone.code, 0) << alone.err;
  const std::string info = run({"info"}).out;
  const bool products = info.find("\noneDNN           off") == std::string::npos;
  const bool bf16 = products && info.find("\nbf16             on the cpu") != std::string::npos;
  for (const auto& json : {nlohmann::json::parse(text_of(folder_ / "rates.json")), nlohmann::json::parse(alone.out)}) {
    EXPECT_GT(json.at("copy_bytes_per_second"), 0) << json;
    EXPECT_EQ(json.at("matrix_f32_flops").get<double>() > 0, products) << json;
    EXPECT_EQ(json.at("matrix_bf16_flops").get<double>() > 0, bf16) << json;
    EXPECT_EQ(json.at("threads"), 1);
    EXPECT_TRUE(json.at("instruction_set").get<std::string>().starts_with("x86-64-v")) << json;
  }
  expect_refused(2, {"bench", "machine", "--seconds", "0"}, {"--seconds must be a number above 0, not '0'"});
  expect_refused(2, {"bench", "machine", "--device", "gpu"}, {"unknown device 'gpu'"});
}

TEST_F(CommandLine, BenchStepLeavesOutWhatFrozenGroupsNeedNot) {
  folder_.add("groups.graph", std::string_view(R"(model groups(image: 3 channels, sides divisible by 2) {
  group early
  a = conv2d(image, 16, kernel=3, pad=1)
  group late
  b = conv2d(relu(a), 1, kernel=1)
  return b
}
)"));
  const std::vector<std::string> step{"bench",   "step", "--model",   "groups.graph", "--size", "64",
                                      "--batch", "2",    "--seconds", "0.01",         "--json", "-"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), step.begin(), step.end());
    return more;
  };
  const auto arena = [&](const std::vector<std::string>& words) {
    return nlohmann::json::parse(run(words).out).at("arena_bytes").get<std::int64_t>();
  };
  EXPECT_LT(arena(with({"--frozen", "early"})), arena(step));
  expect_refused(2, with({"--frozen", "erly"}), {"no parameter group 'erly'", "did you mean 'early'?"});
  expect_refused(2, with({"--frozen", "early", "--frozen", "late"}), {"nothing would be trained"});
  expect_refused(2, with({"--mode", "infer", "--frozen", "early"}), {"--frozen is about training"});
}

}  // namespace
}  // namespace dermatome::cli
