// Decoding no more pixels than the training size asks for.
#include "data/prepared.h"

#include <algorithm>

#include "data/files.h"
#include "data/image/pad.h"
#include "data/image/resize.h"

namespace dermatome::data {
namespace {

// A reduced picture keeps this many times the asked-for size a side.
constexpr int kOversampling = 2;

std::size_t pixels_of(const ImageInfo& info) {
  return static_cast<std::size_t>(info.width) * static_cast<std::size_t>(info.height);
}

// Also what a mask of 8 bits needs: its grey values beside its channels.
std::size_t plain_bytes(const ImageInfo& info) {
  return pixels_of(info) * (info.channels == 1 ? 2 : 4);
}

std::size_t photograph_bytes(const ImageInfo& info, int size) {
  const auto result = static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 6;
  if (info.format == FileFormat::tiff)
    return pixels_of(info) * (4 + static_cast<std::size_t>(info.channels * info.bits / 8)) + result;
  if (info.format != FileFormat::jpeg) return pixels_of(info) * 4 + result;
  const auto reduction = static_cast<std::size_t>(reduction_of(info, kOversampling * size, kOversampling * size));
  const std::size_t coefficients = info.many_scans ? pixels_of(info) * static_cast<std::size_t>(info.channels) * 2 : 0;
  return pixels_of(info) * 4 / (reduction * reduction) + coefficients + result;
}

std::size_t mask_bytes(const ImageInfo& info) {
  if (info.format == FileFormat::jpeg && info.many_scans) return plain_bytes(info) + pixels_of(info) * 6;
  if (info.bits != 16 && !info.has_alpha && info.format != FileFormat::tiff) return plain_bytes(info);
  return pixels_of(info) * (static_cast<std::size_t>(info.channels) * 4 + 3);
}

// Upright and size x size. Turning commutes with squashing and is cheaper afterwards; padding comes last, as the
// network sees upright pictures padded below and on the right.
Image placed(Image image, Orientation orientation, int size) {
  if (orientation != Orientation::upright) image = to_upright(image, orientation);
  return image.width == size && image.height == size ? std::move(image) : pad(image, size, size);
}

}  // namespace

PreparedPhotograph prepare_photograph(std::span<const std::uint8_t> bytes, std::string_view name,
                                      const Preparation& preparation) {
  check_size(preparation);
  const int size = preparation.size;
  const StoredPhotograph stored = decode_stored(bytes, name, kOversampling * size, kOversampling * size);
  const StoredGrid grid{.width = stored.width, .height = stored.height, .orientation = stored.orientation};
  const Sides content = content_of(preparation, stored.width, stored.height);
  Image image =
      resize_reduced(stored.image, stored.reduction, stored.width, stored.height, content.width, content.height);
  balance_colours(image, preparation.colours);
  return {.image = placed(std::move(image), grid.orientation, size), .stored = grid};
}

PreparedPhotograph read_prepared(const std::filesystem::path& path, const Preparation& preparation) {
  return prepare_photograph(read_file(path), path.string(), preparation);
}

PreparedPair prepare_pair(const Sample& sample, std::span<const std::uint8_t> image, std::span<const std::uint8_t> mask,
                          const Preparation& preparation) {
  PreparedPair pair{
      .photograph = prepare_photograph(image, sample.image.string(), preparation), .mask = {}, .repairs = {}};
  const StoredGrid& grid = pair.photograph.stored;
  const RepairedMask repaired =
      repair_mask(decode_mask(mask, sample.mask.string()), grid, sample.mask.string(), sample.image.string());
  pair.repairs = repaired.repairs;
  const Sides content = content_of(preparation, grid.width, grid.height);
  const bool nearest = preparation.masks == MaskResize::nearest;
  Image resized = nearest ? resize_mask_nearest(repaired.mask, content.width, content.height)
                          : resize_mask(repaired.mask, content.width, content.height);
  pair.mask = placed(std::move(resized), grid.orientation, preparation.size);
  return pair;
}

std::size_t preparing_bytes(std::span<const std::uint8_t> image, std::span<const std::uint8_t> mask, int size) {
  try {
    return std::max(photograph_bytes(probe(image, ""), size), mask_bytes(probe(mask, "")));
  } catch (const Error&) {
    return 0;
  }
}

}  // namespace dermatome::data
