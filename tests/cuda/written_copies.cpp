// Adam writes the copies of weights that convolutions read: the bits that making them of the weights gives, whatever
// their shape, and every way to run the update leaves them fresh.
#include "engine/compile/written_copies.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <optional>

#include "engine/compile/chain.h"
#include "engine/compile/program.h"
#include "tests/cuda/emulated_device.h"
#include "tests/engine/run_graph.h"

namespace dermatome {
namespace {

using harness::EmulatedDevice;
using harness::kCuda;

// Windows of one tap and of many, channels that fill several blocks of threads and blocks that hold several windows, a
// window that no block holds.
const std::vector<Shape> kWeights{{5, 3, 7, 7}, {24, 130, 3, 3}, {33, 512, 1, 1}, {8, 1, 3, 3}, {2, 8, 65, 65}};

// To the nearest, of two as near to the even one.
std::uint16_t bf16_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

class AdamOnCuda : public ::testing::TestWithParam<DType> {
 protected:
  static std::string weight(std::size_t i) { return fmt::format("w{}", i); }

  void compile(CompileOptions options = {}) {
    options.activations = GetParam();
    Graph forward;
    Builder builder(forward);
    for (std::size_t i = 0; i < kWeights.size(); ++i) {
      const Shape& w = kWeights[i];
      const std::string x = fmt::format("x{}", i);
      const Value weights = state_of(forward, weight(i), {DType::f32, w});
      forward.mark_output(fmt::format("y{}", i),
                          builder.call("conv2d", {forward.add_input(x, {DType::f32, {1, w[2], w[3], w[1]}}), weights},
                                       {{"channels", w[0]}, {"kernel", w[2]}, {"bias", false}}));
    }
    store_.create(forward.states(), 1);
    const Graph update = update_graph();
    store_.create(update.states(), 2);
    net_.emplace(std::move(forward), kCuda, store_, options);
    update_.emplace(update, kCuda, store_, options);
    for (std::size_t i = 0; i < kWeights.size(); ++i) net_->input(fmt::format("x{}", i)).zero();
    const std::pair<const char*, float> numbers[] = {{"step", 1}, {"beta1", 0.9f}, {"rates", 0.1f}};
    for (const auto& [name, number] : numbers) update_->input(name).copy_from(vector_of({number}));
    update_->input("groups").zero();
    for (std::size_t i = 0; i < kWeights.size(); ++i) {
      Tensor gradient({DType::f32, kWeights[i]});
      float value = 0.5f;
      for (float& each : gradient.as<float>()) each = value = -value * 0.999f;
      update_->input(fmt::format("gradient{}", i)).copy_from(gradient);
    }
  }

  Graph update_graph() {
    Graph graph;
    Builder builder(graph);
    const TensorDesc one{DType::f32, {1}};
    const auto count = static_cast<std::int64_t>(kWeights.size());
    std::vector<Value> inputs{graph.add_input("step", one), graph.add_input("beta1", one),
                              graph.add_input("rates", one), graph.add_input("groups", {DType::i32, {count}}), Value{}};
    for (std::size_t i = 0; i < kWeights.size(); ++i) {
      const TensorDesc desc{DType::f32, kWeights[i]};
      inputs.push_back(state_of(graph, weight(i), desc));
      inputs.push_back(state_of(graph, weight(i) + ".first", desc));
      inputs.push_back(state_of(graph, weight(i) + ".second", desc));
      inputs.push_back(graph.add_input(fmt::format("gradient{}", i), desc));
    }
    const auto outputs = builder.call_all("adam", inputs, {{"beta2", 0.999}, {"eps", 1e-8}, {"weight_decay", 0.0}});
    for (std::size_t i = 0; i < kWeights.size(); ++i) {
      graph.write_state(weight(i), outputs[3 * i]);
      graph.write_state(weight(i) + ".first", outputs[3 * i + 1]);
      graph.write_state(weight(i) + ".second", outputs[3 * i + 2]);
    }
    return graph;
  }

  PreparedCopy& copy_of(std::size_t i) {
    State& state = store_.get(weight(i));
    EXPECT_EQ(state.prepared.size(), 1u) << "one layout of each weight";
    return *state.prepared.begin()->second;
  }
  bool is_fresh(std::size_t i) { return copy_of(i).version == store_.get(weight(i)).version; }

  // [out, in, height, width] as [out, height, width, in].
  std::vector<float> made_of_weight(std::size_t i) {
    const Shape& w = kWeights[i];
    const std::vector<float> from = elements(store_.read(weight(i)));
    const std::int64_t taps = w[2] * w[3];
    std::vector<float> copy;
    for (std::int64_t at = 0; at < w.elements(); ++at) {
      const std::int64_t channel = at % w[1], tap = at / w[1] % taps, out = at / w[1] / taps;
      copy.push_back(from[static_cast<std::size_t>((out * w[1] + channel) * taps + tap)]);
    }
    return copy;
  }
  void expect_copies_of_weights() {
    for (std::size_t i = 0; i < kWeights.size(); ++i) {
      EXPECT_TRUE(is_fresh(i)) << weight(i);
      const std::vector<float> expected = made_of_weight(i);
      const std::byte* copy = copy_of(i).buffer.data();
      if (GetParam() == DType::f32) {
        EXPECT_EQ(std::memcmp(copy, expected.data(), expected.size() * sizeof(float)), 0) << weight(i);
        continue;
      }
      std::vector<std::uint16_t> rounded;
      for (const float value : expected) rounded.push_back(bf16_bits(value));
      EXPECT_EQ(std::memcmp(copy, rounded.data(), rounded.size() * sizeof(std::uint16_t)), 0) << weight(i);
    }
  }

  EmulatedDevice device_;
  StateStore store_{kCuda};
  std::optional<Program> net_, update_;
};

TEST_P(AdamOnCuda, WritesTheCopiesLaunchedAndReplayed) {
  compile();
  EXPECT_EQ(update_->applied_passes().at(kUpdateWritesCopies), static_cast<int>(3 * kWeights.size()));
  for (int round = 0; round < 4; ++round) {
    net_->run();
    expect_copies_of_weights();
    const std::vector<float> before = made_of_weight(1);
    update_->run();
    EXPECT_NE(made_of_weight(1), before) << "the weights move";
    expect_copies_of_weights();
  }
  EXPECT_EQ(device_.recordings(), 2) << "the network and the update: nothing brings weights up to date";
}

TEST_P(AdamOnCuda, LeavesACopyStaleThatNoRunHasRead) {
  compile();
  update_->run();
  for (std::size_t i = 0; i < kWeights.size(); ++i) EXPECT_FALSE(is_fresh(i));
  net_->run();
  expect_copies_of_weights();
}

// The update is recorded before any copy is read, and again where there are some.
TEST_P(AdamOnCuda, IsRecordedAnewWhereACopyIsNew) {
  compile();
  for (int i = 0; i < 3; ++i) update_->run();
  EXPECT_EQ(device_.recordings(), 1);
  net_->run();
  Chain chain({&*net_, &*update_});
  chain.run();
  chain.run();
  expect_copies_of_weights();
  update_->run();
  expect_copies_of_weights();
}

TEST_P(AdamOnCuda, WritesTheCopiesInAChainOfSeveralRounds) {
  for (const int rounds : {1, 3}) {
    compile();
    Chain chain({&*net_, &*update_}, {.count = rounds});
    for (int i = 0; i < 3; ++i) {
      chain.run();
      expect_copies_of_weights();
    }
    Tensor zeros({DType::f32, kWeights[1]});
    zeros.zero();
    store_.write(weight(1), zeros);
    EXPECT_FALSE(is_fresh(1));
    chain.run();
    expect_copies_of_weights();
    net_.reset();
    update_.reset();
    store_ = StateStore(kCuda);
  }
}

// Two updates behind each other: what the first writes is stale again.
TEST_P(AdamOnCuda, WritesNoCopyThatALaterProgramOfTheChainMakesStale) {
  compile();
  Program second(update_graph(), kCuda, store_, {});
  for (const char* name : {"step", "beta1", "rates", "groups"}) second.input(name).copy_from(update_->input(name));
  for (std::size_t i = 0; i < kWeights.size(); ++i) {
    const std::string name = fmt::format("gradient{}", i);
    second.input(name).copy_from(update_->input(name));
  }
  Chain chain({&*net_, &*update_, &second});
  for (int i = 0; i < 3; ++i) chain.run();
  for (std::size_t i = 0; i < kWeights.size(); ++i) EXPECT_FALSE(is_fresh(i)) << weight(i);
  net_->run();
  expect_copies_of_weights();
}

TEST_P(AdamOnCuda, WithoutThePassTheReaderMakesThem) {
  CompileOptions options;
  disable_pass(options, kUpdateWritesCopies);
  compile(options);
  for (int round = 0; round < 3; ++round) {
    net_->run();
    expect_copies_of_weights();
    update_->run();
    for (std::size_t i = 0; i < kWeights.size(); ++i) EXPECT_FALSE(is_fresh(i)) << weight(i);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, AdamOnCuda, ::testing::Values(DType::f32, DType::bf16),
                         [](const auto& of) { return std::string(name_of(of.param)); });

}  // namespace
}  // namespace dermatome
