// The curve of a learning-rate finder, loss against rate, and the rate that it suggests.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace dermatome::training {

struct RateSweep {
  bool linear = false;           // else exponential
  bool validation_loss = false;  // of one validation batch a step, behind it; else of the step itself
  double start = 1e-5;           // exponential: the first rate; linear sweeps start at 0
  double end = 0;                // that the sweep would reach; 0: 10, or 0.1 for a linear one
  std::int64_t steps = 0;        // 0: those of an epoch, at least 100

  double last_rate() const {
    if (end > 0) return end;
    return linear ? 0.1 : 10;
  }
  bool rises() const { return linear || start < last_rate(); }
  std::int64_t steps_where_an_epoch_has(std::int64_t epoch) const {
    return steps > 0 ? steps : std::max<std::int64_t>(100, epoch);
  }
  // At step `step` of `steps`: start * (last / start)^(step / steps), or last * step / steps.
  double rate(std::int64_t step) const;
};

struct RateCurve {
  struct Point {
    double rate = 0, loss = 0;
    double average = 0;   // debiased exponential average of the losses so far, weight 0.98
    double smoothed = 0;  // without lag; NaN where the rate is 0
  };
  RateSweep sweep;
  std::vector<Point> points;       // up to where the sweep stopped
  std::optional<double> steepest;  // the suggestion: where the loss falls steepest; none where it never falls
  double lowest = 0;               // where the smoothed loss is smallest; a tenth of it is another usual choice
};

// Takes losses one by one and says when to stop: at a loss that is no number, or once the average is more than four
// times the smallest it has been after step 10.
class SweepRecorder {
 public:
  SweepRecorder();

  // Whether to go on. A loss that is no number is not kept.
  bool add(double rate, double loss);
  std::vector<RateCurve::Point> take() { return std::move(points_); }

 private:
  double sum_ = 0;
  double weight_left_ = 1;
  double best_;
  std::vector<RateCurve::Point> points_;
};

// Fills in the smoothed losses, the suggestion and the lowest rate from rates and losses.
//
// The smoothed loss at a rate is that of a line fitted to its neighbours in log(rate), weighted by a Gaussian: centred,
// so that it does not lag behind as the average does, whose steepest point lies far too low. A linear sweep has few
// points at small rates, where the Gaussian widens until some lie below it. The suggestion is the steepest of these
// lines up to the lowest smoothed loss, where its slope, or the whole fall, is beyond the noise between neighbouring
// losses.
void find_suggestion(RateCurve& curve);

// "step,rate,loss,average,smoothed".
std::string to_csv(const RateCurve& curve);
// Rates, losses and the rest of such a file. Throws Error naming file and line for a damaged one.
std::vector<RateCurve::Point> read_rate_curve(const std::filesystem::path& path);

// "exponential sweep of 87 steps to 0.52, training loss".
std::string describe(const RateCurve& curve);

// With three digits, as a recipe would hold it: what is found is no more exact.
double rounded_rate(double rate);

}  // namespace dermatome::training
