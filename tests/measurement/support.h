// A network that runs in no time, and machine rates that are round numbers.
#pragma once

#include "engine/graph/model.h"
#include "tools/measurement/machine_rates.h"

namespace dermatome::measurement {

inline Model tiny_model() {
  return Model::parse(
      "model tiny(image: 3 channels, sides divisible by 4) {\n"
      "  group early\n"
      "  conv1 = conv2d(image, 4, kernel=3, stride=2, pad=1, bias=false)\n"
      "  bn1   = batch_norm(conv1)\n"
      "  group late\n"
      "  out = conv_transpose2d(relu(bn1), 1, kernel=2, stride=2)\n"
      "  return out\n"
      "}\n",
      "tiny.graph");
}

inline constexpr MachineRates kRoundRates{.copy = 1e10, .matrix_f32 = 1e11, .matrix_bf16 = 4e11};

}  // namespace dermatome::measurement
