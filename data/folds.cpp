// Dealing groups into folds.
#include "data/folds.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <unordered_map>

#include "data/csv.h"
#include "data/files.h"
#include "data/name_list.h"
#include "data/random_streams.h"
#include "engine/core/error.h"

namespace dermatome::data {
namespace {

constexpr std::string_view kTestFold = "test";

struct Hand {
  std::size_t group = 0;
  std::vector<std::size_t> images;
};

// The groups whose images are not for the test, in the order in which they are dealt.
std::vector<Hand> hands_of(std::span<const std::string> ids, std::span<const Part> parts, const Groups& groups,
                           std::uint64_t seed) {
  std::vector<std::size_t> by_id(ids.size());
  std::iota(by_id.begin(), by_id.end(), std::size_t{0});
  std::sort(by_id.begin(), by_id.end(), [&](std::size_t a, std::size_t b) { return ids[a] < ids[b]; });
  std::vector<Hand> hands;
  std::vector<std::optional<std::size_t>> hand_of(groups.count());
  for (const std::uint32_t position :
       shuffled(static_cast<std::uint32_t>(ids.size()), Philox(seed, random_stream(RandomUse::split)))) {
    const std::size_t image = by_id[position];
    if (parts[image] == Part::test) continue;
    auto& hand = hand_of[groups.of[image]];
    if (!hand) {
      hand = hands.size();
      hands.push_back({.group = groups.of[image], .images = {}});
    }
    hands[*hand].images.push_back(image);
  }
  std::stable_sort(hands.begin(), hands.end(),
                   [](const Hand& a, const Hand& b) { return a.images.size() > b.images.size(); });
  return hands;
}

std::size_t column_named(const std::vector<std::string>& header, std::string_view name, const std::string& file) {
  const auto at = std::find(header.begin(), header.end(), name);
  DERMATOME_CHECK(at != header.end(), "{}:1: the header has no column '{}' (it needs 'image' and 'fold')", file, name);
  return static_cast<std::size_t>(at - header.begin());
}

Fold fold_named(const std::string& name, std::size_t folds, const std::string& file, std::size_t line) {
  if (name == kTestFold) return std::nullopt;
  std::size_t number = 0;
  const auto end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data(), end, number);
  DERMATOME_CHECK(error == std::errc() && rest == end && number >= 1 && number <= folds,
                  "{}:{}: '{}' is no fold (1 to {}, or test)", file, line, name, folds);
  return number - 1;
}

}  // namespace

std::vector<Fold> split_into_folds(std::span<const std::string> ids, std::size_t folds, double test_share,
                                   std::uint64_t seed, const Groups& groups) {
  if (groups.of.empty() && !ids.empty())
    return split_into_folds(ids, folds, test_share, seed, make_groups(ids, {}, {}));
  const auto parts = split_by_share(ids, {.validation = 0, .test = test_share}, seed, groups);
  const auto hands = hands_of(ids, parts, groups, seed);
  DERMATOME_CHECK(hands.size() >= folds,
                  "{} folds need as many photographs or groups that belong together, and there {} {}", folds,
                  hands.size() == 1 ? "is" : "are", hands.size());
  std::vector<std::size_t> sizes(folds);
  std::vector<Fold> fold_of(ids.size());
  for (const Hand& hand : hands) {
    const auto smallest = static_cast<std::size_t>(std::min_element(sizes.begin(), sizes.end()) - sizes.begin());
    sizes[smallest] += hand.images.size();
    for (const std::size_t image : hand.images) fold_of[image] = smallest;
  }
  return fold_of;
}

std::vector<Part> parts_of_fold(std::span<const Fold> folds, std::size_t fold) {
  std::vector<Part> parts;
  for (const Fold& of : folds) parts.push_back(!of ? Part::test : *of == fold ? Part::validation : Part::train);
  return parts;
}

void write_folds_csv(const std::filesystem::path& path, std::span<const std::string> ids, std::span<const Fold> folds,
                     const Groups& groups) {
  DERMATOME_CHECK(ids.size() == folds.size(), "{} images cannot have {} folds in {}", ids.size(), folds.size(),
                  path.string());
  const bool grouped = !groups.of.empty();
  std::string text = grouped ? "image,fold,group\n" : "image,fold\n";
  for (std::size_t i = 0; i < ids.size(); ++i) {
    text += fmt::format("{},{}", csv_field(ids[i]), folds[i] ? std::to_string(*folds[i] + 1) : std::string(kTestFold));
    text += grouped ? fmt::format(",{}\n", csv_field(groups.names[groups.of[i]])) : "\n";
  }
  write_file(path, text);
}

std::vector<Fold> read_folds_csv(const std::filesystem::path& path, std::span<const std::string> ids,
                                 std::size_t folds) {
  const std::string file = path.string();
  const auto lines = read_lines(path);
  DERMATOME_CHECK(!lines.empty(), "{} is empty; it needs a header with the columns 'image' and 'fold'", file);
  const auto header = split_csv_line(lines.front());
  const std::size_t image_column = column_named(header, "image", file);
  const std::size_t fold_column = column_named(header, "fold", file);
  std::unordered_map<std::string_view, std::size_t> index;
  for (std::size_t i = 0; i < ids.size(); ++i) index.emplace(ids[i], i);
  std::vector<Fold> fold_of(ids.size());
  std::vector<bool> named(ids.size());
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto fields = split_csv_line(lines[i]);
    DERMATOME_CHECK(fields.size() > std::max(image_column, fold_column), "{}:{}: the row has only {} field(s)", file,
                    i + 1, fields.size());
    const auto found = index.find(fields[image_column]);
    DERMATOME_CHECK(found != index.end(), "{}:{}: the data hold no image '{}'", file, i + 1, fields[image_column]);
    fold_of[found->second] = fold_named(fields[fold_column], folds, file, i + 1);
    named[found->second] = true;
  }
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!named[i]) missing.push_back(ids[i]);
  }
  DERMATOME_CHECK(missing.empty(), "{} gives no fold to {} of {} images: {}", file, missing.size(), ids.size(),
                  first_names(missing));
  return fold_of;
}

}  // namespace dermatome::data
