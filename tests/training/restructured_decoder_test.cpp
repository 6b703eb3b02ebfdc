// The restructured decoder inside whole training and inference programs: what it leaves out, where it steps aside, and
// that its results are those of the decoder as it is written.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/compile/pass.h"
#include "models/builtin.h"
#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;

constexpr const char* kSmallUnet = R"(model small(image: 3 channels, sides divisible by 4) {
  group encoder
  conv1 = conv2d(image, 16, kernel=3, stride=2, pad=1, bias=false)
  bn1   = batch_norm(conv1)
  stem  = relu(bn1)
  conv2 = conv2d(stem, 32, kernel=3, stride=2, pad=1)

  group decoder
  tr1 = conv_transpose2d(relu(conv2), 16, kernel=2, stride=2)
  x1  = conv2d(stem, 32, kernel=1)
  bn2 = batch_norm(relu(concat(tr1, x1)))
  out = conv_transpose2d(bn2, 1, kernel=2, stride=2)
  return out
}
)";

CompileOptions without_it() {
  CompileOptions options;
  disable_pass(options, "restructured_decoder");
  return options;
}

std::map<std::string, int> operations_of(const Graph& graph) {
  std::map<std::string, int> counts;
  for (const Node& node : graph.nodes()) ++counts[node.op->name()];
  return counts;
}

StageSettings stage_of(int size, std::vector<std::string> frozen = {}) {
  return {.size = size, .frozen = std::move(frozen), .batch_norm = "live", .schedule = {}, .group_lr = {}};
}

// The training graph as a program would run it, passes included.
Graph training_graph(const Model& model, const StageSettings& stage, const CompileOptions& options) {
  const StagePrograms programs{.model = model, .stage = stage, .resident = 2, .compile = options};
  Graph graph = accumulate_graph(programs, 2, false);
  run_passes(graph, options, nullptr, kCpuDevice);
  return graph;
}

TEST(RestructuredDecoder, LeavesNoNormalisedTensorAndNoConcatenation) {
  const Model model = find_model("unet34");
  auto with = operations_of(training_graph(model, stage_of(64), {}));
  auto without = operations_of(training_graph(model, stage_of(64), without_it()));
  EXPECT_EQ(with["decoder_step"], 5);
  EXPECT_EQ(with["decoder_step_gradient"], 5);
  EXPECT_EQ(with["decoder_skip_gradient"], 4);
  for (const char* gone : {"concat", "slice", "conv_transpose2d", "channel_sum"}) {
    EXPECT_EQ(with[gone], 0) << gone;
    EXPECT_GT(without[gone], 0) << gone;
  }
  EXPECT_EQ(with["batch_norm"], without["batch_norm"] - 4);
  EXPECT_EQ(with["batch_norm_gradient"], without["batch_norm_gradient"] - 4);
  EXPECT_EQ(with["relu_gradient"], without["relu_gradient"] - 5) << "the ReLUs in front of a step join its gradient";
}

TEST(RestructuredDecoder, ServesInferenceToo) {
  const Model model = find_model("unet34");
  Graph graph = inference_graph(model, 1, 64, 64, DType::f32);
  run_passes(graph, {}, nullptr, kCpuDevice);
  auto counts = operations_of(graph);
  EXPECT_EQ(counts["decoder_step"], 5);
  EXPECT_EQ(counts["concat"], 0);
}

TEST(RestructuredDecoder, ServesBf16) {
  const Model model = find_model("unet34");
  Graph inference = inference_graph(model, 1, 64, 64, DType::f32);
  run_passes(inference, {.activations = DType::bf16}, nullptr, kCpuDevice);
  EXPECT_EQ(operations_of(inference)["decoder_step"], 5);
  EXPECT_EQ(operations_of(inference)["concat"], 0);
  const Graph training = training_graph(model, stage_of(64), {.activations = DType::bf16});
  for (const Node& node : training.nodes()) {
    if (node.op->name().rfind("decoder_", 0) != 0) continue;
    EXPECT_EQ(training.desc(node.inputs[0]).type, DType::bf16) << node.name;
    EXPECT_EQ(training.desc(node.inputs[1]).type, node.op->name() == "decoder_step" ? DType::f32 : DType::bf16)
        << node.name;
  }
}

TEST(RestructuredDecoder, StepsAsideForChannelsThatNoKernelTakes) {
  std::string narrow = kSmallUnet;
  narrow.replace(narrow.find("relu(conv2), 16"), 15, "relu(conv2), 12");
  const Model odd = Model::parse(narrow, "odd.graph");
  const StageSettings stage = stage_of(16);
  const Graph graph = training_graph(odd, stage, {});
  EXPECT_EQ(operations_of(graph)["concat"], 1);
  StateStore store;
  store.create(graph.states(), 1);
  EXPECT_NO_THROW(Program(graph, kCpuDevice, store, {}));
}

// Losses, gradients and running statistics in f64.
class Results {
 public:
  Results(const CompileOptions& options, const std::vector<std::string>& frozen) {
    const Model model = Model::parse(kSmallUnet, "small.graph");
    const StageSettings stage = stage_of(16, frozen);
    const Device device{DeviceKind::reference, 0};
    const StagePrograms programs{
        .model = model, .stage = stage, .resident = 2, .type = DType::f64, .compile = options, .device = device};
    StateStore store(device);
    store.create(states_of(model, DType::f64), 3);
    store.create(gradient_states(programs), 3);
    Program program(accumulate_graph(programs, 2, false), device, store, options);
    fill(program.input("images"));
    fill(program.input("masks"));
    program.input("indices").copy_from(tensor_of<std::int32_t>(std::vector<std::int32_t>{0, 1}, {2}));
    for (std::int64_t i = 0; i < 16; ++i) {
      program.input("tables").as<double>()[static_cast<std::size_t>(i)] =
          static_cast<double>(data::kIdentityTable[static_cast<std::size_t>(i % 8)]);
    }
    program.input("divisor").as<double>()[0] = 2 * 16 * 16;
    program.run();
    for (const auto& name : store.names()) {
      const Tensor tensor = store.read(name);
      for (const double value : tensor.as<double>()) values_.emplace_back(name, value);
    }
    values_.emplace_back("loss", program.output("loss").as<double>()[0]);
  }
  const std::vector<std::pair<std::string, double>>& values() const { return values_; }

 private:
  static void fill(const Tensor& tensor) {
    Philox random(11);
    for (auto& value : tensor.as<std::uint8_t>()) value = static_cast<std::uint8_t>(random.below(256));
  }
  std::vector<std::pair<std::string, double>> values_;
};

void expect_equal_results(const std::vector<std::string>& frozen, const CompileOptions& other = without_it()) {
  const Results with({}, frozen);
  const Results without(other, frozen);
  ASSERT_EQ(with.values().size(), without.values().size());
  ASSERT_GT(with.values().size(), 100u);
  for (std::size_t i = 0; i < with.values().size(); ++i) {
    const auto& [name, value] = with.values()[i];
    EXPECT_NEAR(value, without.values()[i].second, 1e-11) << name;
  }
}

TEST(RestructuredDecoder, GivesTheGradientsOfTheDecoderAsItIsWritten) {
  expect_equal_results({});
}

TEST(RestructuredDecoder, GivesThemWithAFrozenDecoderOrEncoder) {
  expect_equal_results({"decoder"});
  expect_equal_results({"encoder"});
}

TEST(RestructuredDecoder, GivesTheGradientsWithReluOutsideOfTheStep) {
  CompileOptions apart;
  disable_pass(apart, "decoder_step_mask");
  const Model model = Model::parse(kSmallUnet, "small.graph");
  const StageSettings stage = stage_of(16);
  auto with = operations_of(training_graph(model, stage, {}));
  auto without = operations_of(training_graph(model, stage, apart));
  EXPECT_LT(with["relu_gradient"], without["relu_gradient"]);
  EXPECT_EQ(with["decoder_step_gradient"], without["decoder_step_gradient"]);
  expect_equal_results({}, apart);
}

// The last step has one channel and a kernel of its own.
TEST(RestructuredDecoder, GivesTheLogitsOfADecoderWithoutTheNarrowStep) {
  CompileOptions wide_only;
  disable_kernel(wide_only, "narrow");
  const Model model = find_model("unet34");
  StateStore store;
  store.create(states_of(model, DType::f32), 5);
  const auto logits = [&](const CompileOptions& options, int steps) {
    Program program(inference_graph(model, 2, 64, 64, DType::f32), kCpuDevice, store, options);
    EXPECT_EQ(operations_of(program.graph())["decoder_step"], steps);
    Philox random(3);
    for (float& value : program.input("image").as<float>()) value = random.uniform(-2, 2);
    program.run();
    const auto values = program.output(program.graph().outputs()[0].name).clone();
    return values;
  };
  const Tensor with = logits({}, 5);
  const Tensor without = logits(wide_only, 4);
  double largest = 0;
  for (const float value : with.as<float>()) largest = std::max(largest, std::abs(static_cast<double>(value)));
  ASSERT_GT(largest, 1e-3);
  for (std::size_t i = 0; i < with.as<float>().size(); ++i) {
    EXPECT_NEAR(with.as<float>()[i], without.as<float>()[i], 1e-5 * largest);
  }
}

}  // namespace
}  // namespace dermatome::training
