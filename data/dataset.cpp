// Pairing photographs with masks by name.
#include "data/dataset.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>

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

// No suffix comes first, so that an exact name is found too.
constexpr std::array<std::string_view, 5> kMaskSuffixes{"", "_segmentation", "_Segmentation", "_mask", "_lesion"};

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

Layout choose_layout(const fs::path& root, std::optional<Part> part) {
  const auto found = layouts_in(root);
  DERMATOME_CHECK(
      !found.empty(),
      "{} holds no folder of an ISIC challenge such as {}; lay photographs and masks out in two folders of such names",
      root.string(), kLayouts[3].images);
  const auto chosen = layouts_of(found, part);
  DERMATOME_CHECK(!chosen.empty(), "{} holds no {} part of an ISIC challenge, only {}", root.string(),
                  name_of(part.value_or(Part::train)), image_folders(found));
  DERMATOME_CHECK(chosen.size() == 1, "{} holds several data sets ({}); give one of them a folder of its own",
                  root.string(), image_folders(chosen));
  return chosen.front();
}

bool ends_like_mask(std::string_view stem) {
  return std::any_of(kMaskSuffixes.begin() + 1, kMaskSuffixes.end(),
                     [&](std::string_view suffix) { return stem.ends_with(suffix); });
}

// Pictures by the name they are paired by. One name can belong to several files: that is for the caller to refuse.
using ByStem = std::map<std::string, std::vector<fs::path>>;

ByStem by_stem(const std::vector<fs::path>& pictures) {
  ByStem result;
  for (const auto& path : pictures) result[path.stem().string()].push_back(path);
  return result;
}

std::vector<fs::path> masks_of(const std::string& id, const ByStem& masks, bool same_folder) {
  std::vector<fs::path> found;
  for (const std::string_view suffix : kMaskSuffixes) {
    if (same_folder && suffix.empty()) continue;
    const auto at = masks.find(id + std::string(suffix));
    if (at != masks.end()) found.insert(found.end(), at->second.begin(), at->second.end());
  }
  return found;
}

std::string names_of(const std::vector<fs::path>& paths) {
  std::vector<std::string> names;
  for (const auto& path : paths) names.push_back(path.filename().string());
  return fmt::format("{}", fmt::join(names, " and "));
}

void check_pairs(const std::vector<std::string>& repeated, const std::vector<std::string>& without,
                 const std::vector<std::string>& ambiguous, std::size_t images, const fs::path& image_folder,
                 const fs::path& mask_folder) {
  DERMATOME_CHECK(images > 0, "{} holds no photographs (JPEG or PNG files)", image_folder.string());
  DERMATOME_CHECK(repeated.empty(), "{} id(s) in {} belong to more than one photograph: {}", repeated.size(),
                  image_folder.string(), first_names(repeated));
  DERMATOME_CHECK(without.size() < images,
                  "none of the {} photographs in {} has a mask in {}: the mask of {} is sought as {}_segmentation.png",
                  images, image_folder.string(), mask_folder.string(), without.front(), without.front());
  DERMATOME_CHECK(without.empty(), "{} of {} photographs in {} have no mask in {}: {}", without.size(), images,
                  image_folder.string(), mask_folder.string(), first_names(without));
  DERMATOME_CHECK(ambiguous.empty(), "{} photograph(s) in {} have more than one mask in {}: {}", ambiguous.size(),
                  image_folder.string(), mask_folder.string(), first_names(ambiguous));
}

}  // namespace

std::vector<Sample> find_samples(const fs::path& root, std::optional<Part> part) {
  check_folder(root);
  const Layout layout = choose_layout(root, part);
  DERMATOME_CHECK(is_folder(root / layout.masks), "{} holds {} but not {}, the folder of its masks", root.string(),
                  layout.images, layout.masks);
  return find_samples(unwrapped(root, layout.images), unwrapped(root, layout.masks));
}

std::vector<Sample> find_samples(const fs::path& images, const fs::path& masks) {
  check_folder(images);
  check_folder(masks);
  const bool same_folder = fs::equivalent(images, masks);
  auto photographs = list_pictures(images);
  if (same_folder) std::erase_if(photographs, [](const auto& path) { return ends_like_mask(path.stem().string()); });
  const ByStem image_by_id = by_stem(photographs);
  const ByStem mask_by_stem = by_stem(list_pictures(masks));

  std::vector<Sample> samples;
  std::vector<std::string> repeated;
  std::vector<std::string> without;
  std::vector<std::string> ambiguous;
  for (const auto& [id, paths] : image_by_id) {
    const auto found = masks_of(id, mask_by_stem, same_folder);
    if (paths.size() > 1) repeated.push_back(names_of(paths));
    if (found.empty()) without.push_back(id);
    if (found.size() > 1) ambiguous.push_back(names_of(found));
    if (!found.empty()) samples.push_back({.id = id, .image = paths.front(), .mask = found.front()});
  }
  check_pairs(repeated, without, ambiguous, image_by_id.size(), images, masks);
  return samples;
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
    fail("no photographs (JPEG or PNG files) in {}{}", names.empty() ? "an empty list of paths" : first_names(names),
         recursive ? "" : "; folders below are left out unless --recursive is given");
  }
  return images;
}

}  // namespace dermatome::data
