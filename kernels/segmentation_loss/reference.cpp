// segmentation_loss, the specification: every term by its own formula.
#include <cmath>
#include <vector>

#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"
#include "kernels/segmentation_loss/math.h"

namespace dermatome {
namespace {

using namespace segmentation_loss;  // the enumerators

struct Term {
  double loss = 0, slope = 0;
};

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

Term cross_entropy(double x, double t) {
  return {std::max(x, 0.0) - x * t + std::log1p(std::exp(-std::abs(x))), sigmoid(x) - t};
}

Term focal(const Call& call, double x, double t) {
  const double gamma = launch::real(call, kGamma), alpha = launch::real(call, kAlpha);
  const double p = sigmoid(x);
  const double balance = alpha * t + (1 - alpha) * (1 - t);
  const double hit = p * t + (1 - p) * (1 - t);
  const auto [ce, ce_slope] = cross_entropy(x, t);
  const double factor = std::pow(1 - hit, gamma);
  const double hit_slope = (2 * t - 1) * p * (1 - p);
  const double factor_slope = gamma == 0 || hit == 1 ? 0 : -gamma * std::pow(1 - hit, gamma - 1) * hit_slope;
  return {balance * factor * ce, balance * (factor * ce_slope + factor_slope * ce)};
}

// The loss of a region and its derivative by each of the region's p, which depends on that pixel's t alone.
struct Region {
  double intersection = 0, predicted = 0, truth = 0;

  double loss(const Call& call) const {
    return launch::real(call, kJaccard) * (1 - jaccard(call)) -
           launch::real(call, kLogJaccard) * std::log(jaccard(call)) + launch::real(call, kDice) * (1 - dice(call));
  }
  double slope(const Call& call, double t) const {
    const double u = union_of(call);
    const double jaccard_slope = (t * u - (1 - t) * (jaccard(call) * u)) / (u * u);
    const double dice_slope = (2 * t - dice(call)) / (predicted + truth + launch::real(call, kEpsilon));
    return -launch::real(call, kJaccard) * jaccard_slope -
           launch::real(call, kLogJaccard) * jaccard_slope / jaccard(call) - launch::real(call, kDice) * dice_slope;
  }

 private:
  double union_of(const Call& call) const { return predicted + truth - intersection + launch::real(call, kEpsilon); }
  double jaccard(const Call& call) const { return (intersection + launch::real(call, kEpsilon)) / union_of(call); }
  double dice(const Call& call) const {
    const double epsilon = launch::real(call, kEpsilon);
    return (2 * intersection + epsilon) / (predicted + truth + epsilon);
  }
};

template <typename T>
void loss(const Call& call) {
  const T* logits = launch::in<T>(call, 0);
  const T* target = launch::in<T>(call, 1);
  const auto divisor = static_cast<double>(launch::in<T>(call, 2)[0]);
  std::int32_t* counts = launch::out<std::int32_t>(call, 1);
  const std::int64_t elements = call.inputs[0].elements, images = call.inputs[0].extent[0];
  const std::int64_t pixels = images == 0 ? 0 : elements / images;
  const std::int64_t region_pixels = launch::integer(call, kOver) == kOverBatch ? elements : pixels;
  std::vector<Region> regions(static_cast<std::size_t>(region_pixels == 0 ? 0 : elements / region_pixels));
  const auto region_of = [&](std::int64_t i) -> Region& {
    return regions[static_cast<std::size_t>(i / region_pixels)];
  };
  double sum = 0;
  for (std::int64_t i = 0; counts != nullptr && i < 4 * images; ++i) counts[i] = 0;
  for (std::int64_t i = 0; i < elements; ++i) {
    const auto x = static_cast<double>(logits[i]), t = static_cast<double>(target[i]);
    const double p = sigmoid(x);
    sum += launch::real(call, kBce) * cross_entropy(x, t).loss + launch::real(call, kFocal) * focal(call, x, t).loss;
    region_of(i).intersection += p * t;
    region_of(i).predicted += p;
    region_of(i).truth += t;
    const int column = t > 0.5 ? (x > 0 ? 0 : 2) : (x > 0 ? 1 : 3);
    if (counts != nullptr) ++counts[i / pixels * 4 + column];
  }
  for (const Region& region : regions) sum += region.loss(call) * static_cast<double>(region_pixels);
  if (T* result = launch::out<T>(call, 0); result != nullptr) result[0] = static_cast<T>(sum / divisor);
  T* unit_gradient = launch::out<T>(call, 2);
  for (std::int64_t i = 0; unit_gradient != nullptr && i < elements; ++i) {
    const auto x = static_cast<double>(logits[i]), t = static_cast<double>(target[i]);
    const double p = sigmoid(x);
    const double slope = launch::real(call, kBce) * cross_entropy(x, t).slope +
                         launch::real(call, kFocal) * focal(call, x, t).slope +
                         region_of(i).slope(call, t) * static_cast<double>(region_pixels) * p * (1 - p);
    unit_gradient[i] = static_cast<T>(slope / divisor);
  }
}

DERMATOME_REFERENCE({"segmentation_loss", DType::f32, loss<float>}, {"segmentation_loss", DType::f64, loss<double>});

}  // namespace
}  // namespace dermatome
