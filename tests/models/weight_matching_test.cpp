// Weights meet a model: by name and shape, with every difference named; and the model then computes what PyTorch did.
#include "models/weight_matching.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/compile/program.h"
#include "engine/graph/model.h"
#include "tests/golden/formula.h"
#include "tests/models/support.h"

namespace dermatome {
namespace {

using testing::expect_parts;
using testing::message_of;

const char* const kTiny = R"(model tiny(image: 3 channels, sides divisible by 4) {
  conv1 = conv2d(image, 4, kernel=3, stride=2, pad=1, bias=false)
  bn1   = batch_norm(conv1)
  out   = conv_transpose2d(relu(bn1), 1, kernel=2, stride=2)
  return out
}
)";

std::filesystem::path sample(const std::string& name) {
  return std::filesystem::path(DERMATOME_SOURCE_DIR) / "tests/models/weights" / name;
}

Graph graph_of(const std::string& text, const Shape& image) {
  Graph graph;
  Builder builder(graph);
  const Model model = Model::parse(text, "tiny.graph");
  graph.mark_output("logits", model.append(builder, graph.add_input("image", {DType::f32, image}), inference_phase));
  return graph;
}

WeightMatch match_of(const std::string& file, const std::string& text = kTiny) {
  return match_weights(read_weights(sample(file)), graph_of(text, {1, 8, 8, 3}).states(), file);
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  return text.replace(text.find(from), from.size(), to);
}

// [n, h, w, c] of a formula's [n, c, h, w].
Tensor image_of(const Shape& shape) {
  const auto planes = golden::values_of("image", {shape[0], shape[3], shape[1], shape[2]});
  const Tensor image({DType::f32, shape});
  const auto pixels = static_cast<std::size_t>(shape[1] * shape[2]);
  const auto channels = static_cast<std::size_t>(shape[3]);
  for (std::size_t i = 0; i < planes.size(); ++i) {
    const std::size_t plane = i / pixels;
    image.as<float>()[(plane / channels * pixels + i % pixels) * channels + plane % channels] = planes[i];
  }
  return image;
}

// ||ours - theirs|| / ||theirs||.
double distance(std::span<const float> ours, const std::vector<double>& theirs) {
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    difference += std::pow(ours[i] - theirs[i], 2);
    norm += std::pow(theirs[i], 2);
  }
  return std::sqrt(difference / norm);
}

TEST(WeightMatching, EveryKindOfFileGivesPyTorchsLogits) {
  std::ifstream file(sample("tiny_logits.json"));
  const auto theirs = nlohmann::json::parse(file).at("logits").get<std::vector<double>>();
  for (const char* name : {"zip.pth", "stream.pth", "tar.pth", "plain.safetensors", "strides.pth", "fastai.h5",
                           "wrapped.pth", "parameters.pth"}) {
    Graph graph = graph_of(kTiny, {2, 8, 12, 3});
    StateStore store;
    store.create(graph.states(), 1);
    const WeightMatch match = match_of(name);
    EXPECT_EQ(match.loaded.size(), 7u) << name;
    EXPECT_TRUE(match.missing.empty() && match.unexpected.empty()) << name;
    for (const auto& [state, tensor] : match.loaded) store.write(state, tensor);
    Program program(std::move(graph), {}, store, {});
    program.input("image").copy_from(image_of({2, 8, 12, 3}));
    program.run();
    const auto logits = program.output("logits").as<float>();
    ASSERT_EQ(logits.size(), theirs.size());
    EXPECT_LT(distance(logits, theirs), 1e-6) << name;
  }
}

TEST(WeightMatching, NamesWhatIsMissingUnexpectedMisShapedAndIgnored) {
  const auto encoder = match_of("encoder.pth");
  EXPECT_EQ(encoder.loaded.size(), 5u);
  EXPECT_EQ(encoder.missing, (std::vector<std::string>{"out.weight", "out.bias"}));
  EXPECT_EQ(encoder.ignored, (std::vector<std::string>{"fc.weight", "fc.bias"}));
  const auto sentences = describe(encoder, "encoder.pth", "tiny");
  ASSERT_EQ(sentences.size(), 3u);
  EXPECT_EQ(sentences[0], "5 of tiny's 7 weights and statistics are loaded from encoder.pth");
  EXPECT_EQ(sentences[1], "missing in the file, and initialised (2): out.weight, out.bias");
  expect_parts(sentences[2], {"fc.weight, fc.bias"});

  const std::string norm = replaced(replaced(kTiny, "bn1   =", "norm  ="), "relu(bn1)", "relu(norm)");
  const auto other = match_of("zip.pth", replaced(norm, "kernel=3, stride=2, pad=1", "kernel=1, stride=2"));
  EXPECT_EQ(other.mis_shaped, (std::vector<std::string>{"conv1.weight: [4, 3, 3, 3] instead of [4, 3, 1, 1]"}));
  EXPECT_EQ(other.unexpected.size(), 4u) << "bn1";
}

TEST(WeightMatching, AModelsOwnNameGoesBeforeTheCanonicalOne) {
  const auto match = match_of("wrapped_stream.pth");
  EXPECT_EQ(match.loaded.size(), 7u);
  WeightFile file = read_weights(sample("encoder.pth"));
  const auto classifier = match_weights(
      file, {{.name = "fc.weight", .desc = {DType::f32, {2, 4}}, .initializer = {}, .group = {}}}, "encoder.pth");
  EXPECT_EQ(classifier.loaded.size(), 1u);
  EXPECT_TRUE(classifier.ignored.empty());
  file.weights[0].key = "encoder.deep";
  const auto own = match_weights(
      file, {{.name = "encoder.deep", .desc = file.weights[0].tensor.desc(), .initializer = {}, .group = {}}}, "x");
  EXPECT_EQ(own.loaded.size(), 1u);
}

TEST(WeightMatching, LongListsShowTheirStart) {
  WeightMatch match;
  for (int i = 0; i < 50; ++i) match.missing.push_back(fmt::format("w{}", i));
  const auto sentences = describe(match, "f", "m");
  EXPECT_TRUE(sentences[1].ends_with(", w39 and 10 more")) << sentences[1];
}

TEST(WeightMatching, WhatIsNoNumberIsRefused) {
  WeightFile file = read_weights(sample("zip.pth"));
  file.weights[1].tensor.as<float>()[2] = NAN;
  expect_parts(message_of([&] {
                 match_weights(file, graph_of(kTiny, {1, 8, 8, 3}).states(), "zip.pth");
               }),
               {"zip.pth", "bn1.weight", "no number"});
}

}  // namespace
}  // namespace dermatome
