// The type policy: which values become bf16, where casts go, and what keeps f32.
#include "engine/compile/type_policy.h"

#include <gtest/gtest.h>

#include "engine/compile/pass.h"
#include "engine/graph/autograd.h"
#include "tests/engine/run_graph.h"

namespace dermatome {
namespace {

// A stem, a residual block and a head of one channel, as U-Net34 has them, with a loss.
struct Network {
  Graph graph;
  Builder builder{graph};
  Value image, stem, sum, logits;

  Network() {
    image = graph.add_input("image", {DType::f32, {1, 4, 4, 3}});
    stem = layer("stem", image, 3);
    sum = named("sum", "add", {layer("block", stem, 4), stem});
    logits = named("head", "conv2d", {named("last", "relu", {sum}), state("head.weight", {1, 4, 1, 1})},
                   {{"channels", 1}, {"kernel", 1}, {"bias", false}});
    graph.mark_output("probability", named("probability", "sigmoid", {logits}));
  }

  Value state(const std::string& name, const Shape& shape) {
    return graph.read_state({.name = name, .desc = {DType::f32, shape}, .initializer = {}, .group = {}});
  }
  Value named(const std::string& name, std::string_view op, std::vector<Value> inputs, AttributeList attributes = {}) {
    builder.set_scope({.name = name, .group = {}, .at = {}});
    return builder.call(op, std::move(inputs), attributes);
  }
  // Convolution and batch norm to four channels.
  Value layer(const std::string& name, Value x, std::int64_t in) {
    const Value y = named(name + ".conv", "conv2d", {x, state(name + ".weight", {4, in, 3, 3})},
                          {{"channels", 4}, {"kernel", 3}, {"pad", 1}, {"bias", false}});
    std::vector<Value> inputs{y};
    for (const char* suffix : {".gamma", ".beta", ".mean", ".variance"}) inputs.push_back(state(name + suffix, {4}));
    builder.set_scope({.name = name + ".bn", .group = {}, .at = {}});
    const auto outputs = builder.call_all("batch_norm", inputs);
    graph.write_state(name + ".mean", outputs[3]);
    return outputs[0];
  }
  void differentiate_loss() {
    const Value target = graph.add_input("target", graph.desc(logits));
    const Value divisor = graph.add_input("divisor", {DType::f32, {1}});
    const Value loss = named("loss", "bce_with_logits", {logits, target, divisor});
    graph.mark_output("loss", loss);
    std::vector<Value> parameters;
    std::vector<std::string> names;
    for (const auto& declaration : graph.states()) {
      if (declaration.name.ends_with("mean") || declaration.name.ends_with("variance")) continue;
      names.push_back(declaration.name);
      parameters.push_back(graph.state(declaration.name));
    }
    const auto gradients = differentiate(graph, loss, parameters);
    for (std::size_t i = 0; i < names.size(); ++i) graph.mark_output("gradient of " + names[i], gradients[i]);
  }

  const Node& node(std::string_view name, std::string_view op) const {
    for (const Node& candidate : graph.nodes()) {
      if (candidate.name == name && candidate.op->name() == op) return candidate;
    }
    fail("there is no {} named {}", op, name);
  }
  DType type_of(std::string_view name, std::string_view op) const { return graph.desc(node(name, op).outputs[0]).type; }
  int casts() const {
    return static_cast<int>(std::count_if(graph.nodes().begin(), graph.nodes().end(),
                                          [](const Node& candidate) { return candidate.op->name() == "cast"; }));
  }
};

TEST(TypePolicy, MakesActivationsBf16AndLeavesLogitsStatesAndOutputs) {
  Network network;
  const int reduced = apply_type_policy(network.graph);
  for (const char* name : {"stem.conv", "block.conv"}) EXPECT_EQ(network.type_of(name, "conv2d"), DType::bf16) << name;
  for (const char* name : {"stem.bn", "block.bn"}) EXPECT_EQ(network.type_of(name, "batch_norm"), DType::bf16) << name;
  EXPECT_EQ(network.type_of("sum", "add"), DType::bf16);
  EXPECT_EQ(network.type_of("last", "relu"), DType::bf16);
  EXPECT_EQ(reduced, 7);
  // The head reads bf16 and writes f32, so nothing behind it needs a cast.
  EXPECT_EQ(network.graph.desc(network.node("head", "conv2d").inputs[0]).type, DType::bf16);
  EXPECT_EQ(network.type_of("head", "conv2d"), DType::f32);
  EXPECT_EQ(network.type_of("probability", "sigmoid"), DType::f32);
  EXPECT_EQ(network.casts(), 1) << "only the image";
  for (const auto& declaration : network.graph.states())
    EXPECT_EQ(declaration.desc.type, DType::f32) << declaration.name;
  EXPECT_EQ(network.graph.desc(network.node("stem.bn", "batch_norm").outputs[1]).type, DType::f32)
      << "the batch's mean";
  EXPECT_EQ(network.graph.desc(network.graph.output("probability")).type, DType::f32);
}

TEST(TypePolicy, MakesGradientsOfActivationsBf16AndOfWeightsF32) {
  Network network;
  network.differentiate_loss();
  apply_type_policy(network.graph);
  EXPECT_EQ(network.type_of("gradient of block.conv", "conv2d_data_gradient"), DType::bf16);
  EXPECT_EQ(network.type_of("gradient of block.bn", "batch_norm_gradient"), DType::bf16);
  EXPECT_EQ(network.type_of("gradient of last", "relu_gradient"), DType::bf16);
  EXPECT_EQ(network.type_of("gradient of stem.conv", "conv2d_weight_gradient"), DType::f32);
  for (const auto& output : network.graph.outputs()) {
    EXPECT_EQ(network.graph.desc(output.value).type, DType::f32) << output.name;
  }
  // The gradient of the logits is made in f32, and its two readers share one cast.
  EXPECT_EQ(network.casts(), 2) << "the image and the gradient of the logits";
}

TEST(TypePolicy, TakesTheOriginOfACastInsteadOfCastingBack) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", {DType::f32, {1, 2, 2, 3}});
  const Value weight = state_of(graph, "weight", {DType::f32, {4, 3, 1, 1}});
  const Value y = builder.call("conv2d", {x, weight}, {{"channels", 4}, {"kernel", 1}, {"bias", false}});
  graph.mark_output("relu", builder.call("relu", {y}));
  graph.mark_output("sigmoid", builder.call("sigmoid", {x}));
  apply_type_policy(graph);
  const auto is = [&](Value value, std::string_view op) {
    const int producer = graph.info(value).producer;
    return producer >= 0 && graph.nodes()[static_cast<std::size_t>(producer)].op->name() == op;
  };
  EXPECT_TRUE(is(graph.output("relu"), "cast")) << "an output keeps its type";
  const Node& sigmoid = *std::find_if(graph.nodes().begin(), graph.nodes().end(),
                                      [](const Node& node) { return node.op->name() == "sigmoid"; });
  EXPECT_EQ(sigmoid.inputs[0], graph.input("x"));
}

TEST(TypePolicy, LeavesAGraphInF64AndOneWithoutConvolutionsAlone) {
  for (const DType type : {DType::f32, DType::f64}) {
    Graph graph;
    Builder builder(graph);
    const Value x = graph.add_input("x", {type, {1, 2, 2, 3}});
    graph.mark_output("y", builder.call("relu", {builder.add(x, x)}));
    EXPECT_EQ(apply_type_policy(graph), 0) << name_of(type);
    EXPECT_EQ(graph.nodes().size(), 2u) << name_of(type);
  }
}

TEST(TypePolicy, IsAPassWithASwitch) {
  const auto reduced = [](const CompileOptions& options) {
    Network network;
    std::map<std::string, int> applied;
    run_passes(network.graph, options, &applied);
    return applied.contains("bf16_activations") ? applied.at("bf16_activations") : -1;
  };
  EXPECT_EQ(reduced({}), 0) << "f32 is the default";
  CompileOptions options{.activations = DType::bf16, .disabled_passes = {}, .dump_tensors = {}};
  EXPECT_GT(reduced(options), 0);
  disable_pass(options, "bf16_activations");
  EXPECT_EQ(reduced(options), -1);
}

TEST(TypePolicy, RunsAsAProgramCloseToF32) {
  const auto probability = [](DType activations, bool verify) {
    Network network;
    StateStore store;
    for (StateDeclaration declaration : network.graph.states()) {
      const bool variance = declaration.name.ends_with("variance") || declaration.name.ends_with("gamma");
      declaration.initializer = {Initializer::Kind::uniform, 0.5};
      if (variance) declaration.initializer = {Initializer::Kind::constant, 1};
      store.create({declaration}, 3);
    }
    Program program(network.graph, kCpuDevice, store,
                    {.activations = activations, .disabled_passes = {}, .verify_nodes = verify, .dump_tensors = {}});
    const auto image = program.input("image").as<float>();
    for (std::size_t i = 0; i < image.size(); ++i) image[i] = static_cast<float>(i % 7) - 3;
    program.run();
    return elements(program.output("probability").clone());
  };
  const auto f32 = probability(DType::f32, false);
  const auto bf16 = probability(DType::bf16, true);
  double largest = 0;
  for (std::size_t i = 0; i < f32.size(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(f32[i] - bf16[i])));
  EXPECT_GT(largest, 0) << "nothing was computed in bf16";
  EXPECT_LT(largest, 0.02);
}

}  // namespace
}  // namespace dermatome
