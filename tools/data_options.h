// Which photographs and masks a command works on, and what becomes of bad ones: options that commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/cache.h"
#include "data/dataset.h"

namespace dermatome {

using Tell = std::function<void(const std::string&)>;

struct DataOptions {
  std::string data;           // --data: a folder of an ISIC challenge, or with the folders images and masks
  std::string images, masks;  // --images, --masks: instead
  bool skip_bad = false;      // --skip-bad
  std::string cache;          // --cache: where prepared pairs are kept; empty: nowhere

  // The pairs that the options name. Throws UsageError where they name none.
  data::Pairing find(std::optional<data::Part> part = std::nullopt) const;

  // The same as a list that can be read: a photograph without exactly one mask is an error that names all other bad
  // files too, or left out with --skip-bad, and told.
  std::vector<data::Sample> samples(const Tell& tell, std::optional<data::Part> part = std::nullopt) const;

  // The cache, made where there is none yet unless it is only for reading; null without --cache.
  std::unique_ptr<data::Cache> open_cache(data::Cache::Access access = data::Cache::Access::read_write) const;

  // Absolute paths, for the record of a run; and back.
  nlohmann::json to_json() const;
  static DataOptions from_json(const nlohmann::json& json);
};

// The object lives as long as the application does.
std::shared_ptr<DataOptions> add_data_options(CLI::App& command);

// Throws Error that names every bad file of both, the data and the photographs to validate on below `validation`
// (empty: there are none), where some photograph of either has no mask of its own.
void check_usable(const DataOptions& data, const std::string& validation);

// The photographs to validate on below `root`: the validation part of a challenge where there is one.
std::vector<data::Sample> validation_samples(const std::string& root, bool skip_bad, const Tell& tell);

// The photographs that a run validated on, from its folder and the contents of its run.json.
std::vector<data::Sample> validation_samples_of(const std::filesystem::path& run, const nlohmann::json& info,
                                                const Tell& tell);

}  // namespace dermatome
