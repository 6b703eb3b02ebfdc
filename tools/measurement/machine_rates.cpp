// A streaming copy and matrix products, the fastest of several runs.
#include "tools/measurement/machine_rates.h"

#include <emmintrin.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "engine/core/device.h"
#include "engine/core/threads.h"
#ifdef DERMATOME_ONEDNN
#include "kernels/vendor/onednn.h"
#endif
#ifdef DERMATOME_CUDA
#include "kernels/vendor/cudnn.h"
#endif

namespace dermatome::measurement {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Far more than any cache holds, where the memory is there.
constexpr std::size_t kLargestCopy = std::size_t{256} << 20;
constexpr std::size_t kSmallestCopy = std::size_t{16} << 20;

// Each thread copies one piece with stores that go past the caches: half as fast again as memcpy, which reads every
// line that it is about to overwrite.
void copy_on_all_threads(std::byte* to, const std::byte* from, std::size_t bytes) {
#pragma omp parallel
  {
    const auto threads = static_cast<std::size_t>(omp_get_num_threads());
    const auto thread = static_cast<std::size_t>(omp_get_thread_num());
    const std::size_t vectors = bytes / sizeof(__m128i);
    const auto* source = reinterpret_cast<const __m128i*>(from);
    auto* target = reinterpret_cast<__m128i*>(to);
    const std::size_t end = vectors * (thread + 1) / threads;
    for (std::size_t i = vectors * thread / threads; i < end; ++i)
      _mm_stream_si128(target + i, _mm_load_si128(source + i));
    _mm_sfence();
  }
}

double copy_rate(double seconds) {
  const std::size_t available = backend_of(DeviceKind::cpu).available_bytes(0);
  const std::size_t bytes = std::clamp(available / 8, kSmallestCopy, kLargestCopy);
  const Buffer from({}, bytes);
  const Buffer to({}, bytes);
  std::memset(from.data(), 1, bytes);
  copy_on_all_threads(to.data(), from.data(), bytes);  // touches the pages
  double best = 0;
  const auto start = Clock::now();
  for (int runs = 0; runs < 3 || since(start) < seconds; ++runs) {
    const auto before = Clock::now();
    copy_on_all_threads(to.data(), from.data(), bytes);
    best = std::max(best, 2.0 * static_cast<double>(bytes) / since(before));
  }
  return best;
}

// Which side suits a machine best depends on its caches.
double matrix_rate([[maybe_unused]] DType type, [[maybe_unused]] double seconds) {
  double best = 0;
#ifdef DERMATOME_ONEDNN
  for (const std::int64_t side : {512, 1024, 1536}) {
    const double shortest = onednn::time_matrix_product(type, side, seconds / 3);
    const auto flops = 2.0 * static_cast<double>(side * side * side);
    if (shortest > 0) best = std::max(best, flops / shortest);
  }
#endif
  return best;
}

// Marks tell how long the device took; 0 where it has none.
double device_copy_rate(Device device, double seconds) {
  Backend& backend = backend_of(device.kind);
  const std::size_t bytes = std::clamp(backend.available_bytes(device.index) / 8, kSmallestCopy, 4 * kLargestCopy);
  const Buffer from(device, bytes);
  const Buffer to(device, bytes);
  const auto stream = backend.make_stream(device.index);
  backend.fill_bytes(from.data(), 1, bytes, *stream);
  double best = 0;
  const auto begin = Clock::now();
  for (int runs = 0; runs < 3 || since(begin) < seconds; ++runs) {
    const auto before = stream->mark();
    if (before == nullptr) return 0;
    backend.copy(to.data(), from.data(), bytes, *stream);
    const auto behind = stream->mark();
    stream->synchronize();
    best = std::max(best, 2.0 * static_cast<double>(bytes) / behind->seconds_since(*before));
  }
  return best;
}

// The product of two matrices as cuDNN sees it: a 1x1 convolution.
double device_matrix_rate([[maybe_unused]] DType type, [[maybe_unused]] Device device) {
#ifdef DERMATOME_CUDA
  constexpr std::int64_t kSide = 8192;
  const double seconds = cudnn::matrix_product_seconds(type, kSide, device.index);
  if (seconds > 0) return 2.0 * static_cast<double>(kSide * kSide * kSide) / seconds;
#endif
  return 0;
}

}  // namespace

double MachineRates::matrix(DType type) const {
  if (type == DType::f32) return matrix_f32;
  return type == DType::bf16 ? matrix_bf16 : 0;
}

MachineRates measure_machine_rates(double seconds, Device device) {
  if (device.kind == DeviceKind::cuda) {
    return {.copy = device_copy_rate(device, seconds),
            .matrix_f32 = device_matrix_rate(DType::f32, device),
            .matrix_bf16 = device_matrix_rate(DType::bf16, device)};
  }
  const bool bf16 = has_bf16_products();
  return {.copy = copy_rate(seconds),
          .matrix_f32 = matrix_rate(DType::f32, seconds),
          .matrix_bf16 = bf16 ? matrix_rate(DType::bf16, seconds) : 0};
}

Bound bound_of(const Cost& cost, DType type, const MachineRates& rates) {
  const double moving = rates.copy > 0 ? cost.bytes / rates.copy : 0;
  const double computing = rates.matrix(type) > 0 ? cost.flops / rates.matrix(type) : 0;
  return {.seconds = std::max(moving, computing), .by_matrix = computing > moving};
}

}  // namespace dermatome::measurement
