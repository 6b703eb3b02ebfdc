// Which cuDNN convolution a request for conv2d or one of its gradients is.
#pragma once

#include "engine/compile/kernel.h"
#include "kernels/vendor/cudnn.h"

namespace dermatome::conv2d {

cudnn::Convolution forward_by_cudnn(const KernelRequest& request);
cudnn::Convolution fused_by_cudnn(const KernelRequest& request);
cudnn::Convolution sums_by_cudnn(const KernelRequest& request);
cudnn::Convolution data_gradient_by_cudnn(const KernelRequest& request);
cudnn::Convolution data_gradient_sums_by_cudnn(const KernelRequest& request);
cudnn::Convolution weight_gradient_by_cudnn(const KernelRequest& request);

}  // namespace dermatome::conv2d
