// Cross-validation: images dealt into folds, each of which validates what is trained on the others.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/groups.h"
#include "data/split.h"

namespace dermatome::data {

// The fold, from 0, that an image belongs to; absent for those that are kept for a test.
using Fold = std::optional<std::size_t>;

// One fold an id, in the order of `ids`. The test part is the one that split_by_share takes for the same seed; the
// groups that are left are dealt by a shuffle of that seed, the largest first, each to the fold that has the fewest
// images. Throws Error as split_by_share does, and where a fold would be empty.
std::vector<Fold> split_into_folds(std::span<const std::string> ids, std::size_t folds, double test_share,
                                   std::uint64_t seed, const Groups& groups = {});

// What each image is to the run that fold `fold` validates.
std::vector<Part> parts_of_fold(std::span<const Fold> folds, std::size_t fold);

// A CSV with columns image, fold (from 1, or "test") and, with groups, group.
void write_folds_csv(const std::filesystem::path& path, std::span<const std::string> ids, std::span<const Fold> folds,
                     const Groups& groups = {});

// The folds of `ids` in such a file. Throws Error with the line number for an unknown image or fold, or without these
// columns, and for ids that the file does not name.
std::vector<Fold> read_folds_csv(const std::filesystem::path& path, std::span<const std::string> ids,
                                 std::size_t folds);

}  // namespace dermatome::data
