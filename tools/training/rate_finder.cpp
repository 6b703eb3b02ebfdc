// Sweeping learning rates.
#include "tools/training/rate_finder.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "data/split.h"

namespace dermatome::training {
namespace {

// Everything that training moves is in the store: order and augmentation follow from seed and epoch.
class Restored {
 public:
  explicit Restored(StateStore& store) : store_(store), snapshot_(store.snapshot()) {}
  ~Restored() { store_.restore(snapshot_); }
  Restored(const Restored&) = delete;
  Restored& operator=(const Restored&) = delete;

 private:
  StateStore& store_;
  Snapshot snapshot_;
};

// Batches of `size` out of one epoch after the other; what is left of an epoch is passed over.
class Batches {
 public:
  Batches(const SweepData& data, std::int64_t photographs, std::size_t size)
      : data_(data), photographs_(photographs), size_(std::min(size, static_cast<std::size_t>(photographs))) {}

  std::span<const std::uint32_t> next() {
    if (order_.empty() || at_ + size_ > order_.size()) {
      epoch_ = order_.empty() ? data_.first_epoch : epoch_ + 1;
      order_ = data::epoch_order(static_cast<std::uint32_t>(photographs_), data_.seed, epoch_);
      at_ = 0;
    }
    at_ += size_;
    return std::span(order_).subspan(at_ - size_, size_);
  }
  int epoch() const { return epoch_; }

 private:
  SweepData data_;
  std::int64_t photographs_;
  std::size_t size_;
  int epoch_ = 0;
  std::size_t at_ = 0;
  std::vector<std::uint32_t> order_;
};

double validation_loss(StageRunner& runner, const StageSettings& stage, std::int64_t step) {
  const std::int64_t count = runner.validation().count();
  const std::int64_t batch = std::min<std::int64_t>(stage.batch, count);
  std::vector<std::uint32_t> samples;
  for (std::int64_t i = 0; i < batch; ++i) samples.push_back(static_cast<std::uint32_t>((step * batch + i) % count));
  EpochSums sums;
  runner.validate(samples, sums);
  return sums.mean_loss();
}

}  // namespace

void check_validation(const RateSweep& sweep, std::size_t photographs) {
  DERMATOME_CHECK(!sweep.validation_loss || photographs > 0,
                  "there is no validation part whose loss the learning-rate finder could take");
}

RateCurve sweep_rates(StageRunner& runner, const StageSettings& stage, StateStore& store, const SweepData& data,
                      RateSweep sweep, const std::function<void(std::int64_t done, std::int64_t total)>& progress) {
  const std::int64_t photographs = runner.training().count();
  check_validation(sweep, static_cast<std::size_t>(runner.validation().count()));
  sweep.steps = sweep.steps_where_an_epoch_has(stage.steps_of_epoch(photographs));
  const Restored restored(store);
  Batches batches(data, photographs,
                  static_cast<std::size_t>(stage.batch) * static_cast<std::size_t>(stage.accumulate));
  SweepRecorder recorder;
  for (std::int64_t step = 0; step < sweep.steps; ++step) {
    const auto samples = batches.next();
    const double rate = sweep.rate(step);
    EpochSums sums;
    double loss = runner.accumulate(samples, batches.epoch(), sums);
    if (std::isfinite(loss)) {
      runner.update({.factor = rate / stage.lr, .beta1 = {}});
      if (sweep.validation_loss) loss = validation_loss(runner, stage, step);
    }
    if (!recorder.add(rate, loss)) break;
    if (progress) progress(step + 1, sweep.steps);
  }
  RateCurve curve{.sweep = sweep, .points = recorder.take(), .steepest = {}};
  find_suggestion(curve);
  return curve;
}

}  // namespace dermatome::training
