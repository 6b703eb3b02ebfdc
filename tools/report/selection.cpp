// Ranks the photographs by Jaccard and picks both ends and a spread of the middle.
#include "tools/report/selection.h"

#include <algorithm>
#include <cmath>

namespace dermatome::report {

PictureChoice choose_pictures(std::span<const ReportImage> images) {
  std::vector<std::size_t> ranked;
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (std::isfinite(images[i].jaccard)) ranked.push_back(i);
  }
  std::stable_sort(ranked.begin(), ranked.end(), [&](std::size_t a, std::size_t b) {
    if (images[a].jaccard != images[b].jaccard) return images[a].jaccard > images[b].jaccard;
    return images[a].id < images[b].id;
  });

  PictureChoice choice;
  const std::size_t best = std::min(kBestPictures, (ranked.size() + 1) / 2);
  const std::size_t worst = std::min(kWorstPictures, ranked.size() - best);
  const std::size_t between = ranked.size() - best - worst;
  const std::size_t others = std::min(kOtherPictures, between);
  for (std::size_t i = 0; i < best; ++i) choice.best.push_back(ranked[i]);
  for (std::size_t i = 0; i < worst; ++i) choice.worst.push_back(ranked[ranked.size() - 1 - i]);
  // The middles of `others` equal stretches of the ranks between.
  for (std::size_t i = 0; i < others; ++i) choice.others.push_back(ranked[best + (2 * i + 1) * between / (2 * others)]);
  return choice;
}

}  // namespace dermatome::report
