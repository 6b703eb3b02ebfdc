// Pairing photographs with masks by name.
#include "data/dataset.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>

#include "data/files.h"
#include "data/folder.h"
#include "data/name_list.h"
#include "engine/core/error.h"

namespace dermatome::data {
namespace {

namespace fs = std::filesystem;

struct Layout {
  std::string_view challenge;
  Part part;
  std::string_view images;
  std::string_view masks;
};

constexpr std::array kLayouts{
    Layout{"ISIC 2018", Part::train, "ISIC2018_Task1-2_Training_Input", "ISIC2018_Task1_Training_GroundTruth"},
    Layout{"ISIC 2018", Part::validation, "ISIC2018_Task1-2_Validation_Input", "ISIC2018_Task1_Validation_GroundTruth"},
    Layout{"ISIC 2018", Part::test, "ISIC2018_Task1-2_Test_Input", "ISIC2018_Task1_Test_GroundTruth"},
    Layout{"ISIC 2017", Part::train, "ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth"},
    Layout{"ISIC 2017", Part::validation, "ISIC-2017_Validation_Data", "ISIC-2017_Validation_Part1_GroundTruth"},
    Layout{"ISIC 2017", Part::test, "ISIC-2017_Test_v2_Data", "ISIC-2017_Test_v2_Part1_GroundTruth"},
    Layout{"ISIC 2016", Part::train, "ISBI2016_ISIC_Part1_Training_Data", "ISBI2016_ISIC_Part1_Training_GroundTruth"},
    Layout{"ISIC 2016", Part::test, "ISBI2016_ISIC_Part1_Test_Data", "ISBI2016_ISIC_Part1_Test_GroundTruth"},
};

// No suffix comes first, so that an exact name is found too. Names are compared in lower case.
constexpr std::array<std::string_view, 4> kMaskSuffixes{"", "_segmentation", "_mask", "_lesion"};

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

void check_folder(const fs::path& path) {
  std::error_code ignored;
  DERMATOME_CHECK(fs::exists(path, ignored), "the folder {} does not exist", path.string());
  DERMATOME_CHECK(is_folder(path), "{} is a file, not a folder", path.string());
}

// Unpacking an archive NAME.zip often gives NAME/NAME.
fs::path unwrapped(const fs::path& root, std::string_view name) {
  const fs::path folder = root / name;
  return is_folder(folder / name) ? folder / name : folder;
}

std::vector<Layout> layouts_in(const fs::path& root) {
  std::vector<Layout> found;
  for (const Layout& layout : kLayouts) {
    if (is_folder(root / layout.images)) found.push_back(layout);
  }
  return found;
}

// The layouts of the part asked for; without one, of the training part, or of all parts where none is for training.
std::vector<Layout> layouts_of(const std::vector<Layout>& found, std::optional<Part> part) {
  std::vector<Layout> chosen;
  std::copy_if(found.begin(), found.end(), std::back_inserter(chosen),
               [&](const Layout& layout) { return layout.part == part.value_or(Part::train); });
  return chosen.empty() && !part ? found : chosen;
}

std::string image_folders(std::span<const Layout> layouts) {
  std::vector<std::string> names;
  for (const Layout& layout : layouts) names.emplace_back(layout.images);
  return first_names(names, names.size());
}

Layout choose_layout(const fs::path& root, const std::vector<Layout>& found, std::optional<Part> part) {
  const auto chosen = layouts_of(found, part);
  DERMATOME_CHECK(!chosen.empty(), "{} holds no {} part of an ISIC challenge, only {}", root.string(),
                  name_of(part.value_or(Part::train)), image_folders(found));
  DERMATOME_CHECK(chosen.size() == 1, "{} holds several data sets ({}); give one of them a folder of its own",
                  root.string(), image_folders(chosen));
  return chosen.front();
}

// The folder below `root` of that name in any case; empty where there is none.
fs::path folder_named(const fs::path& root, std::string_view name) {
  std::error_code error;
  for (fs::directory_iterator entry(root, error), end; !error && entry != end; entry.increment(error)) {
    if (lower_case(entry->path().filename().string()) == name && is_folder(entry->path())) return entry->path();
  }
  return {};
}

// Pictures by the name they are paired by. One name can belong to several files: that is for the caller to refuse.
using ByStem = std::map<std::string, std::vector<fs::path>>;

ByStem by_stem(const std::vector<fs::path>& pictures) {
  ByStem result;
  for (const auto& path : pictures) result[lower_case(path.stem().string())].push_back(path);
  return result;
}

bool ends_like_mask(const fs::path& path) {
  const std::string stem = lower_case(path.stem().string());
  return std::any_of(kMaskSuffixes.begin() + 1, kMaskSuffixes.end(),
                     [&](std::string_view suffix) { return stem.ends_with(suffix); });
}

bool is_folder_of_masks(const fs::path& folder) {
  const std::string name = lower_case(folder.filename().string());
  if (name == "masks") return !folder_named(folder.parent_path(), "images").empty();
  return name.ends_with("_groundtruth");
}

// Whether the folder, or one above it down from those in `known`, is of masks. Remembers what was found out.
bool is_below_masks(const fs::path& folder, std::map<fs::path, bool>& known) {
  if (const auto found = known.find(folder); found != known.end()) return found->second;
  const fs::path above = folder.parent_path();
  const bool answer = is_folder_of_masks(folder) || (above != folder && is_below_masks(above, known));
  return known[folder] = answer;
}

// Whether a picture beside it, by the names of all in lower case, is the photograph that its suffix makes it the mask
// of.
bool is_mask_of_neighbour(const fs::path& picture, const std::set<fs::path>& names) {
  const std::string stem = lower_case(picture.stem().string());
  return std::any_of(kMaskSuffixes.begin() + 1, kMaskSuffixes.end(), [&](std::string_view suffix) {
    return stem.ends_with(suffix) &&
           names.contains(picture.parent_path() / stem.substr(0, stem.size() - suffix.size()));
  });
}

// Takes the masks of a photograph out of `masks`, which keeps those that nobody asked for.
std::vector<fs::path> take_masks(const std::string& stem, ByStem& masks) {
  std::vector<fs::path> found;
  for (const std::string_view suffix : kMaskSuffixes) {
    const auto at = masks.find(stem + std::string(suffix));
    if (at == masks.end()) continue;
    found.insert(found.end(), at->second.begin(), at->second.end());
    masks.erase(at);
  }
  return found;
}

std::string names_of(const std::vector<fs::path>& paths) {
  std::vector<std::string> names;
  for (const auto& path : paths) names.push_back(path.filename().string());
  return fmt::format("{}", fmt::join(names, " and "));
}

bool lacks_mask(const Unpaired& unpaired) {
  return unpaired.cause == Unpaired::Cause::no_mask;
}

}  // namespace

Pairing find_pairs(const fs::path& root, std::optional<Part> part) {
  check_folder(root);
  const auto found = layouts_in(root);
  if (found.empty()) {
    const fs::path images = folder_named(root, "images");
    const fs::path masks = folder_named(root, "masks");
    DERMATOME_CHECK(!images.empty() && !masks.empty(),
                    "{} holds no folder of an ISIC challenge such as {}, nor two folders images and masks; give the "
                    "folders of photographs and masks by --images and --masks",
                    root.string(), kLayouts[3].images);
    return pair_folders(images, masks);
  }
  const Layout layout = choose_layout(root, found, part);
  DERMATOME_CHECK(is_folder(root / layout.masks), "{} holds {} but not {}, the folder of its masks", root.string(),
                  layout.images, layout.masks);
  return pair_folders(unwrapped(root, layout.images), unwrapped(root, layout.masks));
}

Pairing pair_folders(const fs::path& images, const fs::path& masks) {
  check_folder(images);
  check_folder(masks);
  const bool same_folder = fs::equivalent(images, masks);
  auto photographs = list_pictures(images);
  auto mask_files = list_pictures(masks);
  if (same_folder) {
    std::erase_if(photographs, ends_like_mask);
    std::erase_if(mask_files, [](const auto& path) { return !ends_like_mask(path); });
  }
  DERMATOME_CHECK(!photographs.empty(), "{} holds no photographs (JPEG, PNG, BMP or TIFF files)", images.string());
  ByStem masks_left = by_stem(mask_files);

  Pairing pairing{.images = images, .masks = masks, .samples = {}, .unpaired = {}, .lone_masks = {}};
  for (const auto& [stem, paths] : by_stem(photographs)) {
    const auto found = take_masks(stem, masks_left);
    const std::string id = paths.front().stem().string();
    if (paths.size() > 1) {
      pairing.unpaired.push_back({.id = id, .cause = Unpaired::Cause::repeated_name, .files = paths});
    } else if (found.empty()) {
      pairing.unpaired.push_back({.id = id, .cause = Unpaired::Cause::no_mask, .files = paths});
    } else if (found.size() > 1) {
      pairing.unpaired.push_back({.id = id, .cause = Unpaired::Cause::several_masks, .files = found});
    } else {
      pairing.samples.push_back({.id = id, .image = paths.front(), .mask = found.front()});
    }
  }
  for (const auto& [stem, paths] : masks_left) {
    pairing.lone_masks.insert(pairing.lone_masks.end(), paths.begin(), paths.end());
  }
  std::sort(pairing.samples.begin(), pairing.samples.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return pairing;
}

bool has_part(const fs::path& root, Part part) {
  const auto found = layouts_in(root);
  return std::any_of(found.begin(), found.end(), [&](const Layout& layout) { return layout.part == part; });
}

void check_pairing(const Pairing& pairing, bool none_only) {
  const std::string images = pairing.images.string();
  const std::string masks = pairing.masks.string();
  const auto& unpaired = pairing.unpaired;
  if (pairing.samples.empty() && std::all_of(unpaired.begin(), unpaired.end(), lacks_mask)) {
    const std::string& id = unpaired.front().id;
    fail("none of the {} photographs in {} has a mask in {}: the mask of {} is sought as {}_segmentation.png",
         unpaired.size(), images, masks, id, id);
  }
  DERMATOME_CHECK(!pairing.samples.empty(), "no photograph in {} has exactly one mask in {}:{}", images, masks,
                  listed(causes_of(pairing)));
  DERMATOME_CHECK(none_only || unpaired.empty(),
                  "{} of {} photographs in {} cannot be used; --skip-bad leaves {} out:{}", unpaired.size(),
                  pairing.photographs(), images, unpaired.size() == 1 ? "it" : "them", listed(causes_of(pairing)));
}

std::vector<std::string> causes_of(const Pairing& pairing) {
  std::vector<std::string> causes;
  for (const auto& unpaired : pairing.unpaired) {
    causes.push_back(fmt::format("{} has {}", unpaired.id, cause_of(unpaired, pairing)));
  }
  return causes;
}

std::string cause_of(const Unpaired& unpaired, const Pairing& pairing) {
  switch (unpaired.cause) {
    case Unpaired::Cause::no_mask: return fmt::format("no mask in {}", pairing.masks.string());
    case Unpaired::Cause::several_masks:
      return fmt::format("{} masks in {}: {}", unpaired.files.size(), pairing.masks.string(), names_of(unpaired.files));
    case Unpaired::Cause::repeated_name:
      return fmt::format("a name that {} photographs share: {}", unpaired.files.size(), names_of(unpaired.files));
  }
  return "?";
}

std::vector<Sample> find_samples(const fs::path& root, std::optional<Part> part) {
  Pairing pairing = find_pairs(root, part);
  check_pairing(pairing);
  return std::move(pairing.samples);
}

std::vector<Sample> find_samples(const fs::path& images, const fs::path& masks) {
  Pairing pairing = pair_folders(images, masks);
  check_pairing(pairing);
  return std::move(pairing.samples);
}

std::vector<fs::path> find_images(std::span<const fs::path> paths, bool recursive) {
  std::vector<fs::path> images;
  std::set<fs::path> seen;
  const auto add = [&](const fs::path& path) {
    std::error_code error;
    const fs::path real = fs::weakly_canonical(path, error);
    if (seen.insert(error ? path : real).second) images.push_back(path);
  };
  for (const fs::path& path : paths) {
    std::error_code ignored;
    DERMATOME_CHECK(fs::exists(path, ignored), "{} does not exist", path.string());
    if (!is_folder(path)) {
      add(path);
    } else {
      for (const auto& picture : list_pictures(path, recursive)) add(picture);
    }
  }
  if (images.empty()) {
    std::vector<std::string> names;
    for (const fs::path& path : paths) names.push_back(path.string());
    fail("no photographs (JPEG, PNG, BMP or TIFF files) in {}{}",
         names.empty() ? "an empty list of paths" : first_names(names),
         recursive ? "" : "; folders below are left out unless --recursive is given");
  }
  return images;
}

std::vector<fs::path> masks_among(std::span<const fs::path> pictures, const fs::path& root) {
  std::set<fs::path> names;
  for (const auto& picture : pictures) names.insert(picture.parent_path() / lower_case(picture.stem().string()));
  const fs::path top = (root / "").parent_path();  // without a slash at its end, as the folders of pictures are
  std::error_code ignored;
  std::map<fs::path, bool> known{{top, is_folder_of_masks(fs::weakly_canonical(top, ignored))}};
  std::vector<fs::path> masks;
  for (const auto& picture : pictures) {
    if (is_below_masks(picture.parent_path(), known) || is_mask_of_neighbour(picture, names)) masks.push_back(picture);
  }
  return masks;
}

}  // namespace dermatome::data
