// What exported weights say of themselves: their network, and how photographs are brought to it. The metadata of the
// safetensors and ONNX files that `dermatome export` writes.
#pragma once

#include <optional>
#include <string>

#include "tools/training/checkpoint.h"

namespace dermatome::training {

// What a user says of weights; it goes before what their file says.
struct PredictorOptions {
  int size = 0;                     // side of the network's input; 0: as the file says
  std::string model;                // the network of weights that are no checkpoint; empty: as the file says
  std::optional<double> threshold;  // a pixel is lesion where its probability is above; absent: as the file says
  // How the user chooses the number of photographs at once and the size, "--batch " and "--size ", for the sentence
  // about memory that does not suffice; empty: not at all.
  std::string batch_option, size_option;
};

struct WeightSettings {
  std::string graph;  // the network's text; empty where the file does not hold it
  std::string model;  // its name
  std::optional<int> size;
  std::optional<double> threshold;
  std::optional<data::Resize> resize;
  std::optional<data::ColourConstancy> colours;

  // Throws UsageError where neither says a network.
  Model model_for(const PredictorOptions& options, const std::string& file) const;
  // What neither says is as by default, the size 0.
  Preprocessing preprocessing_for(const PredictorOptions& options) const;
  // "model tiny, size 32, resize pad": what the file says and the options do not. Empty for nothing.
  std::string taken_for(const PredictorOptions& options) const;
};

// Of exported weights, or of a checkpoint taken for the weights that it holds. Throws Error, with `file` in front, for
// a value that makes no sense.
WeightSettings weight_settings(const Metadata& metadata, const std::string& file);

// The metadata of an exported file.
Metadata exported_metadata(const CheckpointInfo& info, const Model& model);

// What of a file's metadata stays true of weights that are converted; a checkpoint's as if it were exported.
Metadata converted_metadata(const Metadata& metadata, const std::string& file);

}  // namespace dermatome::training
