// Profiles: complete, in order, the same again after reading, and told apart.
#include "tools/measurement/profile.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/data/support.h"
#include "tests/measurement/support.h"
#include "tools/measurement/operation_bench.h"

namespace dermatome::measurement {
namespace {

using data::testing::expect_error;
using data::testing::TemporaryFolder;

Profile measured(const std::string& mode) {
  const Model model = tiny_model();
  StepBench bench(model, {.mode = mode, .size = 32, .batch = 2});
  Profile profile = measure_profile(bench, kRoundRates, 0.01);
  profile.model = "tiny";
  profile.mode = mode;
  profile.type = "f32";
  profile.device = "cpu";
  profile.batch = 2;
  profile.size = 32;
  profile.threads = 1;
  if (mode == "train") profile.feeding = {.step = 0.5, .device = 0.25};
  return profile;
}

TEST(Profile, HasEveryStepOfEveryProgram) {
  const Model model = tiny_model();
  StepBench bench(model, {.mode = "train", .size = 32, .batch = 2});
  const Profile profile = measure_profile(bench, kRoundRates, 0.01);
  std::size_t steps = 0;
  for (const auto& part : bench.parts()) steps += part.program->steps().size() + 1;  // and what is prepared
  ASSERT_EQ(profile.nodes.size(), steps);
  std::set<std::string> ops;
  for (std::size_t i = 0; i < profile.nodes.size(); ++i) {
    const NodeProfile& node = profile.nodes[i];
    EXPECT_EQ(node.index, static_cast<int>(i));
    EXPECT_LE(node.fastest, node.seconds);
    EXPECT_GT(node.seconds, 0) << node.name;
    ops.insert(node.op);
  }
  for (const char* op : {"augment", "conv2d", "conv2d_weight_gradient", "bce_with_logits", "adam", "(prepare)"}) {
    EXPECT_TRUE(ops.contains(op)) << op;
  }
  EXPECT_GE(profile.runs, 3);
  EXPECT_GT(profile.wall, 0);
  EXPECT_GT(profile.kernel_seconds(), 0);
  EXPECT_GT(profile.bound_seconds(), 0);
}

TEST(Profile, AnInferenceHasNoUpdate) {
  for (const auto& node : measured("infer").nodes) EXPECT_EQ(node.program, "step");
}

TEST(Profile, IsTheSameAfterReading) {
  const TemporaryFolder folder;
  const Profile profile = measured("train");
  folder.add("p.json", std::string_view(to_json(profile).dump()));
  const Profile again = read_profile(folder / "p.json");
  EXPECT_EQ(to_json(again), to_json(profile));
  EXPECT_EQ(kinds_text(again), kinds_text(profile));
}

TEST(Profile, OfAnEarlierVersionHasNoMemory) {
  const TemporaryFolder folder;
  auto json = to_json(measured("train"));
  json.erase("memory");
  folder.add("p.json", std::string_view(json.dump()));
  EXPECT_EQ(memory_text(read_profile(folder / "p.json").memory, 10), "");
}

TEST(Profile, WhatIsNoProfileIsRefused) {
  const TemporaryFolder folder;
  folder.add("text.json", std::string_view("no json"));
  folder.add("other.json", std::string_view("{\"model\": \"unet34\", \"nodes\": 3}"));
  expect_error([&] { read_profile(folder / "text.json"); }, {"text.json", "dermatome profile --json"});
  expect_error([&] { read_profile(folder / "other.json"); }, {"other.json", "dermatome profile --json"});
  expect_error([&] { read_profile(folder / "nowhere.json"); }, {"nowhere.json cannot be read"});
}

TEST(Profile, TraceHasOneBarANodeAndNoneOverlap) {
  const Profile profile = measured("train");
  const auto trace = chrome_trace(profile);
  double end = 0;
  std::size_t bars = 0;
  for (const auto& event : trace.at("traceEvents")) {
    if (event.at("ph") != "X") continue;
    EXPECT_EQ(event.at("name"), profile.nodes[bars].name);
    EXPECT_EQ(event.at("args").at("kernel"), profile.nodes[bars].kernel);
    EXPECT_GE(event.at("ts").get<double>(), end - 1e-3) << event.dump();
    end = event.at("ts").get<double>() + event.at("dur").get<double>();
    ++bars;
  }
  EXPECT_EQ(bars, profile.nodes.size());
}

// A convolution of U-Net34's first layer. Winograd leaves a quarter of its multiplications and adds transforms.
TEST(Profile, TheBoundCountsWhatTheKernelExecutes) {
  OperationSettings settings{.op = "conv2d",
                             .shapes = {"8x32x32x64"},
                             .attributes = {"channels=64", "kernel=3", "pad=1", "bias=false"},
                             .gradient = true};
  for (const std::string implementation : {"winograd", "onednn"}) {
    settings.compile.implementation = implementation;
    OperationBench bench(settings);
    for (const char* pass : {"forward", "gradient"}) {
      for (const auto& timing : bench.time(pass, 0.001, kRoundRates)) {
        const NodeProfile& node = timing.node;
        ASSERT_TRUE(node.kernel.starts_with(implementation)) << node.kernel;
        const double direct = bound_of(node.cost, DType::f32, kRoundRates).seconds;
        EXPECT_DOUBLE_EQ(node.cost.flops, 2.0 * 8 * 32 * 32 * 64 * 64 * 9) << node.op;
        EXPECT_TRUE(node.bound.by_matrix) << node.op;
        if (implementation == "onednn") {
          EXPECT_DOUBLE_EQ(node.bound.seconds, direct) << node.op;
        } else {
          EXPECT_GT(node.bound.seconds, direct / 4) << node.op;
          EXPECT_LT(node.bound.seconds, direct / 2) << node.op;
        }
      }
    }
  }
}

// Two nodes of 3 and 1 ms, bound by 1.5 ms of computing and 0.1 ms of moving.
Profile made_up() {
  Profile profile{.model = "m", .mode = "infer", .type = "f32", .device = "cpu", .rates = kRoundRates, .wall = 0.005};
  profile.batch = 2;
  profile.nodes.push_back({.index = 0,
                           .program = "step",
                           .name = "stem",
                           .op = "conv2d",
                           .kernel = "onednn",
                           .seconds = 0.003,
                           .fastest = 0.002,
                           .cost = {.flops = 1.5e8, .bytes = 1e6},
                           .bound = {.seconds = 0.0015, .by_matrix = true}});
  profile.nodes.push_back({.index = 1,
                           .program = "step",
                           .name = "head",
                           .op = "relu",
                           .kernel = "cpu",
                           .seconds = 0.001,
                           .fastest = 0.001,
                           .cost = {.flops = 0, .bytes = 1e6},
                           .bound = {.seconds = 0.0001}});
  return profile;
}

void expect_holds(const std::string& text, const std::vector<std::string>& parts) {
  for (const auto& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << " not in:\n" << text;
}

TEST(Profile, TablesSayRatesSharesAndTheGap) {
  Profile profile = made_up();
  EXPECT_EQ(summary_text(profile).find("feeding"), std::string::npos);
  profile.feeding = {.step = 0.006, .device = 0.0045};
  expect_holds(summary_text(profile), {"6.000 ms between two steps of training", "at work in 75.0 % of them"});
  expect_holds(summary_text(profile), {"5.000 ms in the median", "400.00 images/s", "4.000 ms in sum",
                                       "1.000 ms (20.0 %) of the step lie between", "1.600 ms, 32 % of the step"});
  Profile other = profile;
  other.peak_bytes = 3 << 20;
  expect_holds(summary_text(other), {"; process 3 MiB at its peak"});
  other.device = "cuda:1";
  expect_holds(summary_text(other), {"; device 3 MiB at its peak"});
  const std::string kinds = kinds_text(profile);
  expect_holds(kinds, {"3.000  75.0 %      50.0     0.3      50 %", "1.000  25.0 %         -     1.0      10 %"});
  EXPECT_LT(kinds.find("conv2d"), kinds.find("relu"));
  const std::string nodes = nodes_text(profile, 1, true);
  expect_holds(nodes, {"stem", "50 % matrix", "... and 1 that take less"});
  EXPECT_EQ(nodes.find("head"), std::string::npos);
  Profile turned = profile;
  std::swap(turned.nodes[0], turned.nodes[1]);
  const std::string in_order = nodes_text(turned, 2, false);
  EXPECT_LT(in_order.find("head"), in_order.find("stem"));
}

TEST(Profile, ADifferenceNamesWhatChangedAndWhatCameAndWent) {
  const Profile before = made_up();
  Profile after = made_up();
  after.wall = 0.004;
  after.nodes[0].seconds = 0.0015;
  after.nodes[1].name = "fused head";
  after.nodes[1].op = "relu_fused";
  after.processor = "another";
  const std::string text = difference_text(before, after, 10);
  expect_holds(text, {"1.00x, matrix product f32 1.00x", "caution   another processor",
                      "5.000      4.000     -1.000    1.25x", "3.000      1.500     -1.500    2.00x", "head (relu)",
                      "only before", "fused head (relu_fused)", "only after"});
  EXPECT_NE(difference_text(before, before, 1).find("... and 1 that changed less"), std::string::npos);
}

}  // namespace
}  // namespace dermatome::measurement
