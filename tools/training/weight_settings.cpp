// Exported metadata, written and read back.
#include "tools/training/weight_settings.h"

#include <fmt/ranges.h>

#include <charconv>

#include "engine/core/error.h"
#include "models/builtin.h"
#include "tools/version.h"

namespace dermatome::training {
namespace {

constexpr const char* kPrefix = "dermatome.";
constexpr const char* kGraph = "dermatome.graph";
constexpr const char* kModel = "dermatome.model";
constexpr const char* kSize = "dermatome.size";
constexpr const char* kThreshold = "dermatome.threshold";
constexpr const char* kResize = "dermatome.resize";
constexpr const char* kColours = "dermatome.colour_constancy";

// What `read` makes of the text under the key; nothing where there is none.
template <typename Read>
auto value_of(const Metadata& metadata, const char* key, const std::string& file, const Read& read)
    -> std::optional<decltype(read(std::string()))> {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return std::nullopt;
  try {
    return read(found->second);
  } catch (const Error& error) {
    fail("{}: its metadata {}: {}", file, key, error.what());
  }
}

template <typename Number>
Number number_of(const std::string& text, Number low, Number high) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  DERMATOME_CHECK(error == std::errc() && rest == end && value >= low && value <= high,
                  "'{}' is no number from {} to {}", text, low, high);
  return value;
}

WeightSettings settings_of(const CheckpointInfo& info) {
  const Preprocessing& preprocessing = info.preprocessing;
  return {.graph = info.graph_text,
          .model = Model::parse(info.graph_text, "the checkpoint's graph").name(),
          .size = preprocessing.size,
          .threshold = preprocessing.threshold,
          .resize = preprocessing.resize,
          .colours = preprocessing.colours};
}

}  // namespace

Model WeightSettings::model_for(const PredictorOptions& options, const std::string& file) const {
  if (!options.model.empty()) return find_model(options.model);
  if (!graph.empty()) return Model::parse(graph, file);
  if (builtin_texts().contains(model)) return find_model(model);
  fail_usage("{} holds weights and does not say of which network: add --model unet34 --size 256, or whatever it is",
             file);
}

Preprocessing WeightSettings::preprocessing_for(const PredictorOptions& options) const {
  const Preprocessing usual;
  return {.size = options.size != 0 ? options.size : size.value_or(0),
          .threshold = options.threshold.value_or(threshold.value_or(usual.threshold)),
          .resize = resize.value_or(usual.resize),
          .colours = colours.value_or(usual.colours)};
}

std::string WeightSettings::taken_for(const PredictorOptions& options) const {
  std::vector<std::string> parts;
  if (options.model.empty() && !model.empty()) parts.push_back("model " + model);
  if (options.size == 0 && size) parts.push_back(fmt::format("size {}", *size));
  if (resize) parts.push_back("resize " + data::name_of(*resize));
  if (colours) parts.push_back("colour_constancy " + data::name_of(*colours));
  if (!options.threshold && threshold) parts.push_back(fmt::format("threshold {}", *threshold));
  return fmt::format("{}", fmt::join(parts, ", "));
}

WeightSettings weight_settings(const Metadata& metadata, const std::string& file) {
  if (const auto info = checkpoint_info(metadata, file)) return settings_of(*info);
  const auto as_it_is = [](const std::string& text) { return text; };
  return {.graph = value_of(metadata, kGraph, file, as_it_is).value_or(""),
          .model = value_of(metadata, kModel, file, as_it_is).value_or(""),
          .size = value_of(metadata, kSize, file,
                           [](const std::string& text) { return number_of(text, 1, data::kLargestSize); }),
          .threshold =
              value_of(metadata, kThreshold, file, [](const std::string& text) { return number_of(text, 0.0, 1.0); }),
          .resize = value_of(metadata, kResize, file, [](const std::string& text) { return data::parse_resize(text); }),
          .colours = value_of(metadata, kColours, file,
                              [](const std::string& text) { return data::parse_colour_constancy(text); })};
}

Metadata exported_metadata(const CheckpointInfo& info, const Model& model) {
  Metadata metadata{{"dermatome.version", kVersion},
                    {kModel, model.name()},
                    {kGraph, info.graph_text},
                    {kThreshold, fmt::format("{}", info.preprocessing.threshold)},
                    {kResize, data::name_of(info.preprocessing.resize)},
                    {kColours, data::name_of(info.preprocessing.colours)},
                    {"dermatome.sides_divisible_by", fmt::format("{}", model.divisor())}};
  if (info.preprocessing.size > 0) metadata[kSize] = fmt::format("{}", info.preprocessing.size);
  return metadata;
}

Metadata converted_metadata(const Metadata& metadata, const std::string& file) {
  if (const auto info = checkpoint_info(metadata, file))
    return exported_metadata(*info, Model::parse(info->graph_text, file));
  Metadata kept;
  for (const auto& [key, text] : metadata) {
    if (key.starts_with(kPrefix)) kept.emplace(key, text);
  }
  return kept;
}

}  // namespace dermatome::training
