// A photograph, and a pair of photograph and mask, brought to a training size: the one way from files to the network.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "data/codec.h"
#include "data/content_hash.h"
#include "data/dataset.h"
#include "data/mask_repair.h"
#include "data/preparation.h"
#include "data/stored_grid.h"

namespace dermatome::data {

// size x size pixels of RGB, upright: resized (area where a side shrinks), then balanced in colour, then padded.
struct PreparedPhotograph {
  Image image;
  StoredGrid stored;
};

// A JPEG of at least four times the size a side is decoded at a half, a quarter or an eighth, so that what is resized
// still has twice the size (docs/design.md has the error). Throws Error for a size outside 1..kLargestSize, and naming
// the file and the cause as decode_rgb does.
PreparedPhotograph prepare_photograph(std::span<const std::uint8_t> bytes, std::string_view name,
                                      const Preparation& preparation);
PreparedPhotograph read_prepared(const std::filesystem::path& path, const Preparation& preparation);

// The mask has one channel of 0 and 255 and is upright as the photograph.
struct PreparedPair {
  PreparedPhotograph photograph;
  Image mask;
  MaskRepairs repairs;
  ContentHash image_file, mask_file;  // of the files as they are; set by whoever read them
};

// `image` and `mask` are the contents of the sample's files. Throws Error as above and as repair_mask does.
PreparedPair prepare_pair(const Sample& sample, std::span<const std::uint8_t> image, std::span<const std::uint8_t> mask,
                          const Preparation& preparation);

// Bytes that prepare_pair allocates at most at once for these files, from their headers; 0 for headers that it refuses.
std::size_t preparing_bytes(std::span<const std::uint8_t> image, std::span<const std::uint8_t> mask, int size);

}  // namespace dermatome::data
