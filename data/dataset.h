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

// The pairs below `root`, which holds the two folders of an ISIC challenge under their published names:
//   2018  ISIC2018_Task1-2_{Training,Validation,Test}_Input    ISIC2018_Task1_{...}_GroundTruth
//   2017  ISIC-2017_{Training,Validation,Test_v2}_Data         ISIC-2017_{...}_Part1_GroundTruth
//   2016  ISBI2016_ISIC_Part1_{Training,Test}_Data             ISBI2016_ISIC_Part1_{...}_GroundTruth
// (a folder unpacked into one of its own name is looked through). Without `part`, the training part, or else the only
// part there is. Sorted by id. Throws Error naming the folders where there is no such pair of folders or more than one,
// and as the function below does.
std::vector<Sample> find_samples(const std::filesystem::path& root, std::optional<Part> part = std::nullopt);

// Pairs by name: the mask of NAME.jpg is NAME, NAME_segmentation, NAME_Segmentation, NAME_mask or NAME_lesion with the
// ending of a picture. Both folders may be the same one. Masks without a photograph are passed over. Sorted by id.
// Throws Error with the first names and their number for photographs without a mask, with two masks, or with the same
// id; and where there is no photograph at all.
std::vector<Sample> find_samples(const std::filesystem::path& images, const std::filesystem::path& masks);

// Photographs to predict: files as given, whatever their names, and the pictures of folders (of the folders below them
// too where `recursive`), clutter left out; each file once, in the order of `paths`, folders sorted. Throws Error for
// a path that does not exist and where nothing is found.
std::vector<std::filesystem::path> find_images(std::span<const std::filesystem::path> paths, bool recursive);

}  // namespace dermatome::data
