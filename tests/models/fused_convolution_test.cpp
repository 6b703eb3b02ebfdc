// What the compiler moves into convolutions: how often, with which results, and what it must leave alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/compile/pass.h"
#include "engine/compile/program.h"
#include "engine/core/philox.h"
#include "engine/graph/autograd.h"
#include "engine/graph/model.h"
#include "models/builtin.h"

namespace dermatome {
namespace {

const std::vector<std::string> kPasses{"fuse_conv_relu_batch_norm", "fuse_conv_batch_norm", "fuse_conv_add_relu",
                                       "fuse_conv_batch_norm_relu", "fuse_conv_relu"};

// Every pattern at least once; the addition's operands in the other order than unet34's.
constexpr std::string_view kText = R"(model m(image: 3 channels) {
  stem  = conv2d(image, 32, kernel=7, stride=2, pad=3)
  bn    = batch_norm(stem)
  x     = relu(bn)
  conv1 = conv2d(x, 32, kernel=3, pad=1, bias=false)
  bn1   = batch_norm(conv1)
  conv2 = conv2d(relu(bn1), 32, kernel=3, pad=1, bias=false)
  bn2   = batch_norm(conv2)
  block = relu(x + bn2)
  conv3 = conv2d(block, 48, kernel=1)
  bn3   = batch_norm(relu(conv3))
  conv4 = conv2d(bn3, 16, kernel=3, pad=1)
  head  = conv2d(relu(conv4), 1, kernel=1)
  return head
})";

constexpr Phase kFrozen{.training = true, .live_statistics = false};

struct Net {
  Graph graph;
  Value result;

  Net(const Model& model, Shape image, const Model::PhaseOf& phase_of) {
    Builder builder(graph);
    result = model.append(builder, graph.add_input("image", {DType::f32, image}), phase_of);
    graph.mark_output("result", result);
  }
};

std::map<std::string, int> applied(Graph graph) {
  std::map<std::string, int> counts;
  run_passes(graph, {}, &counts);
  std::map<std::string, int> fused;
  for (const auto& pass : kPasses) fused[pass] = counts.at(pass);
  return fused;
}

Tensor drawn(const TensorDesc& desc, std::uint64_t stream, float low, float high) {
  Tensor tensor(desc);
  Philox random(11, stream);
  for (float& value : tensor.as<float>()) value = low + (high - low) * static_cast<float>(random.next()) * 0x1p-32f;
  return tensor;
}

const Shape kImage{2, 18, 22, 3};

// The small net's result, with numbers in its running statistics that a run would leave there.
std::vector<float> result_with(const CompileOptions& options, const Shape& image = kImage) {
  Net net(Model::parse(kText, "m.graph"), image, inference_phase);
  StateStore store;
  store.create(net.graph.states(), 3);
  std::uint64_t stream = 0;
  for (const auto& state : net.graph.states()) {
    const bool variance = state.name.ends_with("running_var");
    const bool weight = state.desc.shape.rank() > 1;
    if (!weight) store.write(state.name, drawn(state.desc, ++stream, variance ? 0.5f : -1.0f, variance ? 2.0f : 1.0f));
  }
  Program program(net.graph, {DeviceKind::cpu, 0}, store, options);
  program.input("image").copy_from(drawn({DType::f32, image}, 0, -2, 2));
  program.run();
  const auto values = program.output("result").as<float>();
  return {values.begin(), values.end()};
}

// 18: the stem, the first convolution of 16 blocks, and the ReLU that U-Net34 puts behind the last block's own.
TEST(FusedConvolution, TakesAllOfTheEncoderOfUnet34) {
  Net net(find_model("unet34"), {1, 32, 32, 3}, inference_phase);
  EXPECT_EQ(applied(net.graph), (std::map<std::string, int>{{"fuse_conv_relu_batch_norm", 0},
                                                            {"fuse_conv_batch_norm", 36},
                                                            {"fuse_conv_add_relu", 16},
                                                            {"fuse_conv_batch_norm_relu", 18},
                                                            {"fuse_conv_relu", 0}}));
}

TEST(FusedConvolution, EveryPassHasItsPlace) {
  Net net(Model::parse(kText, "m.graph"), {2, 18, 22, 3}, inference_phase);
  EXPECT_EQ(applied(net.graph), (std::map<std::string, int>{{"fuse_conv_relu_batch_norm", 1},
                                                            {"fuse_conv_batch_norm", 3},
                                                            {"fuse_conv_add_relu", 1},
                                                            {"fuse_conv_batch_norm_relu", 2},
                                                            {"fuse_conv_relu", 1}}));
}

TEST(FusedConvolution, LeavesBatchStatisticsAlone) {
  const Net net(Model::parse(kText, "m.graph"), {2, 18, 22, 3}, training_phase);
  const auto counts = applied(net.graph);
  for (const auto& [pass, count] : counts) EXPECT_EQ(count, pass == "fuse_conv_relu" ? 2 : 0) << pass;
}

TEST(FusedConvolution, LeavesWhatAGradientReads) {
  Net net(Model::parse(kText, "m.graph"), {2, 18, 22, 3}, [](const std::string&) { return kFrozen; });
  Builder builder(net.graph);
  const Value target = net.graph.add_input("target", net.graph.desc(net.result));
  const Value divisor = net.graph.add_input("divisor", {DType::f32, {1}});
  const Value loss = builder.call("bce_with_logits", {net.result, target, divisor});
  const Value weight = net.graph.state("bn2.weight");
  net.graph.mark_output("gradient", differentiate(net.graph, loss, {weight})[0]);
  const auto counts = applied(net.graph);
  // In front of bn2 nothing is differentiated.
  EXPECT_EQ(counts.at("fuse_conv_batch_norm"), 2);
  EXPECT_EQ(counts.at("fuse_conv_add_relu"), 0);
  EXPECT_EQ(counts.at("fuse_conv_relu_batch_norm"), 0);
}

// Bit for bit where the kernels are our own, which multiply and add as batch_norm and add_relu do.
TEST(FusedConvolution, GivesTheResultsOfTheSeparateNodes) {
  CompileOptions separate;
  separate.disabled_passes = kPasses;
  const auto want = result_with(separate);
  EXPECT_EQ(result_with({}), want);
  for (const auto& pass : kPasses) {
    CompileOptions options;
    disable_pass(options, pass);
    EXPECT_EQ(result_with(options), want) << "without " << pass;
  }
}

TEST(FusedConvolution, GivesTheResultsOfTheSeparateNodesByOtherKernelsAndInBf16) {
  CompileOptions separate;
  separate.disabled_passes = kPasses;
  const auto expect_near = [&](const CompileOptions& options, float tolerance, const Shape& image = kImage) {
    const auto want = result_with(separate, image);
    float largest = 0;
    for (const float value : want) largest = std::max(largest, std::abs(value));
    const auto got = result_with(options, image);
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], tolerance * largest) << i;
  };
  CompileOptions general;
  general.disabled_kernels = {"winograd", "product"};
  expect_near(general, 1e-5f);
  CompileOptions reduced;
  reduced.activations = DType::bf16;
  expect_near(reduced, 0.03f);
  const Shape kFewPixels{1, 10, 12, 3};  // 30 behind the stem
  expect_near({}, 1e-5f, kFewPixels);
  expect_near(reduced, 0.03f, kFewPixels);
}

}  // namespace
}  // namespace dermatome
