// The program around a model that turns pixels into probabilities.
#include "tools/training/predictor.h"

#include "data/augmentation.h"
#include "engine/core/error.h"
#include "models/builtin.h"
#include "tools/training/initial_weights.h"
#include "tools/training/networks.h"

namespace dermatome::training {
namespace {

// uint8 photographs at the network's size -> probability of lesion.
Graph prediction_graph(const Model& model, std::int64_t batch, std::int64_t size) {
  Graph graph;
  Builder builder(graph);
  const Value images = graph.add_input("images", {DType::u8, {batch, size, size, 3}});
  const Value masks = graph.add_input("masks", {DType::u8, {batch, size, size}});
  const Value indices = graph.add_input("indices", {DType::i32, {batch}});
  const Value tables = graph.add_input("tables", {DType::f32, {batch, 8}});
  const Value image = builder.call("augment", {images, masks, indices, tables});
  const Value logits = model.append(builder, image, inference_phase);
  builder.set_scope({.name = "probability", .group = {}, .at = {}});
  graph.mark_output("probability", builder.call("sigmoid", {logits}));
  return graph;
}

Program compile_prediction(const Model& model, std::int64_t batch, std::int64_t size, Device device, StateStore& store,
                           const CompileOptions& options) {
  Program program(prediction_graph(model, batch, size), device, store, options);
  program.input("masks").zero();
  std::vector<std::int32_t> indices;
  std::vector<float> tables;
  for (std::int64_t i = 0; i < batch; ++i) {
    indices.push_back(static_cast<std::int32_t>(i));
    tables.insert(tables.end(), data::kIdentityTable.begin(), data::kIdentityTable.end());
  }
  program.input("indices").copy_from(tensor_of<std::int32_t>(indices, {batch}));
  program.input("tables").copy_from(tensor_of<float>(tables, {batch, 8}));
  return program;
}

Checkpoint read_any_checkpoint(const std::filesystem::path& path, const PredictorOptions& options) {
  if (options.model.empty()) {
    if (is_checkpoint(path)) return read_checkpoint(path, true);
    read_weights(path);  // what is no weight file at all is told so
    fail_usage("{} holds weights and does not say of which network: add --model unet34 --size 256, or whatever it is",
               path.string());
  }
  if (options.size == 0) fail_usage("--model needs --size N, the side of the network's input in pixels");
  return checkpoint_of_weights(path, find_model(options.model), options.size);
}

}  // namespace

Predictor::Predictor(const std::filesystem::path& path, Device device, const CompileOptions& compile,
                     const PredictorOptions& options)
    : model_(Model::parse("model none(image: 3 channels) { return relu(image) }", "")),
      device_(device),
      compile_(compile),
      store_(device) {
  const Checkpoint checkpoint = read_any_checkpoint(path, options);
  info_ = checkpoint.info;
  model_ = Model::parse(info_.graph_text, path.filename().string());
  size_ = options.size == 0 ? info_.preprocessing.size : options.size;
  threshold_ = options.threshold.value_or(info_.preprocessing.threshold);
  load_weights(checkpoint, states_of(model_, DType::f32), store_);
}

Program& Predictor::network(std::int64_t batch) {
  const auto found = networks_.find(batch);
  if (found != networks_.end()) return found->second;
  return networks_.emplace(batch, compile_prediction(model_, batch, size_, device_, store_, compile_)).first->second;
}

std::vector<std::vector<float>> Predictor::probabilities(std::span<const data::Image> inputs) {
  const auto batch = static_cast<std::int64_t>(inputs.size());
  std::vector<std::uint8_t> pixels;
  for (const auto& image : inputs) {
    DERMATOME_CHECK(image.width == size_ && image.height == size_ && image.channels == 3,
                    "the network takes RGB images of {0}x{0} pixels, not {1} channel(s) of {2}x{3}", size_,
                    image.channels, image.width, image.height);
    pixels.insert(pixels.end(), image.pixels.begin(), image.pixels.end());
  }
  Program& program = network(batch);
  program.input("images").copy_from(tensor_of<std::uint8_t>(pixels, {batch, size_, size_, 3}));
  program.run();
  const Tensor all = program.output("probability").to({DeviceKind::cpu, 0});
  const auto values = all.as<float>();
  const auto each = static_cast<std::ptrdiff_t>(size_) * size_;
  std::vector<std::vector<float>> maps;
  for (std::ptrdiff_t i = 0; i < batch; ++i)
    maps.emplace_back(values.begin() + i * each, values.begin() + (i + 1) * each);
  return maps;
}

Prediction Predictor::finish(std::span<const float> map, const data::StoredGrid& grid, bool keep_probability) const {
  return to_stored_grid(map, size_, grid, threshold_, keep_probability);
}

Prediction Predictor::predict(const data::PreparedPhotograph& photograph) {
  return finish(probabilities(std::span(&photograph.image, 1)).front(), photograph.stored, true);
}

}  // namespace dermatome::training
