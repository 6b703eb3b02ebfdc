// From folders to pairs of photograph and mask, and to the photographs of a prediction.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/split.h"

namespace dermatome::data {

// A photograph with its mask; the id is the photograph's file name without its ending.
struct Sample {
  std::string id;
  std::filesystem::path image;
  std::filesystem::path mask;
};

// A photograph whose name does not lead to exactly one mask.
struct Unpaired {
  enum class Cause : std::uint8_t { no_mask, several_masks, repeated_name };
  std::string id;
  Cause cause = Cause::no_mask;
  std::vector<std::filesystem::path> files;  // the photograph; the masks; the photographs
};

// Everything that two folders hold. Sorted by id.
struct Pairing {
  std::filesystem::path images;  // the folders
  std::filesystem::path masks;
  std::vector<Sample> samples;
  std::vector<Unpaired> unpaired;
  std::vector<std::filesystem::path> lone_masks;  // without a photograph

  std::size_t photographs() const { return samples.size() + unpaired.size(); }
};

// The two folders below `root` under the names that an ISIC challenge published, or else any two named `images` and
// `masks`, in any case:
//   2018  ISIC2018_Task1-2_{Training,Validation,Test}_Input    ISIC2018_Task1_{...}_GroundTruth
//   2017  ISIC-2017_{Training,Validation,Test_v2}_Data         ISIC-2017_{...}_Part1_GroundTruth
//   2016  ISBI2016_ISIC_Part1_{Training,Test}_Data             ISBI2016_ISIC_Part1_{...}_GroundTruth
// (a folder unpacked into one of its own name is looked through). Without `part`, the training part, or else the only
// part there is; `images` and `masks` are every part. Throws Error naming the folders where there is no such pair of
// folders or more than one.
Pairing find_pairs(const std::filesystem::path& root, std::optional<Part> part = std::nullopt);

// Pairs by name, in any case: the mask of NAME.jpg is NAME, NAME_segmentation, NAME_mask or NAME_lesion with the ending
// of a picture. Both folders may be the same one. Throws Error where there is no photograph at all.
Pairing pair_folders(const std::filesystem::path& images, const std::filesystem::path& masks);

// Whether `root` holds a folder for that part of a challenge.
bool has_part(const std::filesystem::path& root, Part part);

// Throws Error that names every photograph without a mask, with two masks, or with the same id. With `none_only`, only
// where no photograph has exactly one mask.
void check_pairing(const Pairing& pairing, bool none_only = false);

// "p1 has no mask in DIR" for each photograph without exactly one mask.
std::vector<std::string> causes_of(const Pairing& pairing);

// "no mask in DIR", "2 masks in DIR: a.png and b.png".
std::string cause_of(const Unpaired& unpaired, const Pairing& pairing);

// The pairs, checked.
std::vector<Sample> find_samples(const std::filesystem::path& root, std::optional<Part> part = std::nullopt);
std::vector<Sample> find_samples(const std::filesystem::path& images, const std::filesystem::path& masks);

// Photographs to predict: files as given, whatever their names, and the pictures of folders (of the folders below them
// too where `recursive`), clutter left out; each file once, in the order of `paths`, folders sorted. Throws Error for
// a path that does not exist and where nothing is found.
std::vector<std::filesystem::path> find_images(std::span<const std::filesystem::path> paths, bool recursive);

// Those of the pictures, found in the folder `root` and below, that are masks by their places: in a folder
// *_GroundTruth of a challenge, in a folder `masks` that has one named `images` beside it (both in any case, and `root`
// itself may be such a folder), or named as the mask of another picture in the same folder.
std::vector<std::filesystem::path> masks_among(std::span<const std::filesystem::path> pictures,
                                               const std::filesystem::path& root);

}  // namespace dermatome::data
