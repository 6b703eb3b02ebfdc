// The statistics of a channel, as the specifications of batch_norm and of what is fused with it take them.
#pragma once

#include <cstdint>

namespace dermatome::batch_norm {

template <typename T>
struct Statistics {
  T mean, variance;  // over all values
};

template <typename T>
Statistics<T> statistics_of(const T* x, std::int64_t rows, std::int64_t channels, std::int64_t c) {
  T mean = 0;
  for (std::int64_t r = 0; r < rows; ++r) mean += x[r * channels + c];
  mean /= static_cast<T>(rows);
  T squares = 0;
  for (std::int64_t r = 0; r < rows; ++r) squares += (x[r * channels + c] - mean) * (x[r * channels + c] - mean);
  return {mean, squares / static_cast<T>(rows)};
}

}  // namespace dermatome::batch_norm
