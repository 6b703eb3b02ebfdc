// --data, --images, --masks, --skip-bad and --cache.
#include "tools/data_options.h"

#include <algorithm>
#include <filesystem>

#include "data/inspection.h"
#include "data/name_list.h"
#include "engine/core/error.h"
#include "tools/signals.h"
#include "tools/training/evaluation.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

std::string absolute(const std::string& path) {
  return path.empty() ? "" : fs::absolute(path).string();
}

void check_all(std::span<const data::Pairing> pairings) {
  data::check_usable(pairings, [](std::size_t, std::size_t) { stop_if_signalled(); });
}

std::vector<data::Sample> readable(data::Pairing pairing, bool skip_bad, const Tell& tell) {
  data::check_pairing(pairing, true);
  if (!skip_bad) check_all(std::span(&pairing, 1));
  for (const auto& unpaired : pairing.unpaired) {
    tell(fmt::format("left out: {} has {}", unpaired.id, data::cause_of(unpaired, pairing)));
  }
  if (!pairing.lone_masks.empty()) {
    std::vector<std::string> names;
    for (const auto& mask : pairing.lone_masks) names.push_back(mask.filename().string());
    tell(fmt::format("{} mask(s) in {} belong to no photograph in {} and are passed over: {}", names.size(),
                     pairing.masks.string(), pairing.images.string(), data::first_names(names)));
  }
  return std::move(pairing.samples);
}

data::Pairing validation_pairs(const std::string& root) {
  const bool own_part = data::has_part(root, data::Part::validation);
  return data::find_pairs(root, own_part ? std::optional(data::Part::validation) : std::nullopt);
}

}  // namespace

data::Pairing DataOptions::find(std::optional<data::Part> part) const {
  if (!data.empty()) return data::find_pairs(data, part);
  if (images.empty()) {
    fail_usage(
        "which photographs? Give --data DIR (a folder of an ISIC challenge, or with the folders images and masks) "
        "or --images DIR with --masks DIR");
  }
  return data::pair_folders(images, masks);
}

std::vector<data::Sample> DataOptions::samples(const Tell& tell, std::optional<data::Part> part) const {
  return readable(find(part), skip_bad, tell);
}

std::unique_ptr<data::Cache> DataOptions::open_cache(data::Cache::Access access) const {
  return cache.empty() ? nullptr : std::make_unique<data::Cache>(cache, access);
}

nlohmann::json DataOptions::to_json() const {
  return {{"data", absolute(data)},
          {"images", absolute(images)},
          {"masks", absolute(masks)},
          {"skip_bad", skip_bad},
          {"cache", absolute(cache)}};
}

DataOptions DataOptions::from_json(const nlohmann::json& json) {
  return {.data = json.value("data", ""),
          .images = json.value("images", ""),
          .masks = json.value("masks", ""),
          .skip_bad = json.value("skip_bad", false),
          .cache = json.value("cache", "")};
}

std::shared_ptr<DataOptions> add_data_options(CLI::App& command) {
  auto options = std::make_shared<DataOptions>();
  auto* data = command.add_option("--data", options->data,
                                  "Folder of ISIC 2016, 2017 or 2018 Task 1, or with the folders images and masks");
  auto* images = command.add_option("--images", options->images, "Folder of photographs, instead of --data");
  auto* masks = command.add_option("--masks", options->masks,
                                   "Folder of their masks: NAME, NAME_mask, NAME_segmentation or NAME_lesion");
  images->excludes(data)->needs(masks);
  masks->excludes(data)->needs(images);
  command.add_option(
      "--cache", options->cache,
      "Folder that keeps decoded and resized pairs for the next time; `dermatome prepare` fills it ahead");
  command.add_flag("--skip-bad", options->skip_bad, "Go on without the photographs and masks that cannot be used");
  return options;
}

void check_usable(const DataOptions& data, const std::string& validation) {
  std::vector<data::Pairing> pairings{data.find()};
  if (!validation.empty()) pairings.push_back(validation_pairs(validation));
  check_all(pairings);
}

std::vector<data::Sample> validation_samples(const std::string& root, bool skip_bad, const Tell& tell) {
  return readable(validation_pairs(root), skip_bad, tell);
}

std::vector<data::Sample> validation_samples_of(const fs::path& run, const nlohmann::json& info, const Tell& tell) {
  const DataOptions options = DataOptions::from_json(info);
  const std::string validation = info.value("validation", "");
  if (!validation.empty()) return validation_samples(validation, options.skip_bad, tell);
  return training::samples_of_part(options.samples(tell), run / "split.csv", data::Part::validation);
}

}  // namespace dermatome
