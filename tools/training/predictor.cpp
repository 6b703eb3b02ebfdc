// The program around a model that turns pixels into probabilities.
#include "tools/training/predictor.h"

#include <algorithm>

#include "data/augmentation.h"
#include "data/image/pad.h"
#include "engine/core/error.h"
#include "tools/training/initial_weights.h"
#include "tools/training/memory_needs.h"
#include "tools/training/networks.h"
#include "tools/training/resume.h"

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

}  // namespace

Predictor::Predictor(const std::filesystem::path& path, Device device, const CompileOptions& compile,
                     const PredictorOptions& options)
    : model_(Model::parse("model none(image: 3 channels) { return relu(image) }", "")),
      batch_option_(options.batch_option),
      size_option_(options.size_option),
      device_(device),
      compile_(compile),
      store_(device) {
  const Checkpoint checkpoint = read_checkpoint_or_weights(path, options);
  info_ = checkpoint.info;
  recipe_of_run(checkpoint, path);  // what this version does not know of may change what a photograph becomes
  taken_ = checkpoint.taken;
  model_ = Model::parse(info_.graph_text, path.filename().string());
  size_ = options.size == 0 ? info_.preprocessing.size : options.size;
  if (size_ == 0) fail_usage("--model needs --size N, the side of the network's input in pixels");
  const int divisor = static_cast<int>(model_.divisor());
  side_ = (size_ + divisor - 1) / divisor * divisor;
  threshold_ = options.threshold.value_or(info_.preprocessing.threshold);
  with_advice(fmt::format("the weights of {}", path.string()), "take fewer models together, or another --device",
              [&] { load_weights(checkpoint, states_of(model_, DType::f32), store_); });
}

Program& Predictor::network(std::int64_t batch) {
  const auto found = networks_.find(batch);
  if (found != networks_.end()) return found->second;
  try {
    return networks_.emplace(batch, compile_prediction(model_, batch, side_, device_, store_, compile_)).first->second;
  } catch (const OutOfMemory& error) {
    refuse(batch, error);
  }
}

void Predictor::refuse(std::int64_t batch, const OutOfMemory& error) const {
  const auto needs = [&](std::int64_t count, std::int64_t side) {
    const ProgramNeeds needed = Program::needs(prediction_graph(model_, count, side), device_, compile_);
    const std::size_t copies = needed.prepared_bytes();
    return needed.memory.arena + needed.memory.inputs_and_outputs + copies - std::min(copies, store_.prepared_bytes());
  };
  const std::size_t available = backend_of(device_.kind).available_bytes(device_.index);
  const FitOptions options{.batch_option = batch_option_,
                           .size_option = size_option_,
                           .batch = batch,
                           .size = side_,
                           .divisor = model_.divisor()};
  fail("{} px, {} photograph{} at once: {}; {}", size_, batch, batch == 1 ? "" : "s",
       out_of_memory_text(device_, needs(batch, side_), available, error), what_would_fit(options, available, needs));
}

std::vector<std::vector<float>> Predictor::probabilities(std::span<const data::Image> inputs) {
  const auto batch = static_cast<std::int64_t>(inputs.size());
  std::vector<std::uint8_t> pixels;
  for (const auto& image : inputs) {
    DERMATOME_CHECK(image.width == size_ && image.height == size_ && image.channels == 3,
                    "the network takes RGB images of {0}x{0} pixels, not {1} channel(s) of {2}x{3}", size_,
                    image.channels, image.width, image.height);
    const data::Image padded = data::pad(image, side_, side_);
    pixels.insert(pixels.end(), padded.pixels.begin(), padded.pixels.end());
  }
  Program& program = network(batch);
  program.input("images").copy_from(tensor_of<std::uint8_t>(pixels, {batch, side_, side_, 3}));
  program.run();
  const Tensor all = program.output("probability").to({DeviceKind::cpu, 0});
  const auto values = all.as<float>();
  const auto each = static_cast<std::size_t>(side_) * static_cast<std::size_t>(side_);
  std::vector<std::vector<float>> maps;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    maps.push_back(data::cut(values.subspan(i * each, each), side_, size_, size_));
  return maps;
}

data::PreparedPhotograph Predictor::read(const std::filesystem::path& file) const {
  return data::read_prepared(file, preparation());
}

ProbabilityMap Predictor::of_photograph(std::span<const float> map, const data::StoredGrid& grid) const {
  const data::Sides content = data::upright_content_of(preparation(), grid);
  return {
      .width = content.width, .height = content.height, .values = data::cut(map, size_, content.width, content.height)};
}

Prediction Predictor::predict(const data::PreparedPhotograph& photograph) {
  const auto maps = probabilities(std::span(&photograph.image, 1));
  const ProbabilityMap map = of_photograph(maps.front(), photograph.stored);
  return to_stored_grid(std::span(&map, 1), photograph.stored, threshold_, true);
}

}  // namespace dermatome::training
