// Prediction and scoring of single photographs.
#include "tools/training/predictor.h"

#include <algorithm>

#include "data/image/resize.h"
#include "engine/core/error.h"

namespace dermatome::training {
namespace {

constexpr std::int64_t kBatch = 8;  // photographs that run() takes at once

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

double lesion_share(const data::Image& mask, int above) {
  const auto count = std::count_if(mask.pixels.begin(), mask.pixels.end(), [&](std::uint8_t p) { return p > above; });
  return static_cast<double>(count) / static_cast<double>(mask.pixels.size());
}

}  // namespace

double Prediction::area_share() const {
  return lesion_share(mask, 127);
}

Predictor::Predictor(const std::filesystem::path& path, Device device, const CompileOptions& compile, int size)
    : model_(Model::parse("model none(image: 3 channels) { return relu(image) }", "")),
      device_(device),
      compile_(compile),
      store_(device) {
  const Checkpoint checkpoint = read_checkpoint(path);
  info_ = checkpoint.info;
  model_ = Model::parse(info_.graph_text, path.filename().string());
  size_ = size == 0 ? info_.preprocessing.size : size;
  load_weights(checkpoint, states_of(model_, DType::f32), store_);
}

Program& Predictor::network(std::int64_t batch) {
  const auto found = networks_.find(batch);
  if (found != networks_.end()) return found->second;
  return networks_.emplace(batch, compile_prediction(model_, batch, size_, device_, store_, compile_)).first->second;
}

Program& Predictor::upsampler(std::int64_t height, std::int64_t width) {
  if (upsampler_ == nullptr || upsampler_->output("y").shape() != Shape{1, height, width, 1}) {
    Graph graph;
    Builder builder(graph);
    const Value x = graph.add_input("x", {DType::f32, {1, size_, size_, 1}});
    graph.mark_output("y", builder.call("upsample_bilinear", {x}, {{"height", height}, {"width", width}}));
    upsampler_ = std::make_unique<Program>(std::move(graph), device_, store_, compile_);
  }
  return *upsampler_;
}

Program& Predictor::scorer(std::int64_t height, std::int64_t width) {
  if (scorer_ == nullptr || scorer_->input("truth").shape() != Shape{1, height, width, 1}) {
    Graph graph;
    Builder builder(graph);
    const Value p = graph.add_input("probability", {DType::f32, {1, height, width, 1}});
    const Value truth = graph.add_input("truth", {DType::u8, {1, height, width, 1}});
    const Value counts = builder.call("confusion_counts", {p, truth},
                                      {{"threshold", info_.preprocessing.threshold}, {"truth_threshold", 128.0}});
    graph.mark_output("scores", builder.call("segmentation_metrics", {counts}));
    scorer_ = std::make_unique<Program>(std::move(graph), device_, store_, compile_);
  }
  return *scorer_;
}

Prediction Predictor::finish(const Tensor& probability, const data::Photograph& photograph) {
  const int height = photograph.image.height;
  const int width = photograph.image.width;
  Program& program = upsampler(height, width);
  program.bind("x", probability);
  program.run();
  const Tensor full = program.output("y").to({DeviceKind::cpu, 0});
  const auto values = full.as<float>();
  Prediction prediction{
      .width = photograph.stored_width, .height = photograph.stored_height, .probability = {}, .mask = {}};
  // Back to the grid of the file, where masks and scores live.
  prediction.probability = data::turned<float>(values, width, height, 1, data::inverse(photograph.orientation));
  prediction.mask = data::make_image(prediction.width, prediction.height, 1);
  const auto threshold = static_cast<float>(info_.preprocessing.threshold);
  for (std::size_t i = 0; i < prediction.probability.size(); ++i) {
    prediction.mask.pixels[i] = prediction.probability[i] > threshold ? 255 : 0;
  }
  return prediction;
}

Prediction Predictor::predict(const data::Photograph& photograph) {
  return std::move(predict(std::vector{photograph})[0]);
}

std::vector<Prediction> Predictor::predict(const std::vector<data::Photograph>& photographs) {
  std::vector<Prediction> predictions;
  const auto count = static_cast<std::int64_t>(photographs.size());
  for (std::int64_t next = 0; next < count;) {
    const std::int64_t batch = std::min(kBatch, count - next);
    Program& program = network(batch);
    std::vector<std::uint8_t> pixels;
    for (std::int64_t i = 0; i < batch; ++i) {
      const auto image = data::resize(photographs[static_cast<std::size_t>(next + i)].image, size_, size_);
      pixels.insert(pixels.end(), image.pixels.begin(), image.pixels.end());
    }
    program.input("images").copy_from(tensor_of<std::uint8_t>(pixels, {batch, size_, size_, 3}));
    program.run();
    const Tensor probability = program.output("probability");
    const TensorDesc one{DType::f32, {1, size_, size_, 1}};
    for (std::int64_t i = 0; i < batch; ++i) {
      const Tensor part = probability.view(static_cast<std::size_t>(i) * one.bytes(), one);
      predictions.push_back(finish(part, photographs[static_cast<std::size_t>(next + i)]));
    }
    next += batch;
  }
  return predictions;
}

Scores Predictor::score(const Prediction& prediction, const data::Image& truth) {
  DERMATOME_CHECK(truth.width == prediction.width && truth.height == prediction.height,
                  "the mask is {} x {} but the photograph {} x {}", truth.width, truth.height, prediction.width,
                  prediction.height);
  Program& program = scorer(prediction.height, prediction.width);
  const Shape shape{1, prediction.height, prediction.width, 1};
  program.input("probability").copy_from(tensor_of<float>(prediction.probability, shape));
  program.input("truth").copy_from(tensor_of<std::uint8_t>(truth.pixels, shape));
  program.run();
  const Tensor scores = program.output("scores").to({DeviceKind::cpu, 0});
  Scores result{};
  for (int m = 0; m < kMetrics; ++m)
    result[static_cast<std::size_t>(m)] = static_cast<double>(scores.as<float>()[static_cast<std::size_t>(m)]);
  return result;
}

Scores Evaluation::means() const {
  Scores means{};
  for (const auto& image : images) {
    for (std::size_t m = 0; m < means.size(); ++m) means[m] += image.scores[m] / static_cast<double>(images.size());
  }
  return means;
}

}  // namespace dermatome::training
