// Where memory goes: the largest live set, complete and by kind, as text and compared.
#include "tools/measurement/memory_profile.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/measurement/support.h"
#include "tools/measurement/profile.h"

namespace dermatome::measurement {
namespace {

std::size_t bytes_of(const MemoryProfile& memory, const std::string& kind) {
  for (const auto& entry : memory.kinds) {
    if (entry.name == kind) return entry.bytes;
  }
  ADD_FAILURE() << "no kind '" << kind << "'";
  return 0;
}

std::size_t bytes_of_values(const MemoryProfile& memory, const std::string& kind) {
  std::size_t sum = 0;
  for (const auto& value : memory.values) sum += value.kind == kind ? value.bytes : 0;
  return sum;
}

TEST(MemoryProfile, IsTheLargestLiveSetOfAStep) {
  const Model model = tiny_model();
  StepBench bench(model, {.mode = "train", .size = 32, .batch = 2});
  const Profile profile = measure_profile(bench, kRoundRates, 0.01);
  const MemoryProfile& memory = profile.memory;
  EXPECT_EQ(memory.live_bytes(), profile.arena_lower_bound_bytes);
  ASSERT_GE(memory.node, 0);
  const auto node = [&](int index) { return profile.nodes.at(static_cast<std::size_t>(index)); };
  EXPECT_EQ(memory.name, node(memory.node).name);
  EXPECT_EQ(memory.op, node(memory.node).op);
  EXPECT_EQ(memory.program, node(memory.node).program);
  for (const auto& value : memory.values) {
    EXPECT_LE(value.first, memory.node) << value.name;
    EXPECT_GE(value.last, memory.node) << value.name;
    EXPECT_TRUE(value.name.starts_with(node(value.first).name)) << value.name;
  }
  EXPECT_TRUE(std::is_sorted(memory.values.begin(), memory.values.end(),
                             [](const auto& a, const auto& b) { return a.bytes > b.bytes; }));
}

// The photographs are needed until the gradient of the first convolution's weight.
TEST(MemoryProfile, TellsWhatIsKeptForTheBackwardPass) {
  const Model model = tiny_model();
  StepBench bench(model, {.mode = "train", .size = 32, .batch = 2});
  const Profile profile = measure_profile(bench, kRoundRates, 0.01);
  const auto image = std::find_if(profile.memory.values.begin(), profile.memory.values.end(),
                                  [](const LiveValue& value) { return value.name == "augment"; });
  ASSERT_NE(image, profile.memory.values.end());
  EXPECT_EQ(image->kind, "kept");
  EXPECT_EQ(image->shape, "f32[2, 32, 32, 3]");
  EXPECT_EQ(image->bytes, 2u * 32 * 32 * 3 * 4);
  const NodeProfile& last = profile.nodes.at(static_cast<std::size_t>(image->last));
  EXPECT_TRUE(last.op == "conv2d_weight_gradient" || last.op == "(reorder)") << last.name << ' ' << last.op;
}

TEST(MemoryProfile, CountsEachByteOnceByKind) {
  const Model model = tiny_model();
  StepBench bench(model, {.mode = "train", .size = 32, .batch = 2});
  const MemoryProfile memory = measure_memory(bench);
  EXPECT_EQ(bytes_of(memory, "activations kept for the backward pass"), bytes_of_values(memory, "kept"));
  EXPECT_EQ(bytes_of(memory, "gradients of activations"), bytes_of_values(memory, "gradient"));
  EXPECT_EQ(bytes_of(memory, "workspaces"), bytes_of_values(memory, "workspace"));
  const std::size_t gradients = bytes_of(memory, "gradients of weights");
  const std::size_t parameters = 4 * (3 * 3 * 3 * 4 + 2 * 4 + 2 * 2 * 4 + 1);  // convolutions, bias, batch norm
  EXPECT_EQ(gradients, parameters);
  EXPECT_EQ(bytes_of(memory, "moments of Adam"), 2 * gradients + 2 * 4) << "and a step number for each group";
  EXPECT_GE(bytes_of(memory, "weights and running statistics"), gradients + 2 * 4 * 4);
  std::size_t all = bench.store().bytes() + bench.store().prepared_bytes();
  for (const auto& part : bench.parts())
    all += part.program->memory().arena + part.program->memory().inputs_and_outputs;
  EXPECT_EQ(memory.bytes(), all);
}

TEST(MemoryProfile, AnInferenceKeepsNothing) {
  const Model model = tiny_model();
  StepBench bench(model, {.mode = "infer", .size = 32, .batch = 2});
  const MemoryProfile memory = measure_memory(bench);
  EXPECT_EQ(memory.live_bytes(), bench.parts().front().program->memory().arena_lower_bound);
  for (const char* kind :
       {"activations kept for the backward pass", "gradients of activations", "gradients of weights"})
    EXPECT_EQ(bytes_of(memory, kind), 0u) << kind;
  EXPECT_GT(memory.live_bytes(), 0u);
}

MemoryProfile made_up() {
  return {.node = 7,
          .program = "step",
          .name = "late.conv",
          .op = "conv2d",
          .values =
              {{.name = "early.bn (mean)", .kind = "kept", .shape = "f32[4]", .bytes = 3 << 20, .first = 2, .last = 9},
               {.name = "late.conv", .kind = "workspace", .shape = {}, .bytes = 1 << 20, .first = 7, .last = 7}},
          .kinds = {{"workspaces", 1 << 20}, {"moments of Adam", 2 << 20}}};
}

TEST(MemoryProfile, TextSaysWhichNodesNeedAValue) {
  EXPECT_EQ(memory_text(made_up(), 10),
            "the arena is fullest at node 7, late.conv (conv2d) of the step\n"
            "      MiB  first   last  kind       name             type and shape\n"
            "      3.0      2      9  kept       early.bn (mean)  f32[4]\n"
            "      1.0      7      7  workspace  late.conv\n"
            "      4.0  the largest live set, of 2 values\n"
            "\n"
            "      MiB  memory by kind\n"
            "      1.0  workspaces\n"
            "      2.0  moments of Adam\n"
            "      3.0  sum\n");
  EXPECT_NE(memory_text(made_up(), 1).find("f32[4]\n      1.0  in 1 more, none larger\n      4.0  the largest"),
            std::string::npos)
      << memory_text(made_up(), 1);
  EXPECT_EQ(memory_text({}, 10), "");
}

TEST(MemoryProfile, IsTheSameAfterReading) {
  EXPECT_EQ(to_json(memory_from_json(to_json(made_up()))), to_json(made_up()));
}

TEST(MemoryProfile, ADifferenceHoldsTheKindsOfBoth) {
  MemoryProfile after = made_up();
  after.kinds = {{"workspaces", 5 << 20}, {"gradients of weights", 1 << 20}};
  const std::string text = memory_difference_text(made_up(), after);
  const auto expect_row = [&](const std::string& name, const std::string& figures) {
    const auto at = text.find("\n" + name + " ");
    ASSERT_NE(at, std::string::npos) << name << " not in:\n" << text;
    const std::string row = text.substr(at + 1, text.find('\n', at + 1) - at - 1);
    EXPECT_TRUE(row.ends_with(figures)) << row;
  };
  expect_row("workspaces", "       1.0        5.0       +4.0");
  expect_row("moments of Adam", "       2.0        0.0       -2.0");
  expect_row("gradients of weights", "       0.0        1.0       +1.0");
  expect_row("sum", "       3.0        6.0       +3.0");
  EXPECT_EQ(memory_difference_text({}, after), "") << "an earlier version's profile";
}

}  // namespace
}  // namespace dermatome::measurement
