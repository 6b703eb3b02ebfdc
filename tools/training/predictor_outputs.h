// Where predictions are written: the tree of the photographs, mirrored below one folder; and their table.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/training/predictor_grid.h"

namespace dermatome::training {

struct PlannedFile {
  std::filesystem::path photograph;
  std::filesystem::path name;  // below the output folder, without ending: "clinic/IMG_0042"
};

struct FilePlan {
  std::vector<PlannedFile> files;
  std::vector<std::filesystem::path> masks;  // left out
};

// Photographs as given, and those of folders and the folders below them, each of which is mirrored: a/b/x.jpg of the
// given folder a becomes b/x. Files below `out` are what was predicted before, and passed over; masks in folders are
// left out (data::masks_among), unless they are given themselves. Each file comes once. Throws Error for a path that
// does not exist, where nothing is found, where two photographs would have one name, and where `suffixes` behind a name
// in `out` would be the name of a photograph or mask that was found.
FilePlan plan_files(const std::vector<std::filesystem::path>& inputs, const std::filesystem::path& out,
                    const std::vector<std::string>& suffixes);

// "2 masks are left out: a.png and b.png; ..."; empty where there are none.
std::string masks_sentence(const FilePlan& plan);

// Of predictions.csv.
std::string table_header();
std::string table_row(const PlannedFile& file, const std::string& suffix, const Prediction& prediction);

// The rows of a table that an earlier call wrote; none where there is no file.
struct EarlierTable {
  std::vector<std::string> rows;
  bool other_columns = false;  // than table_header(): then no row is kept
};
EarlierTable read_table(const std::filesystem::path& file);

// The earlier rows whose photograph and mask none of the rows has, in their order.
std::vector<std::string> kept_rows(const EarlierTable& earlier, const std::vector<std::string>& rows);

}  // namespace dermatome::training
