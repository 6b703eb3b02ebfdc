// A model with its weights as an ONNX file, for ONNX Runtime and whatever else reads that.
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/graph/model.h"

namespace dermatome {

// (pixel / 255 - mean) / deviation, for each of red, green and blue.
struct Normalisation {
  std::array<float, 3> mean{}, deviation{};
};

struct OnnxOptions {
  bool fold_batch_norm = false;  // into the convolution in front, where it follows one
  // Takes pixels, u8 [batch, channels, height, width], instead of f32 that somebody normalised.
  std::optional<Normalisation> normalisation;
  // Takes any height and width: the last row and column are repeated up to a multiple of the model's divisor (see
  // data/image/pad.h), and the output is cut back.
  bool pad = false;
  bool probability = false;  // the output is sigmoid of the logits
  std::map<std::string, std::string> metadata;
};

// Input "image" [batch, channels, height, width], all but the channels of any size; output "logits" or "probability".
// `states`: all of the model's, by name, f32 in host memory. Throws Error: a state that is missing or of another shape,
// an operation that has no ONNX form here, a file that cannot be written.
void write_onnx(const std::filesystem::path& path, const Model& model,
                const std::vector<std::pair<std::string, Tensor>>& states, const OnnxOptions& options);

}  // namespace dermatome
