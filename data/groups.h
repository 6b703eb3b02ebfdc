// Photographs that must go into the same part of a split: of one patient, of one lesion, or of one picture.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/near_duplicates.h"

namespace dermatome::data {

// What a CSV says of each image, in columns such as patient_id or lesion_id.
struct GroupTable {
  std::vector<std::string> columns;              // those that group, as the header spells them
  std::vector<std::vector<std::string>> labels;  // [column][image]; empty where nothing is said
  std::size_t named = 0;                         // images that have a label in some column
};

// Reads a CSV with a header. The image is named in the column image, image_id, image_name, isic_id, file or filename,
// by its id or file name; it is grouped by every column named patient, patient_id, lesion, lesion_id, case_id, group or
// group_id (in any case), or by `column` alone where that is not empty. Rows of images that are not among `ids` are
// passed over, since such tables often cover an archive. Throws Error naming file and line for a missing column, for an
// image with two different labels, and where no row names any of the images.
GroupTable read_groups_csv(const std::filesystem::path& path, std::span<const std::string> ids,
                           const std::string& column = "");

// Images by group.
struct Groups {
  std::vector<std::size_t> of;     // one an image; 0, 1, ... in the order of the groups' first images
  std::vector<std::string> names;  // one a group: its label, else the id of its first image; empty for a single image

  std::size_t count() const { return names.size(); }
};

// Images that share a label in any column, or are near-duplicates, are together, and so are those that are connected
// through others. Every image has a group of its own otherwise.
Groups make_groups(std::span<const std::string> ids, const GroupTable& table,
                   std::span<const NearDuplicate> duplicates);

}  // namespace dermatome::data
