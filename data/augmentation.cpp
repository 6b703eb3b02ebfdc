// Affine maps out of Philox numbers. Built without contraction to fused multiply-adds and without libm, whose last
// bits differ between processors.
#include "data/augmentation.h"

#include <cmath>

#include "data/random_streams.h"
#include "engine/core/error.h"

namespace dermatome::data {
namespace {

// sx = xx x + xy y + x0, sy = yx x + yy y + y0.
struct Affine {
  double xx = 1, xy = 0, x0 = 0;
  double yx = 0, yy = 1, y0 = 0;
};

// The map that goes through `first`, then through `second`.
Affine then(const Affine& first, const Affine& second) {
  return {.xx = second.xx * first.xx + second.xy * first.yx,
          .xy = second.xx * first.xy + second.xy * first.yy,
          .x0 = second.xx * first.x0 + second.xy * first.y0 + second.x0,
          .yx = second.yx * first.xx + second.yy * first.yx,
          .yy = second.yx * first.xy + second.yy * first.yy,
          .y0 = second.yx * first.x0 + second.yy * first.y0 + second.y0};
}

struct Turn {
  double cosine;
  double sine;
};

// Cosine and sine by their Taylor series up to x^16 and x^17 after a reduction to 45 degrees, where the next terms
// are below 1e-17; multiples of 90 degrees come out exact.
Turn turn_of(double degrees) {
  const double quarters = std::floor(degrees / 90 + 0.5);
  const double x = (degrees - 90 * quarters) * (3.14159265358979323846 / 180);
  const double square = x * x;
  double cosine = 1;
  double sine = 1;
  for (int n = 16; n >= 2; n -= 2) {
    cosine = 1 - cosine * square / (n * (n - 1));
    sine = 1 - sine * square / (n * (n + 1));
  }
  sine *= x;
  switch (static_cast<int>(quarters) & 3) {
    case 1: return {-sine, cosine};
    case 2: return {-cosine, -sine};
    case 3: return {sine, -cosine};
    default: return {cosine, sine};
  }
}

// All numbers of one sample, drawn in this order whether they are used or not.
struct Draws {
  explicit Draws(Philox random)
      : quarter_turns(static_cast<int>(random.below(4))),
        flip(random.uniform()),
        rotate(random.uniform()),
        angle(random.uniform()),
        zoom(random.uniform()),
        magnification(random.uniform()),
        left(random.uniform()),
        top(random.uniform()),
        brightness(random.uniform()),
        contrast(random.uniform()) {}

  int quarter_turns;
  float flip, rotate, angle, zoom, magnification, left, top, brightness, contrast;
};

Affine quarter_turn(int turns, double last) {
  switch (turns) {
    case 1: return {.xx = 0, .xy = 1, .x0 = 0, .yx = -1, .yy = 0, .y0 = last};
    case 2: return {.xx = -1, .xy = 0, .x0 = last, .yx = 0, .yy = -1, .y0 = last};
    case 3: return {.xx = 0, .xy = -1, .x0 = last, .yx = 1, .yy = 0, .y0 = 0};
    default: return {};
  }
}

Affine flip_map(double last) {
  return {.xx = -1, .xy = 0, .x0 = last, .yx = 0, .yy = 1, .y0 = 0};
}

Affine rotation(double degrees, double centre) {
  const Turn turn = turn_of(degrees);
  return {.xx = turn.cosine,
          .xy = turn.sine,
          .x0 = centre - (turn.cosine + turn.sine) * centre,
          .yx = -turn.sine,
          .yy = turn.cosine,
          .y0 = centre - (turn.cosine - turn.sine) * centre};
}

// The visible part has the side size / magnification and lies at the fractions (left, top) of the room it has. A
// pixel's area starts half a pixel before its centre.
Affine zoom_map(double magnification, double left, double top, double size) {
  const double scale = 1 / magnification;
  const double room = size - size * scale;
  const double half = 0.5 * scale - 0.5;
  return {.xx = scale, .xy = 0, .x0 = left * room + half, .yx = 0, .yy = scale, .y0 = top * room + half};
}

double between(double low, double high, double fraction) {
  return low + (high - low) * fraction;
}

Affine draw_map(const AugmentationSettings& settings, const Draws& draws, int size) {
  const double last = size - 1;
  Affine map;
  if (settings.zoom_crop && draws.zoom < settings.zoom_probability) {
    map = zoom_map(between(1, settings.zoom, draws.magnification), draws.left, draws.top, size);
  }
  if (draws.rotate < settings.rotate_probability) {
    const double centre = settings.rotate_about_whole_pixel ? std::floor(size / 2.0) : last / 2;
    const double degrees = between(-settings.rotate_degrees, settings.rotate_degrees, draws.angle);
    map = then(map, rotation(degrees, centre));
  }
  if (draws.flip < settings.flip_probability) map = then(map, flip_map(last));
  if (settings.dihedral) map = then(map, quarter_turn(draws.quarter_turns, last));
  return map;
}

// To f32, with -0 as 0, so that equal tables have equal bits.
float rounded(double value) {
  return static_cast<float>(value) + 0.0f;
}

void check_range(const char* name, double value, double low, double high) {
  if (!(value >= low && value <= high)) {
    fail_usage("the augmentation setting {} is {}, outside {} to {}", name, value, low, high);
  }
}

}  // namespace

void check_settings(const AugmentationSettings& settings) {
  check_range("flip_probability", settings.flip_probability, 0, 1);
  check_range("rotate_degrees", settings.rotate_degrees, 0, 180);
  check_range("rotate_probability", settings.rotate_probability, 0, 1);
  check_range("zoom", settings.zoom, 1, 10);
  check_range("zoom_probability", settings.zoom_probability, 0, 1);
  check_range("lighting", settings.lighting, 0, 0.99);
}

AugmentationTable draw_table(const AugmentationSettings& settings, std::uint64_t seed, std::int64_t epoch,
                             std::uint32_t sample, int size) {
  check_settings(settings);
  DERMATOME_CHECK(size >= 1, "pictures of {} px cannot be augmented", size);
  const Draws draws(Philox(seed, random_stream(RandomUse::augmentation, epoch, sample)));
  const Affine map = draw_map(settings, draws, size);
  const double contrast = between(-settings.lighting, settings.lighting, draws.contrast);
  return {rounded(map.xx),
          rounded(map.xy),
          rounded(map.x0),
          rounded(map.yx),
          rounded(map.yy),
          rounded(map.y0),
          rounded(between(-settings.lighting, settings.lighting, draws.brightness)),
          rounded(contrast >= 0 ? 1 + contrast : 1 / (1 - contrast))};
}

std::vector<std::uint32_t> epoch_order(std::uint32_t count, std::uint64_t seed, std::int64_t epoch) {
  return shuffled(count, Philox(seed, random_stream(RandomUse::epoch_order, epoch)));
}

}  // namespace dermatome::data
