// augment, the specification.
#include <cmath>

#include "kernels/augment/math.h"
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

using namespace augment;  // the enumerators

// The pixel of an endless image whose copies are mirrored at every edge.
std::int64_t mirrored(std::int64_t i, std::int64_t size) {
  while (i < 0 || i >= size) i = i < 0 ? -1 - i : 2 * size - 1 - i;
  return i;
}

template <typename T>
void run(const Call& call) {
  const auto* images = launch::in<std::uint8_t>(call, 0);
  const auto* masks = launch::in<std::uint8_t>(call, 1);
  const std::int64_t height = call.inputs[0].extent[1];
  const std::int64_t width = call.inputs[0].extent[2];
  for (std::int64_t n = 0; n < call.inputs[2].elements; ++n) {
    const std::int64_t sample = launch::in<std::int32_t>(call, 2)[n];
    const std::uint8_t* photograph = images + sample * height * width * 3;
    const T* t = launch::in<T>(call, 3) + n * kTableSize;
    T* image = launch::out<T>(call, 0);
    if (image != nullptr) image += n * height * width * 3;
    T mean = 0;
    for (std::int64_t i = 0; i < height * width; ++i) {
      const T x = static_cast<T>(i % width);
      const T y = static_cast<T>(i / width);
      const T sx = t[0] * x + t[1] * y + t[2];
      const T sy = t[3] * x + t[4] * y + t[5];
      const auto left = static_cast<std::int64_t>(std::floor(sx));
      const auto top = static_cast<std::int64_t>(std::floor(sy));
      for (int c = 0; c < 3 && image != nullptr; ++c) {
        T sum = 0;
        for (int corner = 0; corner < 4; ++corner) {
          const std::int64_t px = left + corner % 2;
          const std::int64_t py = top + corner / 2;
          const T weight = (1 - std::abs(sx - static_cast<T>(px))) * (1 - std::abs(sy - static_cast<T>(py)));
          sum += weight * photograph[(mirrored(py, height) * width + mirrored(px, width)) * 3 + c];
        }
        image[i * 3 + c] = sum / 255;
        mean += image[i * 3 + c];
      }
      if (T* target = launch::out<T>(call, 1); target != nullptr) {
        const auto mx = static_cast<std::int64_t>(std::floor(sx + T(0.5)));
        const auto my = static_cast<std::int64_t>(std::floor(sy + T(0.5)));
        const bool inside = mx >= 0 && mx < width && my >= 0 && my < height;
        const std::uint8_t pixel = masks[(sample * height + mirrored(my, height)) * width + mirrored(mx, width)];
        const bool lesion = pixel > 127 && (inside || launch::integer(call, kReflectMask) != 0);
        target[n * height * width + i] = lesion ? 1 : 0;
      }
    }
    if (image == nullptr) continue;
    mean /= static_cast<T>(height * width * 3);
    for (std::int64_t i = 0; i < height * width * 3; ++i) {
      const T lit = std::min(std::max((image[i] - mean) * t[kContrast] + mean + t[kBrightness], T(0)), T(1));
      image[i] = (lit - static_cast<T>(launch::real(call, kMean + static_cast<int>(i % 3)))) /
                 static_cast<T>(launch::real(call, kDeviation + static_cast<int>(i % 3)));
    }
  }
}

DERMATOME_REFERENCE({"augment", DType::f32, run<float>}, {"augment", DType::f64, run<double>});

}  // namespace
}  // namespace dermatome
