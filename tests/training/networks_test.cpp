// Training graphs: what freezing leaves out, what moves and what does not, and what accumulation adds up to.
#include "tools/training/networks.h"

#include <gtest/gtest.h>

#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;

constexpr std::int64_t kSize = 16;
constexpr std::int64_t kResident = 4;

// Programs of one stage over four made-up photographs.
class Training {
 public:
  explicit Training(StageSettings stage) : stage_(std::move(stage)), model_(two_groups()) {
    stage_.size = kSize;
    store_.create(states_of(model_, DType::f32), 5);
    store_.create(optimizer_states(programs()), 5);
    store_.create_contiguous(gradient_states(programs()));
    std::vector<std::uint8_t> pixels;
    std::vector<std::uint8_t> masks;
    for (std::uint64_t i = 0; i < kResident; ++i) {
      const Pair pair = disc_pair(kSize, kSize, i);
      pixels.insert(pixels.end(), pair.photograph.pixels.begin(), pair.photograph.pixels.end());
      masks.insert(masks.end(), pair.mask.pixels.begin(), pair.mask.pixels.end());
    }
    images_ = tensor_of<std::uint8_t>(pixels, {kResident, kSize, kSize, 3});
    masks_ = tensor_of<std::uint8_t>(masks, {kResident, kSize, kSize});
  }

  StagePrograms programs() const { return {.model = model_, .stage = stage_, .resident = kResident}; }
  StateStore& store() { return store_; }

  void accumulate(std::vector<std::int32_t> samples, bool add, double images) {
    const auto batch = static_cast<std::int64_t>(samples.size());
    Program program(accumulate_graph(programs(), batch, add), kCpuDevice, store_);
    std::vector<float> tables;
    for (std::int64_t i = 0; i < batch; ++i)
      tables.insert(tables.end(), data::kIdentityTable.begin(), data::kIdentityTable.end());
    program.bind("images", images_);
    program.bind("masks", masks_);
    program.input("indices").copy_from(tensor_of<std::int32_t>(samples, {batch}));
    program.input("tables").copy_from(tensor_of<float>(tables, {batch, 8}));
    program.input("divisor").as<float>()[0] = static_cast<float>(images * kSize * kSize);
    program.run();
  }

  void update(const std::vector<float>& rates) {
    Program program(update_graph(programs()), kCpuDevice, store_);
    const auto indices = group_indices(programs());
    program.input("groups").copy_from(tensor_of<std::int32_t>(indices, {static_cast<std::int64_t>(indices.size())}));
    const auto learning = learning_groups(programs());
    program.input("learning").copy_from(tensor_of<float>(learning, {static_cast<std::int64_t>(learning.size())}));
    program.input("beta1").as<float>()[0] = 0.9f;
    program.input("rates").copy_from(tensor_of<float>(rates, {static_cast<std::int64_t>(rates.size())}));
    program.run();
  }

  void steps(int count, const std::vector<float>& rates) {
    for (int i = 0; i < count; ++i) {
      accumulate({0, 1, 2, 3}, false, 4);
      update(rates);
    }
  }

  // Names of the model's states whose bits differ from the snapshot's.
  std::set<std::string> moved_since(const Snapshot& before) const {
    std::set<std::string> moved;
    for (const auto& state : states_of(model_, DType::f32)) {
      const auto old = std::find_if(before.tensors.begin(), before.tensors.end(),
                                    [&](const auto& entry) { return entry.first == state.name; });
      if (bytes_of(old->second) != bytes_of(store_.read(state.name))) moved.insert(state.name);
    }
    return moved;
  }

 private:
  StageSettings stage_;
  Model model_;
  StateStore store_;
  Tensor images_, masks_;
};

StageSettings stage_with(std::vector<std::string> frozen, std::string batch_norm) {
  return {.frozen = std::move(frozen),
          .batch_norm = std::move(batch_norm),
          .schedule = {},
          .group_lr = {},
          .weight_decay = 0};
}

int gradient_nodes_of_group(const Graph& graph, const std::string& group) {
  return static_cast<int>(std::count_if(graph.nodes().begin(), graph.nodes().end(), [&](const Node& node) {
    return node.group == group && (node.name.starts_with("gradient of ") || node.name.starts_with("gradient/"));
  }));
}

double flops(const Graph& graph) {
  double sum = 0;
  for (const Node& node : graph.nodes()) sum += node.op->cost(graph.call_of(node), graph.output_descs(node)).flops;
  return sum;
}

bool writes(const Graph& graph, const std::string& state) {
  return std::any_of(graph.state_writes().begin(), graph.state_writes().end(),
                     [&](const auto& write) { return write.name == state; });
}

TEST(FrozenGroup, HasNoGradientWork) {
  const Training all(stage_with({}, "live"));
  const Training frozen(stage_with({"early"}, "live"));
  const Graph with = accumulate_graph(all.programs(), 4, false);
  const Graph without = accumulate_graph(frozen.programs(), 4, false);
  EXPECT_GT(gradient_nodes_of_group(with, "early"), 0);
  EXPECT_EQ(gradient_nodes_of_group(without, "early"), 0);
  EXPECT_GT(gradient_nodes_of_group(without, "late"), 0);
  EXPECT_LT(without.nodes().size(), with.nodes().size());
  EXPECT_LT(flops(without), flops(with));
  for (const char* state : {"gradient/conv1.weight", "gradient/bn1.weight", "bn1.running_mean", "bn1.running_var"}) {
    EXPECT_TRUE(writes(with, state)) << state;
    EXPECT_FALSE(writes(without, state)) << state;
  }
  for (const auto& states : {gradient_states(frozen.programs()), optimizer_states(frozen.programs())}) {
    for (const auto& state : states) EXPECT_NE(state.group, "early") << state.name;
  }
}

TEST(FrozenGroup, DoesNotMoveByABit) {
  Training training(stage_with({"early"}, "live"));
  const Snapshot before = training.store().snapshot();
  training.steps(3, {1e-2f, 1e-2f});
  EXPECT_EQ(training.moved_since(before),
            (std::set<std::string>{"conv2.weight", "conv2.bias", "bn2.weight", "bn2.bias", "bn2.running_mean",
                                   "bn2.running_var", "out.weight", "out.bias"}));
}

TEST(FrozenBatchNorm, KeepsItsStatisticsWhileGammaAndBetaLearn) {
  Training training(stage_with({}, "frozen"));
  const Snapshot before = training.store().snapshot();
  training.steps(3, {1e-2f, 1e-2f});
  EXPECT_EQ(training.moved_since(before),
            (std::set<std::string>{"conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight", "conv2.bias", "bn2.weight",
                                   "bn2.bias", "out.weight", "out.bias"}));
}

TEST(Update, ReadsARateForEachGroup) {
  const std::set<std::string> early{"conv1.weight", "bn1.weight", "bn1.bias"};
  const std::set<std::string> late{"conv2.weight", "conv2.bias", "bn2.weight", "bn2.bias", "out.weight", "out.bias"};
  Training first(stage_with({}, "frozen"));
  const Snapshot before = first.store().snapshot();
  first.steps(2, {1e-2f, 0});
  EXPECT_EQ(first.moved_since(before), early);
  Training second(stage_with({}, "frozen"));
  second.steps(2, {0, 1e-2f});
  EXPECT_EQ(second.moved_since(before), late);
}

TEST(Accumulation, OfTwoHalvesEqualsTheWholeBatch) {
  Training whole(stage_with({}, "frozen"));
  Training halves(stage_with({}, "frozen"));
  whole.accumulate({0, 1, 2, 3}, false, 4);
  halves.accumulate({0, 1}, false, 4);
  halves.accumulate({2, 3}, true, 4);
  for (const auto& state : gradient_states(whole.programs())) {
    const Tensor a = whole.store().read(state.name);
    const Tensor b = halves.store().read(state.name);
    double largest = 0;
    for (std::size_t i = 0; i < a.as<float>().size(); ++i) {
      EXPECT_NEAR(a.as<float>()[i], b.as<float>()[i], 1e-5) << state.name;
      largest = std::max(largest, std::abs(static_cast<double>(a.as<float>()[i])));
    }
    EXPECT_GT(largest, 1e-4) << state.name << " has no gradient, so nothing was compared";
  }
}

TEST(Accumulation, StartsAfreshWithoutAdd) {
  Training training(stage_with({}, "frozen"));
  training.accumulate({0, 1}, false, 2);
  const auto once = bytes_of(training.store().read("gradient/conv1.weight"));
  training.accumulate({0, 1}, false, 2);
  EXPECT_EQ(bytes_of(training.store().read("gradient/conv1.weight")), once);
}

TEST(Gradients, LieContiguousInReverseOrderOfTheText) {
  Training training(stage_with({}, "live"));
  const auto states = gradient_states(training.programs());
  ASSERT_GT(states.size(), 2u);
  EXPECT_TRUE(states.front().name.starts_with("gradient/out."));
  EXPECT_EQ(states.back().name, "gradient/conv1.weight");
}

}  // namespace
}  // namespace dermatome::training
