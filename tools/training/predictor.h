// Predictor: a trained model applied to photographs at their stored size; and its scores against true masks.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/codec.h"
#include "data/dataset.h"
#include "data/resident_set.h"
#include "engine/compile/program.h"
#include "tools/training/checkpoint.h"
#include "tools/training/networks.h"

namespace dermatome::training {

// A photograph's prediction in the pixel grid of its file.
struct Prediction {
  int width = 0;
  int height = 0;
  std::vector<float> probability;  // [height, width], of lesion
  data::Image mask;                // one channel, 0 or 255: probability > threshold

  double area_share() const;  // of lesion pixels
};

using Scores = std::array<double, kMetrics>;

class Predictor {
 public:
  // `checkpoint`: last.safetensors or best.safetensors of a run. `size` 0: the size stored in it.
  Predictor(const std::filesystem::path& checkpoint, Device device, const CompileOptions& compile, int size = 0);

  const CheckpointInfo& info() const { return info_; }
  const Model& model() const { return model_; }
  int size() const { return size_; }

  Prediction predict(const data::Photograph& photograph);
  // Several at once: up to eight go through the network together.
  std::vector<Prediction> predict(const std::vector<data::Photograph>& photographs);

  // Official ISIC scores of a prediction; a truth pixel counts as lesion when > 128. Throws Error when the sizes
  // differ.
  Scores score(const Prediction& prediction, const data::Image& truth);

 private:
  Program& network(std::int64_t batch);
  Program& upsampler(std::int64_t height, std::int64_t width);
  Program& scorer(std::int64_t height, std::int64_t width);
  Prediction finish(const Tensor& probability, const data::Photograph& photograph);

  CheckpointInfo info_;
  Model model_;
  int size_;
  Device device_;
  CompileOptions compile_;
  StateStore store_;
  std::map<std::int64_t, Program> networks_;
  // Of the last photograph's size: neighbours in a folder often share it, and others would pile up.
  std::unique_ptr<Program> upsampler_;
  std::unique_ptr<Program> scorer_;
};

struct ScoredImage {
  std::string id;
  Scores scores{};
  int width = 0, height = 0;
  double truth_share = 0, predicted_share = 0;  // of lesion pixels
};

struct Evaluation {
  std::vector<ScoredImage> images;
  data::LoadReport repairs;           // of the masks
  std::vector<std::string> left_out;  // why, one a photograph that could not be scored
  Scores means() const;
};

}  // namespace dermatome::training
