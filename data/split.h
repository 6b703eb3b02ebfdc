// Which image is trained on, which validates, which tests: drawn by share or read from a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/groups.h"

namespace dermatome::data {

enum class Part : std::uint8_t { train, validation, test };

std::string_view name_of(Part part);

// "train", "validation" or "test"; throws UsageError naming these.
Part parse_part(std::string_view name);

// How much of the images goes where; the rest is trained on.
struct Shares {
  double validation = 0;
  double test = 0;
};

// One part an id, in the order of `ids`. The ids are sorted and shuffled by Philox(seed), so the same ids in any order
// are split alike; the first round(count * test) are test, the next round(count * validation) are validation.
// Throws Error for shares outside [0, 1), for duplicate ids, and where a share above 0 or the training gets no image.
// Groups stay whole: each, in the order of its first image after the shuffle, goes to the first part that has room for
// all of it, test before validation before training. So no part gets more than its share. No groups mean one an image.
// Throws Error besides where all groups are too large for a part.
std::vector<Part> split_by_share(std::span<const std::string> ids, Shares shares, std::uint64_t seed,
                                 const Groups& groups = {});

// The groups whose images lie in more than one part.
std::vector<std::size_t> torn_groups(const Groups& groups, std::span<const Part> parts);

// A CSV with a header that names at least the columns `image` and `part`; other columns are ignored. An image is
// named by its id, or by its file name. Gives one part an id, in the order of `ids`. Throws Error with the line
// number for an unknown image or part, an image that comes twice, or a row without these columns; and for ids that the
// file does not name.
std::vector<Part> read_split_csv(const std::filesystem::path& path, std::span<const std::string> ids);

// Rows in the order of `ids`; with groups there is a column `group` of their names. Throws Error where the sizes differ
// or the file cannot be written.
void write_split_csv(const std::filesystem::path& path, std::span<const std::string> ids, std::span<const Part> parts,
                     const Groups& groups = {});

}  // namespace dermatome::data
