// Smoothing a finder's losses and finding where they fall.
#include "tools/training/rate_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tools/training/log.h"

namespace dermatome::training {
namespace {

constexpr double kAverageWeight = 0.98;
constexpr double kDiverged = 4;  // times the best average
constexpr std::size_t kStepsBeforeBest = 10;
constexpr double kWidth = 0.2;          // of the Gaussian, in powers of ten
constexpr std::size_t kNeighbours = 6;  // that lie within two widths at least
constexpr double kHighestLoss = 1.5;    // times the first losses: what explodes says nothing about falling
constexpr double kSlopeErrors = 4;      // that a slope must exceed its standard error by
constexpr double kFallNoise = 1.5;      // that the whole fall must exceed the noise of one loss by
constexpr double kClearFall = 4;        // from which on the fall alone is enough: noise, smoothed, never spans as much
constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct Sample {
  std::size_t point;  // of the curve
  double x, y;        // log10 of the rate, loss
};

std::vector<Sample> samples_of(const RateCurve& curve) {
  std::vector<double> first;
  for (const auto& point : curve.points) {
    if (first.size() < std::max<std::size_t>(5, curve.points.size() / 10)) first.push_back(point.loss);
  }
  const double highest = first.empty() ? 0 : kHighestLoss * median(first);
  std::vector<Sample> samples;
  for (std::size_t i = 0; i < curve.points.size(); ++i) {
    const auto& point = curve.points[i];
    if (point.rate > 0) samples.push_back({i, std::log10(point.rate), std::min(point.loss, highest)});
  }
  return samples;
}

// Standard deviation of one loss, from differences of neighbours, which neither a slope nor an explosion disturbs.
double noise_of(const std::vector<Sample>& samples) {
  std::vector<double> differences;
  for (std::size_t i = 1; i < samples.size(); ++i) differences.push_back(std::abs(samples[i].y - samples[i - 1].y));
  return 1.4826 * median(std::move(differences)) / std::sqrt(2.0);
}

double width_at(const std::vector<Sample>& samples, double x) {
  std::vector<double> distances;
  for (const auto& sample : samples) distances.push_back(std::abs(sample.x - x));
  const std::size_t nearest = std::min(kNeighbours, distances.size() - 1);
  std::nth_element(distances.begin(), distances.begin() + static_cast<std::ptrdiff_t>(nearest), distances.end());
  return std::max(kWidth, distances[nearest] / 2);
}

struct Fit {
  double value = 0, slope = 0, slope_error = 0;  // at x, of the line through the neighbours
};

Fit fit_at(const std::vector<Sample>& samples, double x, double noise) {
  const double width = width_at(samples, x);
  double weights = 0, mean_x = 0, mean_y = 0;
  std::vector<double> weight;
  for (const auto& sample : samples) {
    weight.push_back(std::exp(-0.5 * std::pow((sample.x - x) / width, 2)));
    weights += weight.back();
    mean_x += weight.back() * sample.x;
    mean_y += weight.back() * sample.y;
  }
  mean_x /= weights;
  mean_y /= weights;
  double xx = 0, xy = 0, error = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double dx = samples[i].x - mean_x;
    xx += weight[i] * dx * dx;
    xy += weight[i] * dx * (samples[i].y - mean_y);
    error += weight[i] * weight[i] * dx * dx;
  }
  if (xx <= 0) return {.value = mean_y};
  const double slope = xy / xx;
  return {.value = mean_y + slope * (x - mean_x), .slope = slope, .slope_error = noise * std::sqrt(error) / xx};
}

}  // namespace

double RateSweep::rate(std::int64_t step) const {
  const double share = static_cast<double>(step) / static_cast<double>(steps);
  return linear ? last_rate() * share : start * std::pow(last_rate() / start, share);
}

SweepRecorder::SweepRecorder() : best_(std::numeric_limits<double>::infinity()) {}

bool SweepRecorder::add(double rate, double loss) {
  if (!std::isfinite(loss)) return false;
  weight_left_ *= kAverageWeight;
  sum_ = kAverageWeight * sum_ + (1 - kAverageWeight) * loss;
  const double average = sum_ / (1 - weight_left_);
  points_.push_back({.rate = rate, .loss = loss, .average = average, .smoothed = kNotANumber});
  if (points_.size() <= kStepsBeforeBest) return true;
  best_ = std::min(best_, average);
  return average <= kDiverged * best_;
}

void find_suggestion(RateCurve& curve) {
  const std::vector<Sample> samples = samples_of(curve);
  curve.steepest.reset();
  curve.lowest = 0;
  if (samples.size() < kNeighbours) return;
  const double noise = noise_of(samples);
  std::vector<Fit> fits;
  for (const auto& sample : samples) {
    fits.push_back(fit_at(samples, sample.x, noise));
    curve.points[sample.point].smoothed = fits.back().value;
  }
  const auto by_value = [](const Fit& a, const Fit& b) { return a.value < b.value; };
  const auto lowest = std::min_element(fits.begin(), fits.end(), by_value);
  const auto highest = std::max_element(fits.begin(), lowest + 1, by_value);
  curve.lowest = curve.points[samples[static_cast<std::size_t>(lowest - fits.begin())].point].rate;
  const auto steepest =
      std::min_element(fits.begin(), lowest + 1, [](const Fit& a, const Fit& b) { return a.slope < b.slope; });
  const double fall = highest->value - lowest->value;
  const bool steep = -steepest->slope > kSlopeErrors * steepest->slope_error;
  const bool falls = steepest->slope < 0 && (fall > kClearFall * noise || (fall > kFallNoise * noise && steep));
  if (falls) curve.steepest = curve.points[samples[static_cast<std::size_t>(steepest - fits.begin())].point].rate;
}

std::string to_csv(const RateCurve& curve) {
  std::string text = "step,rate,loss,average,smoothed\n";
  for (std::size_t i = 0; i < curve.points.size(); ++i) {
    const auto& point = curve.points[i];
    text += fmt::format("{},{:.9g},{:.9g},{:.9g},{:.9g}\n", i, point.rate, point.loss, point.average, point.smoothed);
  }
  return text;
}

std::vector<RateCurve::Point> read_rate_curve(const std::filesystem::path& path) {
  std::vector<RateCurve::Point> points;
  for (const auto& row : read_number_rows(path, 5, "a learning-rate finder's curve"))
    points.push_back({.rate = row[1], .loss = row[2], .average = row[3], .smoothed = row[4]});
  return points;
}

std::string describe(const RateCurve& curve) {
  return fmt::format("{} sweep, {} of {} steps, to rate {:.3g}, {} loss", curve.sweep.linear ? "linear" : "exponential",
                     curve.points.size(), curve.sweep.steps, curve.points.empty() ? 0 : curve.points.back().rate,
                     curve.sweep.validation_loss ? "validation" : "training");
}

double rounded_rate(double rate) {
  return std::stod(fmt::format("{:.3g}", rate));
}

}  // namespace dermatome::training
