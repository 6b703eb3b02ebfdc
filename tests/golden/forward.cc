// A model applied to a tensor, from file to file, so that scripts can compare with other programs:
//   dermatome_forward MODEL WEIGHTS IN.safetensors OUT.safetensors
// IN holds `image`, f32 [n, height, width, channels]; OUT what the model returns, as `output`.
#include <cstdio>
#include <exception>

#include "engine/compile/program.h"
#include "engine/core/error.h"
#include "models/builtin.h"
#include "models/safetensors.h"
#include "models/weight_matching.h"

namespace {

using namespace dermatome;

void forward(const std::string& name, const std::string& weights, const std::string& in, const std::string& out) {
  const Model model = find_model(name);
  const TensorFile input = read_safetensors(in);
  const Tensor* image = input.find("image");
  DERMATOME_CHECK(image != nullptr, "{} holds no image", in);
  Graph graph;
  Builder builder(graph);
  graph.mark_output("output", model.append(builder, graph.add_input("image", image->desc()), inference_phase));
  StateStore store;
  const auto match = match_weights(read_weights(weights), graph.states(), weights);
  DERMATOME_CHECK(match.missing.empty() && match.mis_shaped.empty(), "{} is not all of {}", weights, name);
  store.create(graph.states(), 0);
  for (const auto& [state, tensor] : match.loaded) store.write(state, tensor);
  Program program(std::move(graph), {}, store, {});
  program.input("image").copy_from(*image);
  program.run();
  write_safetensors(out, {.metadata = {}, .tensors = {{"output", program.output("output").clone()}}});
}

}  // namespace

int main(int argc, char** argv) {
  try {
    DERMATOME_CHECK(argc == 5, "usage: dermatome_forward MODEL WEIGHTS IN.safetensors OUT.safetensors");
    forward(argv[1], argv[2], argv[3], argv[4]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dermatome_forward: %s\n", error.what());
    return 1;
  }
  return 0;
}
