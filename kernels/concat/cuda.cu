// concat on CUDA: one launch an input.
#include "kernels/launch/cuda_rows.cuh"

namespace dermatome::concat {
namespace {

using launch::cuda::Index;

void run(const Call& call) {
  const Operand& y = call.outputs[0];
  const int last = y.rank - 1;
  const Index size = static_cast<Index>(size_of(y.type));
  const Index channels = y.extent[last];
  if (channels == 0) return;
  auto* to = static_cast<unsigned char*>(y.data);
  for (int k = 0; k < call.input_count; ++k) {
    const Index width = call.inputs[k].extent[last] * size;
    launch::cuda::copy_rows(call, {.from = call.inputs[k].data,
                                   .to = to,
                                   .rows = y.elements / channels,
                                   .bytes = width,
                                   .from_step = width,
                                   .to_step = channels * size});
    to += width;
  }
}

}  // namespace
}  // namespace dermatome::concat

DERMATOME_CUDA_TABLE(concat, {"concat", DType::f32, concat::run}, {"concat", DType::bf16, concat::run})
