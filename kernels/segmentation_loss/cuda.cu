// segmentation_loss on CUDA. Loss, counts and the sums of the regions come from one read; the gradient too where only
// pixels have terms, else from a second read, which finds a batch's logits in the cache.
#include "kernels/launch/cuda.cuh"
#include "kernels/segmentation_loss/math.h"

namespace dermatome::segmentation_loss {
namespace {

using launch::cuda::Index;

constexpr int kTerms = 8;  // loss, intersection, predicted, truth, four counts; a float counts one block exactly

struct ImageTotals {
  double loss;
  RegionSums sums;
  RegionSlope<float> slope;
};

Index pixels_of(const Call& call) {
  return call.inputs[0].extent[1] * call.inputs[0].extent[2];
}
// The images' totals come first.
Index total_bytes(const Call& call) {
  return call.inputs[0].extent[0] * static_cast<Index>(sizeof(ImageTotals));
}
std::int64_t workspace(const Call& call) {
  return total_bytes(call) +
         launch::cuda::reduce_images_workspace<float, kTerms>(call.inputs[0].extent[0], pixels_of(call));
}

PixelTerms<float> pixel_terms(const Call& call) {
  return {static_cast<float>(launch::real(call, kBce)), static_cast<float>(launch::real(call, kFocal)),
          static_cast<float>(launch::real(call, kGamma)), static_cast<float>(launch::real(call, kAlpha))};
}
RegionTerms region_terms(const Call& call) {
  return {launch::real(call, kJaccard), launch::real(call, kLogJaccard), launch::real(call, kDice),
          launch::real(call, kEpsilon), launch::integer(call, kOver) == kOverBatch};
}

// `unit_gradient` may be null, and is where the second pass makes it.
void first_pass(const Call& call, ImageTotals* totals, float* unit_gradient) {
  const float* logits = launch::in<float>(call, 0);
  const float* target = launch::in<float>(call, 1);
  const float* divisor = launch::in<float>(call, 2);
  std::int32_t* counts = launch::out<std::int32_t>(call, 1);
  const Index images = call.inputs[0].extent[0], pixels = pixels_of(call);
  const PixelTerms<float> terms = pixel_terms(call);
  launch::cuda::reduce_images<float, kTerms>(
      call, images, pixels, static_cast<unsigned char*>(call.workspace) + total_bytes(call),
      DERMATOME_LAMBDA(Index image, Index i, float* sums) {
        const Index at = image * pixels + i;
        const float x = logits[at], t = target[at];
        const Pixel<float> pixel = pixel_of(terms, x, t);
        const int count = bce_with_logits::count_of(x, t);
        sums[0] = pixel.loss;
        sums[1] = pixel.p * t;
        sums[2] = pixel.p;
        sums[3] = t;
        for (int k = 0; k < 4; ++k) sums[4 + k] = k == count ? 1.0f : 0.0f;
        if (unit_gradient != nullptr) unit_gradient[at] = pixel.slope / divisor[0];
      },
      DERMATOME_LAMBDA(Index image, const double* sums) {
        totals[image] = {sums[0], {sums[1], sums[2], sums[3]}, {}};
        for (int k = 0; counts != nullptr && k < 4; ++k) {
          counts[image * 4 + k] = static_cast<std::int32_t>(sums[4 + k]);
        }
      });
}

// The loss, and the slopes of every image's region.
void combine(const Call& call, ImageTotals* totals) {
  const float* divisor = launch::in<float>(call, 2);
  float* loss = launch::out<float>(call, 0);
  const Index images = call.inputs[0].extent[0], pixels = pixels_of(call);
  const RegionTerms terms = region_terms(call);
  launch::cuda::for_each(
      call, 1, DERMATOME_LAMBDA(Index) {
        RegionSums batch = {0, 0, 0};
        for (Index n = 0; n < images; ++n) {
          batch.intersection += totals[n].sums.intersection;
          batch.predicted += totals[n].sums.predicted;
          batch.truth += totals[n].sums.truth;
        }
        // Over the batch each image bears its share of the one region.
        const auto weight = static_cast<double>(terms.over_batch ? images * pixels : pixels);
        double sum = 0;
        for (Index n = 0; n < images; ++n) {
          sum += totals[n].loss;
          if (!terms.any()) continue;
          const RegionLoss region = region_loss(terms, terms.over_batch ? batch : totals[n].sums);
          sum += region.loss * static_cast<double>(pixels);
          totals[n].slope = {static_cast<float>(region.by_intersection * weight / static_cast<double>(divisor[0])),
                             static_cast<float>(region.by_predicted * weight / static_cast<double>(divisor[0]))};
        }
        if (loss != nullptr) loss[0] = static_cast<float>(sum / static_cast<double>(divisor[0]));
      });
}

void second_pass(const Call& call, const ImageTotals* totals, float* unit_gradient) {
  const float* logits = launch::in<float>(call, 0);
  const float* target = launch::in<float>(call, 1);
  const float* divisor = launch::in<float>(call, 2);
  const Index pixels = pixels_of(call);
  const PixelTerms<float> terms = pixel_terms(call);
  launch::cuda::for_each_cell(
      call, call.inputs[0].extent[0], pixels, DERMATOME_LAMBDA(Index image, Index i) {
        const Index at = image * pixels + i;
        const float t = target[at];
        const Pixel<float> pixel = pixel_of(terms, logits[at], t);
        const RegionSlope<float> slope = totals[image].slope;
        unit_gradient[at] =
            pixel.slope / divisor[0] + pixel.slope_of_p * (slope.by_predicted + slope.by_intersection * t);
      });
}

void run(const Call& call) {
  auto* totals = static_cast<ImageTotals*>(call.workspace);
  float* unit_gradient = launch::out<float>(call, 2);
  const bool two_passes = region_terms(call).any();
  first_pass(call, totals, two_passes ? nullptr : unit_gradient);
  combine(call, totals);
  if (two_passes && unit_gradient != nullptr) second_pass(call, totals, unit_gradient);
}

}  // namespace
}  // namespace dermatome::segmentation_loss

DERMATOME_CUDA_TABLE(segmentation_loss,
                     {"segmentation_loss", DType::f32, segmentation_loss::run, segmentation_loss::workspace})
