// Connected photographs, found by union and find.
#include "data/groups.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <optional>
#include <unordered_map>

#include "data/csv.h"
#include "data/files.h"
#include "data/name_list.h"
#include "engine/core/error.h"

namespace dermatome::data {
namespace {

constexpr std::array<std::string_view, 6> kImageColumns{"image",   "image_id", "image_name",
                                                        "isic_id", "file",     "filename"};
constexpr std::array<std::string_view, 7> kGroupColumns{"patient", "patient_id", "lesion",  "lesion_id",
                                                        "case_id", "group",      "group_id"};

template <std::size_t N>
bool is_one_of(const std::string& name, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), lower_case(name)) != names.end();
}

// Where the columns stand in the header.
struct Columns {
  std::size_t image = 0;
  std::vector<std::size_t> groups;
};

Columns find_columns(const std::vector<std::string>& header, const std::string& column, const std::string& file) {
  Columns columns;
  const auto image =
      std::find_if(header.begin(), header.end(), [](const auto& name) { return is_one_of(name, kImageColumns); });
  DERMATOME_CHECK(image != header.end(), "{}:1: no column names the image (it may be called {})", file,
                  fmt::join(kImageColumns, ", "));
  columns.image = static_cast<std::size_t>(image - header.begin());
  for (std::size_t i = 0; i < header.size(); ++i) {
    if (column.empty() ? is_one_of(header[i], kGroupColumns) : header[i] == column) columns.groups.push_back(i);
  }
  if (!column.empty()) {
    DERMATOME_CHECK(!columns.groups.empty(), "{}:1: there is no column '{}', only {}", file, column,
                    first_names(header, header.size()));
  }
  DERMATOME_CHECK(!columns.groups.empty(),
                  "{}:1: no column says what belongs together (it may be called {}; another one "
                  "is named by --group-column)",
                  file, fmt::join(kGroupColumns, ", "));
  return columns;
}

using Index = std::unordered_map<std::string, std::size_t>;

// The id itself, or the file name without folder and extension.
std::optional<std::size_t> find_image(const Index& index, const std::string& image) {
  auto found = index.find(image);
  if (found == index.end()) found = index.find(std::filesystem::path(image).stem().string());
  return found == index.end() ? std::nullopt : std::optional(found->second);
}

void read_row(const std::vector<std::string>& fields, const Columns& columns, const Index& index,
              const std::string& file, std::size_t line, GroupTable& table) {
  if (fields.size() <= columns.image) return;
  const auto image = find_image(index, fields[columns.image]);
  if (!image) return;
  for (std::size_t c = 0; c < columns.groups.size(); ++c) {
    if (fields.size() <= columns.groups[c] || fields[columns.groups[c]].empty()) continue;
    std::string& label = table.labels[c][*image];
    const std::string& value = fields[columns.groups[c]];
    DERMATOME_CHECK(label.empty() || label == value,
                    "{}:{}: the image '{}' has the {} '{}' here but '{}' in a line above", file, line,
                    fields[columns.image], table.columns[c], value, label);
    label = value;
  }
}

// Forests of images: each points to another of its group, the root to itself, and the root is the group's first image.
class Forest {
 public:
  explicit Forest(std::size_t count) : parent_(count) { std::iota(parent_.begin(), parent_.end(), std::size_t{0}); }

  std::size_t root(std::size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }

  void join(std::size_t a, std::size_t b) {
    a = root(a);
    b = root(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<std::size_t> parent_;
};

// A label of the first column that has one for a member.
std::string name_of(std::span<const std::size_t> members, std::span<const std::string> ids, const GroupTable& table) {
  for (const auto& labels : table.labels) {
    for (const std::size_t i : members) {
      if (!labels[i].empty()) return labels[i];
    }
  }
  return members.size() > 1 ? ids[members.front()] : "";
}

}  // namespace

GroupTable read_groups_csv(const std::filesystem::path& path, std::span<const std::string> ids,
                           const std::string& column) {
  const std::string file = path.string();
  const auto lines = read_lines(path);
  DERMATOME_CHECK(!lines.empty(), "{} is empty; it needs a header and a line for each image", file);
  const auto header = split_csv_line(lines[0]);
  const Columns columns = find_columns(header, column, file);
  GroupTable table;
  for (const std::size_t at : columns.groups) {
    table.columns.push_back(header[at]);
    table.labels.emplace_back(ids.size());
  }
  Index index;
  for (std::size_t i = 0; i < ids.size(); ++i) index.emplace(ids[i], i);
  for (std::size_t i = 1; i < lines.size(); ++i) read_row(split_csv_line(lines[i]), columns, index, file, i + 1, table);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const bool named =
        std::any_of(table.labels.begin(), table.labels.end(), [&](const auto& l) { return !l[i].empty(); });
    table.named += named ? 1u : 0u;
  }
  DERMATOME_CHECK(table.named > 0, "{} names none of the {} images; it calls them '{}', they are called '{}'", file,
                  ids.size(), lines.size() > 1 ? split_csv_line(lines[1])[columns.image] : "",
                  ids.empty() ? "" : ids[0]);
  return table;
}

Groups make_groups(std::span<const std::string> ids, const GroupTable& table,
                   std::span<const NearDuplicate> duplicates) {
  Forest forest(ids.size());
  for (const auto& labels : table.labels) {
    std::unordered_map<std::string_view, std::size_t> first;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (labels[i].empty()) continue;
      const auto [at, is_new] = first.emplace(labels[i], i);
      if (!is_new) forest.join(at->second, i);
    }
  }
  for (const NearDuplicate& pair : duplicates) forest.join(pair.first, pair.second);

  std::map<std::size_t, std::vector<std::size_t>> members;  // by root, which is the first
  for (std::size_t i = 0; i < ids.size(); ++i) members[forest.root(i)].push_back(i);
  Groups groups{.of = std::vector<std::size_t>(ids.size()), .names = {}};
  for (const auto& [root, images] : members) {
    for (const std::size_t i : images) groups.of[i] = groups.names.size();
    groups.names.push_back(name_of(images, ids, table));
  }
  return groups;
}

}  // namespace dermatome::data
