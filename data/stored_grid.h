// The pixel grid of a photograph's file, in which masks are stored and scores are taken.
#pragma once

#include "data/image/orientation.h"

namespace dermatome::data {

struct StoredGrid {
  int width = 0;
  int height = 0;
  Orientation orientation = Orientation::upright;

  friend bool operator==(const StoredGrid&, const StoredGrid&) = default;
};

}  // namespace dermatome::data
