// Which cuDNN convolution linear or one of its gradients is: of one pixel, with a kernel of one.
#pragma once

#include "engine/compile/kernel.h"
#include "kernels/vendor/cudnn.h"

namespace dermatome::linear {

cudnn::Convolution by_cudnn(const KernelRequest& request);

}  // namespace dermatome::linear
