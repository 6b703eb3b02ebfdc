// Which cuDNN convolutions a decoder step and its gradients consist of.
#pragma once

#include <vector>

#include "engine/compile/kernel.h"
#include "kernels/vendor/cudnn.h"

namespace dermatome::decoder_step {

// decoder_step: the transposed convolution, and where there is a skip tensor its own. decoder_step_gradient and
// decoder_skip_gradient: the weight gradient and the data gradient, whether or not both are wanted.
std::vector<cudnn::Convolution> by_cudnn(const KernelRequest& request);

}  // namespace dermatome::decoder_step
