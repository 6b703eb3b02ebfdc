// Exported ONNX: accepted by ONNX's own checker, and the same graphs as those that ONNX Runtime was compared with
// (tests/golden/compare_onnx.py writes weights/*.onnx and runs them).
#include "models/onnx_export.h"

#include <onnx/checker.h>
#include <onnx/onnx_pb.h>

#include <cmath>

#include "engine/graph/state_store.h"
#include "models/weight_matching.h"
#include "tests/models/support.h"

namespace dermatome {
namespace {

using testing::bytes_of;
using testing::expect_parts;
using testing::message_of;
using testing::TemporaryFolder;

std::filesystem::path sample(const std::string& name) {
  return std::filesystem::path(DERMATOME_SOURCE_DIR) / "tests/models/weights" / name;
}

using States = std::vector<std::pair<std::string, Tensor>>;

States states_of(const WeightFile& file) {
  States states;
  for (const auto& weight : file.weights) {
    if (weight.left_out.empty()) states.emplace_back(weight.name, weight.tensor);
  }
  return states;
}

States tiny_states() {
  return states_of(read_weights(sample("plain.safetensors")));
}

const Normalisation kNormalisation{.mean = {0.485f, 0.456f, 0.406f}, .deviation = {0.229f, 0.224f, 0.225f}};

onnx::ModelProto parsed(const std::filesystem::path& path) {
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(bytes_of(path)));
  return model;
}

onnx::ModelProto exported(const Model& model, const States& states, const OnnxOptions& options) {
  const TemporaryFolder folder;
  write_onnx(folder / "m.onnx", model, states, options);
  onnx::ModelProto proto = parsed(folder / "m.onnx");
  EXPECT_NO_THROW(onnx::checker::check_model(proto));
  return proto;
}

States random_states(const Model& model) {
  Graph graph;
  Builder builder(graph);
  model.append(builder, graph.add_input("image", {DType::f32, {1, 64, 64, model.input_channels()}}), inference_phase);
  States states;
  for (const auto& state : graph.states()) states.emplace_back(state.name, initial_value(state, 1));
  return states;
}

int count(const onnx::ModelProto& model, const std::string& type) {
  return static_cast<int>(std::count_if(model.graph().node().begin(), model.graph().node().end(),
                                        [&](const auto& node) { return node.op_type() == type; }));
}

TEST(OnnxExport, IsTheGraphThatOnnxRuntimeWasComparedWith) {
  const Model tiny = Model::load(sample("tiny.graph"));
  const std::vector<std::pair<const char*, OnnxOptions>> files{
      {"tiny.onnx", {}},
      {"tiny_whole.onnx",
       {.fold_batch_norm = true, .normalisation = kNormalisation, .pad = true, .probability = true, .metadata = {}}}};
  for (const auto& [file, options] : files) {
    onnx::ModelProto ours = exported(tiny, tiny_states(), options);
    onnx::ModelProto compared = parsed(sample(file));
    ASSERT_GT(compared.metadata_props_size(), 0);
    compared.clear_metadata_props();
    EXPECT_EQ(ours.SerializeAsString(), compared.SerializeAsString()) << file;
  }
}

TEST(OnnxExport, EveryBuiltInKindOfNetworkPassesTheChecker) {
  for (const char* name : {"resnet34", "unet34_large_head"}) {
    const Model model =
        Model::load(std::filesystem::path(DERMATOME_SOURCE_DIR) / "models" / (std::string(name) + ".graph"));
    const States states = random_states(model);
    const auto plain = exported(model, states, {});
    const auto folded = exported(model, states, {.fold_batch_norm = true, .metadata = {}});
    EXPECT_EQ(count(plain, "BatchNormalization") - count(folded, "BatchNormalization"), 36) << "the encoder's";
    EXPECT_EQ(count(plain, "Conv"), count(folded, "Conv"));
    const auto& shape = plain.graph().input(0).type().tensor_type().shape();
    EXPECT_EQ(shape.dim(0).dim_param(), "batch");
    EXPECT_EQ(shape.dim(1).dim_value(), 3);
    EXPECT_EQ(shape.dim(2).dim_param(), "height");
    EXPECT_EQ(shape.dim(3).dim_param(), "width");
  }
}

TEST(OnnxExport, KeepsTheMetadata) {
  const auto model =
      exported(Model::load(sample("tiny.graph")), tiny_states(), {.metadata = {{"dermatome.threshold", "0.4"}}});
  ASSERT_EQ(model.metadata_props_size(), 1);
  EXPECT_EQ(model.metadata_props(0).key(), "dermatome.threshold");
  EXPECT_EQ(model.metadata_props(0).value(), "0.4");
}

TEST(OnnxExport, DoesNotFoldWhereTheConvolutionIsReadElsewhere) {
  const Model model = Model::parse(
      "model m(image: 3 channels) {\n  a = conv2d(image, 4, kernel=1)\n  b = batch_norm(a)\n  return a + b\n}\n",
      "m.graph");
  EXPECT_EQ(
      count(exported(model, random_states(model), {.fold_batch_norm = true, .metadata = {}}), "BatchNormalization"), 1);
}

TEST(OnnxExport, RefusesInOneSentence) {
  const TemporaryFolder folder;
  const Model tiny = Model::load(sample("tiny.graph"));
  States states = tiny_states();
  const Model up =
      Model::parse("model up(image: 3 channels) {\n  return upsample_bilinear(image, 8, 8)\n}\n", "up.graph");
  expect_parts(message_of([&] { write_onnx(folder / "m.onnx", up, {}, {}); }),
               {"up.graph:2:", "upsample_bilinear has no ONNX form", "up cannot be exported"});
  const Model classifier =
      Model::parse("model c(image: 3 channels) {\n  return global_average_pool(image)\n}\n", "c.graph");
  expect_parts(message_of([&] { write_onnx(folder / "m.onnx", classifier, {}, {.pad = true, .metadata = {}}); }),
               {"c does not give a map"});
  expect_parts(message_of([&] { write_onnx(folder / "nowhere/m.onnx", tiny, states, {}); }),
               {"cannot write", "nowhere/m.onnx"});
  states.pop_back();
  expect_parts(message_of([&] { write_onnx(folder / "m.onnx", tiny, states, {}); }), {"the weights lack '"});
  EXPECT_EQ(folder.files(), 0u);
}

}  // namespace
}  // namespace dermatome
