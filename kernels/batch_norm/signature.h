// What batch_norm and the operations that batch norm is fused into say alike about themselves.
#pragma once

#include <vector>

#include "engine/graph/op.h"

namespace dermatome::batch_norm {

inline AttributeSpec mode_attribute() {
  return choice_attribute("mode", {"train", "frozen", "eval"}, "train");
}

// Inputs first to last have one value for each channel of input x. Throws Error.
inline void check_channels(const OpCall& call, int x_input, int first, int last) {
  const Shape& x = call.shape(x_input);
  DERMATOME_CHECK(x.rank() >= 2, "takes [..., channels], not {}", to_string(x));
  for (int i = first; i <= last; ++i) {
    DERMATOME_CHECK((call.shape(i) == Shape{x[-1]}), "input {} is {} but x has {} channels", i,
                    to_string(call.shape(i)), x[-1]);
  }
}

inline TensorDesc channels_of(const TensorDesc& x) {
  return {x.type == DType::f64 ? DType::f64 : DType::f32, {x.shape[-1]}};
}

// running_mean and running_var, the inputs `input` and the next; in mode train outputs 3 and 4 are their next values.
inline std::vector<StateSpec> running_statistics(const Attributes& a, const TensorDesc& x, int input) {
  const bool tracks = a.choice("mode") == "train";
  const auto state = [&](const char* suffix, double value, int place) {
    return StateSpec{.suffix = suffix,
                     .desc = channels_of(x),
                     .initializer = {Initializer::Kind::constant, value},
                     .trainable = false,
                     .input = input + place,
                     .written_output = tracks ? 3 + place : -1};
  };
  return {state("running_mean", 0, 0), state("running_var", 1, 1)};
}

}  // namespace dermatome::batch_norm
