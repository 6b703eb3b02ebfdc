// What the tests of the graph language share: graphs of texts, and the exact messages of errors.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "engine/core/error.h"
#include "engine/graph/model.h"

namespace dermatome::language {

struct Net {
  Graph graph;
  Value result;
};

// The model behind an image of n x side x side.
inline Net net_of(const Model& model, std::int64_t n, std::int64_t side,
                  const Model::PhaseOf& phase_of = training_phase, DType type = DType::f32) {
  Net net;
  const Value image = net.graph.add_input("image", {type, {n, side, side, model.input_channels()}});
  Builder builder(net.graph);
  net.result = model.append(builder, image, phase_of);
  return net;
}

inline Net net_of(std::string_view text, std::int64_t n = 2, std::int64_t side = 64) {
  return net_of(Model::parse(text, "m.graph"), n, side);
}

// What is said about a text, as parsed from m.graph and put behind a 2 x 64 x 64 x 3 image; empty when nothing is
// wrong.
inline std::string error_in(std::string_view text, std::int64_t side = 64) {
  try {
    net_of(text, 2, side);
    return "";
  } catch (const UsageError& error) {
    return error.what();
  }
}

// A model of one body: error_in_body("y = relu(x)\nreturn y") starts in line 2.
inline std::string error_in_body(const std::string& body) {
  return error_in("model m(x: 3 channels) {\n" + body + "\n}\n");
}

}  // namespace dermatome::language
