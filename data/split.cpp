// Splits by share and by file.
#include "data/split.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <unordered_map>

#include "data/csv.h"
#include "data/files.h"
#include "data/name_list.h"
#include "data/random_streams.h"
#include "engine/core/error.h"

namespace dermatome::data {
namespace {

using Index = std::unordered_map<std::string_view, std::size_t>;

Index index_of(std::span<const std::string> ids) {
  Index index;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    DERMATOME_CHECK(index.emplace(ids[i], i).second, "the image '{}' comes twice in the data", ids[i]);
  }
  return index;
}

std::size_t count_of(double share, std::size_t total, Part part) {
  DERMATOME_CHECK(share >= 0 && share < 1, "a {} share of {} is outside 0 to 1", name_of(part), share);
  const auto count = static_cast<std::size_t>(std::floor(share * static_cast<double>(total) + 0.5));
  DERMATOME_CHECK(share == 0 || count > 0, "a {} share of {} leaves no image for it out of {}", name_of(part), share,
                  total);
  return count;
}

// A part that takes so many images.
struct Room {
  Part part;
  std::size_t wanted = 0;
  std::size_t taken = 0;
};

// The first part with room for a group of that size, or the training.
Part place(std::size_t size, std::span<Room> rooms) {
  for (Room& room : rooms) {
    if (room.taken + size > room.wanted) continue;
    room.taken += size;
    return room.part;
  }
  return Part::train;
}

// Where the two columns stand in the header.
struct Columns {
  std::size_t image;
  std::size_t part;
};

Columns find_columns(const std::vector<std::string>& header, const std::string& file) {
  const auto find = [&](std::string_view name) {
    const auto at = std::find_if(header.begin(), header.end(), [&](const auto& h) { return lower_case(h) == name; });
    DERMATOME_CHECK(at != header.end(), "{}:1: the header has no column '{}' (it needs 'image' and 'part')", file,
                    name);
    return static_cast<std::size_t>(at - header.begin());
  };
  return {.image = find("image"), .part = find("part")};
}

// The id itself, or the file name without folder and extension.
Index::const_iterator find_image(const Index& index, const std::string& image) {
  const auto found = index.find(image);
  return found != index.end() ? found : index.find(std::filesystem::path(image).stem().string());
}

std::optional<Part> part_named(std::string_view name) {
  for (const Part part : {Part::train, Part::validation, Part::test}) {
    if (name_of(part) == name) return part;
  }
  return std::nullopt;
}

// Fills parts and the line that named each image (0: none yet) from one row.
struct Assignment {
  std::vector<Part> parts;
  std::vector<std::size_t> lines;
};

void assign_row(const std::vector<std::string>& fields, Columns columns, const Index& index, const std::string& file,
                std::size_t line, Assignment& assignment) {
  DERMATOME_CHECK(fields.size() > std::max(columns.image, columns.part), "{}:{}: the row has only {} field(s)", file,
                  line, fields.size());
  const std::string& image = fields[columns.image];
  const auto found = find_image(index, image);
  DERMATOME_CHECK(found != index.end(), "{}:{}: the data hold no image '{}'", file, line, image);
  const auto part = part_named(fields[columns.part]);
  DERMATOME_CHECK(part.has_value(), "{}:{}: '{}' is no part (train, validation or test)", file, line,
                  fields[columns.part]);
  std::size_t& earlier = assignment.lines[found->second];
  DERMATOME_CHECK(earlier == 0, "{}:{}: the image '{}' stands already in line {}", file, line, image, earlier);
  earlier = line;
  assignment.parts[found->second] = *part;
}

}  // namespace

std::string_view name_of(Part part) {
  switch (part) {
    case Part::train: return "train";
    case Part::validation: return "validation";
    case Part::test: return "test";
  }
  return "?";
}

Part parse_part(std::string_view name) {
  const auto part = part_named(name);
  if (!part) fail_usage("'{}' is no part (train, validation or test)", name);
  return *part;
}

std::vector<Part> split_by_share(std::span<const std::string> ids, Shares shares, std::uint64_t seed,
                                 const Groups& groups) {
  if (groups.of.empty() && !ids.empty()) return split_by_share(ids, shares, seed, make_groups(ids, {}, {}));
  index_of(ids);
  DERMATOME_CHECK(groups.of.size() == ids.size(), "{} images cannot have groups of {}", ids.size(), groups.of.size());
  const std::size_t tests = count_of(shares.test, ids.size(), Part::test);
  const std::size_t validations = count_of(shares.validation, ids.size(), Part::validation);
  DERMATOME_CHECK(tests + validations < ids.size(),
                  "shares of {} for validation and {} for testing leave nothing to train on out of {} image(s)",
                  shares.validation, shares.test, ids.size());
  std::vector<std::size_t> by_id(ids.size());
  std::iota(by_id.begin(), by_id.end(), std::size_t{0});
  std::sort(by_id.begin(), by_id.end(), [&](std::size_t a, std::size_t b) { return ids[a] < ids[b]; });
  const auto order = shuffled(static_cast<std::uint32_t>(ids.size()), Philox(seed, random_stream(RandomUse::split)));

  std::vector<std::size_t> sizes(groups.count());
  for (const std::size_t group : groups.of) ++sizes[group];
  std::array<Room, 2> rooms{Room{.part = Part::test, .wanted = tests},
                            Room{.part = Part::validation, .wanted = validations}};
  std::vector<std::optional<Part>> part_of(groups.count());
  for (const std::uint32_t position : order) {
    auto& part = part_of[groups.of[by_id[position]]];
    if (!part) part = place(sizes[groups.of[by_id[position]]], rooms);
  }
  const std::size_t smallest = *std::min_element(sizes.begin(), sizes.end());
  for (const Room& room : rooms) {
    DERMATOME_CHECK(room.wanted == 0 || room.taken > 0,
                    "no group of images that belong together fits into the {} part: it shall have {} images, the "
                    "smallest group has {}",
                    name_of(room.part), room.wanted, smallest);
  }
  std::vector<Part> parts;
  for (const std::size_t group : groups.of) parts.push_back(*part_of[group]);
  return parts;
}

std::vector<std::size_t> torn_groups(const Groups& groups, std::span<const Part> parts) {
  DERMATOME_CHECK(groups.of.size() == parts.size(), "{} parts are not those of {} images", parts.size(),
                  groups.of.size());
  std::vector<std::optional<Part>> first(groups.count());
  std::vector<bool> torn(groups.count());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto& part = first[groups.of[i]];
    if (!part) part = parts[i];
    if (*part != parts[i]) torn[groups.of[i]] = true;
  }
  std::vector<std::size_t> result;
  for (std::size_t g = 0; g < torn.size(); ++g) {
    if (torn[g]) result.push_back(g);
  }
  return result;
}

std::vector<Part> read_split_csv(const std::filesystem::path& path, std::span<const std::string> ids) {
  const auto lines = read_lines(path);
  const std::string file = path.string();
  DERMATOME_CHECK(!lines.empty(), "{} is empty; it needs a header with the columns 'image' and 'part'", file);
  const Columns columns = find_columns(split_csv_line(lines[0]), file);
  const Index index = index_of(ids);
  Assignment assignment{.parts = std::vector<Part>(ids.size()), .lines = std::vector<std::size_t>(ids.size())};
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].find_first_not_of(" \t\r") == std::string_view::npos) continue;
    assign_row(split_csv_line(lines[i]), columns, index, file, i + 1, assignment);
  }
  std::vector<std::string> unassigned;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (assignment.lines[i] == 0) unassigned.push_back(ids[i]);
  }
  DERMATOME_CHECK(unassigned.empty(), "{} gives no part to {} of {} images: {}", file, unassigned.size(), ids.size(),
                  first_names(unassigned));
  return assignment.parts;
}

void write_split_csv(const std::filesystem::path& path, std::span<const std::string> ids, std::span<const Part> parts,
                     const Groups& groups) {
  DERMATOME_CHECK(ids.size() == parts.size(), "{} images cannot have {} parts in {}", ids.size(), parts.size(),
                  path.string());
  const bool grouped = !groups.of.empty();
  DERMATOME_CHECK(!grouped || groups.of.size() == ids.size(), "{} images cannot have groups of {} in {}", ids.size(),
                  groups.of.size(), path.string());
  std::string text = grouped ? "image,part,group\n" : "image,part\n";
  for (std::size_t i = 0; i < ids.size(); ++i) {
    text += fmt::format("{},{}", csv_field(ids[i]), name_of(parts[i]));
    text += grouped ? fmt::format(",{}\n", csv_field(groups.names[groups.of[i]])) : "\n";
  }
  write_file(path, text);
}

}  // namespace dermatome::data
