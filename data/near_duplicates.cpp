// Three sieves, each finer and slower: 8 x 8 greys of all pairs, 16 x 16 greys, then details laid over each other.
#include "data/near_duplicates.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "data/content_hash.h"
#include "data/image/resize.h"
#include "data/prepared.h"
#include "engine/core/error.h"

namespace dermatome::data {
namespace {

constexpr std::array kTurns{Orientation::upright,    Orientation::mirror,
                            Orientation::half_turn,  Orientation::flip,
                            Orientation::transpose,  Orientation::quarter_clockwise,
                            Orientation::transverse, Orientation::quarter_anticlockwise};

// What the sieves let through. The first two only save time: true pairs lie well above them.
constexpr double kCoarseLikeness = 0.9;
constexpr double kRoughLikeness = 0.55;  // of details at half the resolution, before fitting

// Beyond that there is no need to look for an even better placement; folders may hold many copies of one picture.
constexpr double kBeyondDoubt = 0.95;

using Greys = std::vector<double>;  // rows of a square

// The means of blocks of a fingerprint, n x n, turned.
Greys reduced(const Fingerprint& print, int n, Orientation turn) {
  const int block = Fingerprint::kSide / n;
  Greys greys(static_cast<std::size_t>(n) * static_cast<std::size_t>(n));
  for (int y = 0; y < Fingerprint::kSide; ++y) {
    for (int x = 0; x < Fingerprint::kSide; ++x) {
      greys[static_cast<std::size_t>(y / block * n + x / block)] +=
          print.grey[static_cast<std::size_t>(y * Fingerprint::kSide + x)];
    }
  }
  if (turn == Orientation::upright) return greys;
  std::vector<float> values(greys.begin(), greys.end());  // sums of bytes: exact
  const auto result = turned<float>(values, n, n, 1, turn);
  return {result.begin(), result.end()};
}

// N greys less their mean, scaled so that the product of two such vectors is 2^28 times their correlation. Whole
// numbers add up the same way in any order, so compilers may use whatever instructions they like.
template <std::size_t N>
struct Shape {
  std::array<std::int16_t, N> values{};
  bool flat = true;  // no contrast to compare

  explicit Shape(const Greys& greys) {
    double mean = 0;
    for (const double grey : greys) mean += grey / static_cast<double>(N);
    double squares = 0;
    for (const double grey : greys) squares += (grey - mean) * (grey - mean);
    flat = squares < 1;
    if (flat) return;
    const double scale = 16384 / std::sqrt(squares);
    for (std::size_t i = 0; i < N; ++i) values[i] = static_cast<std::int16_t>(std::lround((greys[i] - mean) * scale));
  }
  Shape() = default;

  bool is_like(const Shape& other, double likeness) const {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < N; ++i) sum += values[i] * other.values[i];
    return sum >= static_cast<std::int32_t>(likeness * 268435456);
  }
};

using Small = Shape<64>;
using Medium = Shape<256>;

// The details of a fingerprint at n x n: greys less the mean of what surrounds them.
struct Details {
  int n;
  std::vector<double> values;

  Details(const Fingerprint& print, int size, int radius, Orientation turn) : n(size) {
    const Greys greys = reduced(print, n, turn);
    const Greys rows = sums_along(greys, radius, 1, n);
    const Greys sums = sums_along(rows, radius, n, 1);
    for (int y = 0; y < n; ++y) {
      for (int x = 0; x < n; ++x) {
        const int count = extent(x, radius) * extent(y, radius);
        const auto i = static_cast<std::size_t>(y * n + x);
        values.push_back(greys[i] - sums[i] / count);
      }
    }
  }

 private:
  int extent(int at, int radius) const { return std::min(n - 1, at + radius) - std::max(0, at - radius) + 1; }

  // Sums of up to 2 * radius + 1 neighbours in steps of `step`, for each of n lines `line` apart.
  Greys sums_along(const Greys& greys, int radius, int step, int line) const {
    Greys sums(greys.size());
    for (int l = 0; l < n; ++l) {
      for (int at = 0; at < n; ++at) {
        double sum = 0;
        for (int k = std::max(0, at - radius); k <= std::min(n - 1, at + radius); ++k) {
          sum += greys[static_cast<std::size_t>(l * line + k * step)];
        }
        sums[static_cast<std::size_t>(l * line + at * step)] = sum;
      }
    }
    return sums;
  }
};

// How the second photograph is laid over the first: pixels moved, then stretched about the middle.
struct Placement {
  std::array<double, 4> parameters{0, 0, 1, 1};  // x, y, stretch in x, stretch in y
};

double correlation(double sum_a, double sum_b, double squares_a, double squares_b, double products, double count) {
  const double variance = (squares_a - sum_a * sum_a / count) * (squares_b - sum_b * sum_b / count);
  return variance <= 0 ? -1 : (products - sum_a * sum_b / count) / std::sqrt(variance);
}

// Correlation over the middle of `a` with `b` sampled bilinearly where it is placed; -1 where too little of it
// overlaps.
double likeness(const Details& a, const Details& b, const Placement& placement) {
  const auto [dx, dy, sx, sy] = placement.parameters;
  const int n = a.n;
  const int margin = n / 10;
  const double middle = (n - 1) / 2.0;
  double sum_a = 0, sum_b = 0, squares_a = 0, squares_b = 0, products = 0;
  int count = 0;
  for (int y = margin; y < n - margin; ++y) {
    const double v = middle + (y - middle) * sy + dy;
    if (v < 0 || v >= n - 1) continue;
    const int row = static_cast<int>(v);
    const double fv = v - row;
    for (int x = margin; x < n - margin; ++x) {
      const double u = middle + (x - middle) * sx + dx;
      if (u < 0 || u >= n - 1) continue;
      const int column = static_cast<int>(u);
      const double fu = u - column;
      const double* at = b.values.data() + row * n + column;
      const double q = (1 - fv) * ((1 - fu) * at[0] + fu * at[1]) + fv * ((1 - fu) * at[n] + fu * at[n + 1]);
      const double p = a.values[static_cast<std::size_t>(y * n + x)];
      sum_a += p;
      sum_b += q;
      squares_a += p * p;
      squares_b += q * q;
      products += p * q;
      ++count;
    }
  }
  return count < n * n / 4 ? -1 : correlation(sum_a, sum_b, squares_a, squares_b, products, count);
}

// The same where `b` is moved by whole pixels, no further than the margin.
double likeness(const Details& a, const Details& b, int dx, int dy) {
  const int n = a.n;
  const int margin = n / 10;
  double sum_a = 0, sum_b = 0, squares_a = 0, squares_b = 0, products = 0;
  for (int y = margin; y < n - margin; ++y) {
    const double* row_a = a.values.data() + y * n;
    const double* row_b = b.values.data() + (y + dy) * n + dx;
    for (int x = margin; x < n - margin; ++x) {
      sum_a += row_a[x];
      sum_b += row_b[x];
      squares_a += row_a[x] * row_a[x];
      squares_b += row_b[x] * row_b[x];
      products += row_a[x] * row_b[x];
    }
  }
  const double count = (n - 2.0 * margin) * (n - 2.0 * margin);
  return correlation(sum_a, sum_b, squares_a, squares_b, products, count);
}

// The best of whole steps in both directions.
double best_shift(const Details& a, const Details& b, int reach, Placement& best) {
  double most = -1;
  for (int y = -reach; y <= reach; ++y) {
    for (int x = -reach; x <= reach; ++x) {
      const double value = likeness(a, b, x, y);
      if (value <= most) continue;
      most = value;
      best.parameters = {static_cast<double>(x), static_cast<double>(y), 1, 1};
    }
  }
  return most;
}

// Climbs from a placement in ever smaller steps of one parameter at a time.
double fitted(const Details& a, const Details& b, Placement placement) {
  constexpr double kGain = 1e-4;
  double most = likeness(a, b, placement);
  if (most >= kBeyondDoubt) return most;
  std::array<double, 4> steps{1, 1, 0.04, 0.04};
  for (int round = 0; round < 6; ++round) {
    for (bool rising = true; rising;) {
      rising = false;
      for (std::size_t k = 0; k < 8; ++k) {
        Placement moved = placement;
        moved.parameters[k / 2] += k % 2 == 0 ? steps[k / 2] : -steps[k / 2];
        const double value = likeness(a, b, moved);
        if (value <= most + kGain) continue;
        most = value;
        placement = moved;
        rising = true;
      }
    }
    for (double& step : steps) step /= 2;
  }
  return most;
}

double likeness(const Fingerprint& a, const Fingerprint& b, Orientation turn) {
  constexpr int kRough = 32;
  Placement placement;
  const Details rough_a(a, kRough, 2, Orientation::upright);
  const Details rough_b(b, kRough, 2, turn);
  if (best_shift(rough_a, rough_b, 2, placement) < kRoughLikeness) return -1;
  placement.parameters[0] *= 2;
  placement.parameters[1] *= 2;
  return fitted(Details(a, Fingerprint::kSide, 3, Orientation::upright), Details(b, Fingerprint::kSide, 3, turn),
                placement);
}

// One photograph as the first two sieves see it.
struct Shapes {
  Small small;
  Medium medium;

  Shapes() = default;
  Shapes(const Fingerprint& print, Orientation turn)
      : small(reduced(print, 8, turn)), medium(reduced(print, 16, turn)) {}

  bool is_like(const Shapes& other) const {
    return small.is_like(other.small, kCoarseLikeness) && medium.is_like(other.medium, kCoarseLikeness);
  }
};

// The pairs of one photograph with all before it.
std::vector<NearDuplicate> pairs_of(std::span<const Fingerprint> prints, const std::vector<Shapes>& shapes,
                                    std::size_t second) {
  std::vector<NearDuplicate> found;
  if (shapes[second].small.flat) return found;
  std::array<Shapes, kTurns.size()> turned_shapes;
  for (std::size_t t = 0; t < kTurns.size(); ++t) turned_shapes[t] = Shapes(prints[second], kTurns[t]);
  for (std::size_t first = 0; first < second; ++first) {
    if (shapes[first].small.flat) continue;
    NearDuplicate best{.first = first, .second = second};
    for (std::size_t t = 0; t < kTurns.size(); ++t) {
      if (!shapes[first].is_like(turned_shapes[t])) continue;
      const double value = likeness(prints[first], prints[second], kTurns[t]);
      if (value > best.likeness) {
        best.likeness = value;
        best.turn = kTurns[t];
      }
      if (best.likeness >= kBeyondDoubt) break;
    }
    if (best.likeness >= kSameLikeness) found.push_back(best);
  }
  return found;
}

}  // namespace

Fingerprint fingerprint_of(const Image& image) {
  check_image(image);
  DERMATOME_CHECK(image.width == Fingerprint::kSide && image.height == Fingerprint::kSide && image.channels == 3,
                  "a fingerprint is made of {0}x{0} pixels of RGB, not of {1}x{2} of {3} channel(s)",
                  Fingerprint::kSide, image.width, image.height, image.channels);
  Fingerprint print;
  for (std::size_t i = 0; i < print.grey.size(); ++i) {
    const std::uint8_t* pixel = image.pixels.data() + 3 * i;
    print.grey[i] = static_cast<std::uint8_t>((299 * pixel[0] + 587 * pixel[1] + 114 * pixel[2] + 500) / 1000);
  }
  return print;
}

Fingerprint fingerprint_of(std::span<const std::uint8_t> bytes, std::string_view name) {
  return fingerprint_of(prepare_photograph(bytes, name, Fingerprint::kSide).image);
}

std::vector<NearDuplicate> find_near_duplicates(std::span<const Fingerprint> photographs, const Progress& progress) {
  std::vector<NearDuplicate> all;
  std::vector<Fingerprint> different;
  std::vector<std::size_t> places;  // of the different ones among the photographs
  std::map<ContentHash, std::size_t> first_of;
  for (std::size_t i = 0; i < photographs.size(); ++i) {
    const auto [first, is_new] = first_of.emplace(hash_of(std::span(photographs[i].grey)), i);
    if (is_new) {
      different.push_back(photographs[i]);
      places.push_back(i);
    } else if (!Small(reduced(photographs[i], 8, Orientation::upright)).flat) {
      all.push_back({.first = first->second, .second = i, .likeness = 1});
    }
  }
  std::vector<Shapes> shapes;
  for (const Fingerprint& print : different) shapes.emplace_back(print, Orientation::upright);
  std::vector<std::vector<NearDuplicate>> found(different.size());
  const auto failures = for_each_file(different.size(), progress,
                                      [&](std::size_t second) { found[second] = pairs_of(different, shapes, second); });
  check_failures(failures, failures.size(), "");
  for (const auto& some : found) {
    for (NearDuplicate pair : some) {
      pair.first = places[pair.first];
      pair.second = places[pair.second];
      all.push_back(pair);
    }
  }
  std::sort(all.begin(), all.end(), [](const NearDuplicate& a, const NearDuplicate& b) {
    return std::pair(a.first, a.second) < std::pair(b.first, b.second);
  });
  return all;
}

}  // namespace dermatome::data
