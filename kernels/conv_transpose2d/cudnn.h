// Which cuDNN convolution a request for conv_transpose2d is.
#pragma once

#include "engine/compile/kernel.h"
#include "kernels/vendor/cudnn.h"

namespace dermatome::conv_transpose2d {

cudnn::Convolution by_cudnn(const KernelRequest& request);

}  // namespace dermatome::conv_transpose2d
