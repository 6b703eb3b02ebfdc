// upsample_bilinear, the specification: each source pixel is a tent two pixels wide around its centre.
#include <algorithm>
#include <cmath>

#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

using launch::Index;

// Where the centre of target pixel `target` lies, in source pixels whose centres are whole numbers; held inside.
double source_position(Index target, Index target_extent, Index source_extent) {
  const double scale = static_cast<double>(source_extent) / static_cast<double>(target_extent);
  return std::clamp((static_cast<double>(target) + 0.5) * scale - 0.5, 0.0, static_cast<double>(source_extent - 1));
}

double tent(double distance) {
  return std::max(0.0, 1.0 - std::abs(distance));
}

template <typename T>
void run(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  const Index height = call.inputs[0].extent[1], width = call.inputs[0].extent[2], channels = call.inputs[0].extent[3];
  const Index out_height = call.outputs[0].extent[1], out_width = call.outputs[0].extent[2];
  for (Index i = 0; i < call.outputs[0].elements; ++i) {
    const Index c = i % channels, ow = i / channels % out_width, oh = i / channels / out_width % out_height;
    const Index n = i / channels / out_width / out_height;
    const double row = source_position(oh, out_height, height);
    const double column = source_position(ow, out_width, width);
    const auto top = static_cast<Index>(row);
    const auto left = static_cast<Index>(column);
    double sum = 0;
    for (Index h = top; h <= std::min(top + 1, height - 1); ++h) {
      for (Index w = left; w <= std::min(left + 1, width - 1); ++w) {
        const double weight = tent(row - static_cast<double>(h)) * tent(column - static_cast<double>(w));
        sum += weight * static_cast<double>(x[((n * height + h) * width + w) * channels + c]);
      }
    }
    y[i] = static_cast<T>(sum);
  }
}

DERMATOME_REFERENCE({"upsample_bilinear", DType::f32, run<float>}, {"upsample_bilinear", DType::f64, run<double>});

}  // namespace
}  // namespace dermatome
