// A network for whole programs that run on the host in a GPU's role.
#pragma once

namespace dermatome::harness {

// Every kind of layer that U-Net34 has, in little: strided and padded convolutions, batch norm, residual sums behind
// each other, pooling, a concatenation, transposed convolutions with a bias.
inline constexpr const char* kSmallNetwork = R"(model small(image: 3 channels, sides divisible by 8) {
  group encoder
  conv1 = conv2d(image, 8, kernel=7, stride=2, pad=3, bias=false)
  bn1   = batch_norm(conv1)
  stem  = max_pool(relu(bn1), 3, stride=2, pad=1)
  conv2 = conv2d(stem, 8, kernel=3, pad=1, bias=false)
  bn2   = batch_norm(conv2)
  first = relu(bn2 + stem)
  conv3 = conv2d(first, 8, kernel=3, pad=1, bias=false)
  bn3   = batch_norm(conv3)
  body  = relu(bn3 + first)

  group decoder
  up1   = conv_transpose2d(body, 8, kernel=2, stride=2)
  skip  = conv2d(relu(bn1), 8, kernel=1)
  bn4   = batch_norm(relu(concat(up1, skip)))
  out   = conv_transpose2d(bn4, 1, kernel=2, stride=2)
  return out
}
)";

}  // namespace dermatome::harness
