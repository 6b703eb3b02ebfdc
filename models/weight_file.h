// Weight files of any kind: PyTorch's checkpoints of all three generations, and safetensors.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/core/tensor.h"

namespace dermatome {

// One entry of a file.
struct Weight {
  std::string key;       // as in the file
  std::string name;      // as here: see canonical_weight_name
  std::string type;      // in the file: "f16", or "a list" for what is no tensor
  std::string shape;     // "[64, 3, 7, 7]"; empty for what is no tensor
  Tensor tensor;         // f32 in host memory; undefined where left out
  std::string left_out;  // why; empty for weights
};

struct WeightFile {
  std::string format;  // "PyTorch (zip)"
  std::vector<Weight> weights;
  std::map<std::string, std::string> metadata;  // of safetensors, without the checksum
};

// Told apart by content, whatever the file is called. In a checkpoint of PyTorch the tensors may stand in the file's
// own dictionary or in the one under "state_dict", "model" or "model_state_dict". Integers, truth values, floats of 8
// bits, an optimiser's states and the moving averages of a run's weights are left out. Throws Error, one sentence
// naming the file: missing, of another kind, cut short, damaged, refused by the unpickler, without weights, with two
// weights of one name.
WeightFile read_weights(const std::filesystem::path& path);
// The same for a file's bytes, which messages call `file`.
WeightFile parse_weights(std::span<const std::byte> bytes, const std::string& file);

}  // namespace dermatome
