// Predictor: a trained model applied to photographs, from their pixels to masks in the pixel grids of their files.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "data/prepared.h"
#include "engine/compile/program.h"
#include "tools/training/checkpoint.h"
#include "tools/training/predictor_grid.h"
#include "tools/training/weight_settings.h"

namespace dermatome::training {

class Predictor {
 public:
  // `checkpoint`: last.safetensors or best.safetensors of a run, or weights of any kind where they or the options name
  // the model and the size. Throws Error where the weights do not fit into memory.
  Predictor(const std::filesystem::path& checkpoint, Device device, const CompileOptions& compile,
            const PredictorOptions& options = {});

  const CheckpointInfo& info() const { return info_; }
  const Model& model() const { return model_; }
  int size() const { return size_; }
  // How photographs are brought to the network.
  data::Preparation preparation() const { return {size_, info_.preprocessing.resize, info_.preprocessing.colours}; }
  double threshold() const { return threshold_; }
  // A sentence about what the file of weights that are no checkpoint said and is followed; empty for nothing.
  const std::string& taken() const { return taken_; }

  // Probabilities of lesion, [size(), size()] an input, of at least one input, an RGB image of that size; all go
  // through the network together, and an Error says what would fit where memory does not suffice for that many. Where
  // the network does not take the size, the inputs are padded (data/image/pad.h) and the maps cut back.
  std::vector<std::vector<float>> probabilities(std::span<const data::Image> inputs);

  // A photograph's file as the network wants it. May be called from several threads at once.
  data::PreparedPhotograph read(const std::filesystem::path& file) const;
  // Whether what one reads serves the other.
  bool reads_alike(const Predictor& other) const { return preparation() == other.preparation(); }

  // Of probabilities [size(), size()] those of the photograph itself, without what it was padded with.
  ProbabilityMap of_photograph(std::span<const float> map, const data::StoredGrid& grid) const;

  // Of one photograph, the probabilities kept.
  Prediction predict(const data::PreparedPhotograph& photograph);

 private:
  Program& network(std::int64_t batch);
  [[noreturn]] void refuse(std::int64_t batch, const OutOfMemory& error) const;

  CheckpointInfo info_;
  Model model_;
  int size_;
  int side_;  // of the network's input: size_ or more
  double threshold_;
  std::string taken_;
  std::string batch_option_, size_option_;
  Device device_;
  CompileOptions compile_;
  StateStore store_;
  std::map<std::int64_t, Program> networks_;
};

}  // namespace dermatome::training
