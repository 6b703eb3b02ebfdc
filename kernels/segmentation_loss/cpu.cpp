// segmentation_loss on the CPU. An image is cut into chunks, so that one image is enough work for all threads; chunks
// are added in order. Where a region has a term, its sums must be known before a pixel's gradient: a second pass makes
// it.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"
#include "kernels/segmentation_loss/math.h"

namespace dermatome::segmentation_loss {
namespace {

using launch::Index;

constexpr Index kChunkPixels = 4096;

// What one chunk contributes.
struct Partial {
  double loss;
  RegionSums sums;
  std::int32_t counts[4];
};

struct Sizes {
  Index images, pixels, chunks;  // pixels and chunks of an image
  explicit Sizes(const Call& call)
      : images(call.inputs[0].extent[0]),
        pixels(call.inputs[0].extent[1] * call.inputs[0].extent[2]),
        chunks((pixels + kChunkPixels - 1) / kChunkPixels) {}
};

// The chunks' partial sums, then the images' slopes.
std::int64_t workspace(const Call& call) {
  const Sizes size(call);
  return size.images *
         (size.chunks * static_cast<Index>(sizeof(Partial)) + static_cast<Index>(sizeof(RegionSlope<float>)));
}

PixelTerms<float> pixel_terms(const Call& call) {
  return {static_cast<float>(launch::real(call, kBce)), static_cast<float>(launch::real(call, kFocal)),
          static_cast<float>(launch::real(call, kGamma)), static_cast<float>(launch::real(call, kAlpha))};
}
RegionTerms region_terms(const Call& call) {
  return {launch::real(call, kJaccard), launch::real(call, kLogJaccard), launch::real(call, kDice),
          launch::real(call, kEpsilon), launch::integer(call, kOver) == kOverBatch};
}

// f(row of the chunk, first pixel, pixel behind the last) for every chunk of every image.
template <typename F>
void for_each_chunk_of_images(const Sizes& size, const F& f) {
  launch::for_each_row(size.images * size.chunks, kChunkPixels, [=](Index row) {
    const Index begin = row % size.chunks * kChunkPixels;
    const Index end = begin + kChunkPixels < size.pixels ? begin + kChunkPixels : size.pixels;
    const Index image = row / size.chunks * size.pixels;
    f(row, image + begin, image + end);
  });
}

void add(Partial& total, const Partial& more) {
  total.loss += more.loss;
  total.sums.intersection += more.sums.intersection;
  total.sums.predicted += more.sums.predicted;
  total.sums.truth += more.sums.truth;
  for (int k = 0; k < 4; ++k) total.counts[k] += more.counts[k];
}

// `unit_gradient` may be null, and is where the second pass makes it.
void first_pass(const Call& call, const Sizes& size, Partial* partials, float* unit_gradient) {
  const float* logits = launch::in<float>(call, 0);
  const float* target = launch::in<float>(call, 1);
  const float divisor = launch::in<float>(call, 2)[0];
  const PixelTerms<float> terms = pixel_terms(call);
  for_each_chunk_of_images(size, [=](Index row, Index begin, Index end) {
    Partial partial = {};
    for (Index i = begin; i < end; ++i) {
      const float x = logits[i], t = target[i];
      const Pixel<float> pixel = pixel_of(terms, x, t);
      partial.loss += static_cast<double>(pixel.loss);
      partial.sums.intersection += static_cast<double>(pixel.p * t);
      partial.sums.predicted += static_cast<double>(pixel.p);
      partial.sums.truth += static_cast<double>(t);
      ++partial.counts[bce_with_logits::count_of(x, t)];
      if (unit_gradient != nullptr) unit_gradient[i] = pixel.slope / divisor;
    }
    partials[row] = partial;
  });
}

// Sums of images and the batch; the loss; the slopes of every image's region.
void combine(const Call& call, const Sizes& size, const Partial* partials, RegionSlope<float>* slopes) {
  const RegionTerms terms = region_terms(call);
  float* loss = launch::out<float>(call, 0);
  std::int32_t* counts = launch::out<std::int32_t>(call, 1);
  const auto divisor = static_cast<double>(launch::in<float>(call, 2)[0]);
  double sum = 0;
  const auto add_region = [&](const RegionSums& sums, Index first_image, Index images) {
    const RegionLoss region = region_loss(terms, sums);
    const auto weight = static_cast<double>(images * size.pixels);
    sum += region.loss * weight;
    for (Index n = first_image; n < first_image + images; ++n) {
      slopes[n] = {static_cast<float>(region.by_intersection * weight / divisor),
                   static_cast<float>(region.by_predicted * weight / divisor)};
    }
  };
  Partial batch = {};
  for (Index n = 0; n < size.images; ++n) {
    Partial image = {};
    for (Index chunk = 0; chunk < size.chunks; ++chunk) add(image, partials[n * size.chunks + chunk]);
    sum += image.loss;
    add(batch, image);
    for (int k = 0; counts != nullptr && k < 4; ++k) counts[n * 4 + k] = image.counts[k];
    if (terms.any() && !terms.over_batch) add_region(image.sums, n, 1);
  }
  if (terms.any() && terms.over_batch) add_region(batch.sums, 0, size.images);
  if (loss != nullptr) loss[0] = static_cast<float>(sum / divisor);
}

void second_pass(const Call& call, const Sizes& size, const RegionSlope<float>* slopes, float* unit_gradient) {
  const float* logits = launch::in<float>(call, 0);
  const float* target = launch::in<float>(call, 1);
  const float divisor = launch::in<float>(call, 2)[0];
  const PixelTerms<float> terms = pixel_terms(call);
  for_each_chunk_of_images(size, [=](Index row, Index begin, Index end) {
    const RegionSlope<float> slope = slopes[row / size.chunks];
    for (Index i = begin; i < end; ++i) {
      const float t = target[i];
      const Pixel<float> pixel = pixel_of(terms, logits[i], t);
      unit_gradient[i] = pixel.slope / divisor + pixel.slope_of_p * (slope.by_predicted + slope.by_intersection * t);
    }
  });
}

void run(const Call& call) {
  const Sizes size(call);
  auto* partials = static_cast<Partial*>(call.workspace);
  auto* slopes = reinterpret_cast<RegionSlope<float>*>(partials + size.images * size.chunks);
  float* unit_gradient = launch::out<float>(call, 2);
  const bool two_passes = region_terms(call).any();
  first_pass(call, size, partials, two_passes ? nullptr : unit_gradient);
  combine(call, size, partials, slopes);
  if (two_passes && unit_gradient != nullptr) second_pass(call, size, slopes, unit_gradient);
}

}  // namespace
}  // namespace dermatome::segmentation_loss

DERMATOME_CPU_TABLE(segmentation_loss,
                    {"segmentation_loss", DType::f32, segmentation_loss::run, segmentation_loss::workspace})
