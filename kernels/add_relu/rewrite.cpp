// fuse_add_relu: relu(a + b) becomes add_relu(a, b) where nobody else reads the sum. Training too: relu's gradient
// needs only its output.
#include "engine/compile/pass.h"

namespace dermatome {
namespace {

std::vector<Rewrite::Replacement> apply(Builder& builder, const Match& match) {
  return {{match.root, builder.call("add_relu", {match.value("a"), match.value("b")})}};
}

const RewriteRegistrar registrar({.name = "fuse_add_relu",
                                  .summary = "the addition of a residual block and its ReLU in one pass",
                                  .order = 10,
                                  .pattern = "relu(add(a, b))",
                                  .apply = apply});

}  // namespace
}  // namespace dermatome
