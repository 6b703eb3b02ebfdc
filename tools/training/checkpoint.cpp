// Checkpoints in safetensors files.
#include "tools/training/checkpoint.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "engine/core/error.h"
#include "models/safetensors.h"
#include "tools/version.h"

namespace dermatome::training {
namespace {

constexpr const char* kKey = "dermatome";  // of the metadata entry that holds everything but the tensors
constexpr const char* kDamaged = "{} is damaged: its description cannot be read ({})";

bool wanted(const std::string& name, bool weights_only) {
  if (name.starts_with("gradient/")) return false;
  return !weights_only || !(name.starts_with("adam/") || name.starts_with(kAverages));
}

std::string hexadecimal(std::uint64_t value) {
  return fmt::format("{:016x}", value);
}

nlohmann::json to_json(const std::vector<DataFingerprint::Entry>& entries) {
  auto json = nlohmann::json::array();
  for (const auto& entry : entries) json.push_back({entry.id, hexadecimal(entry.hash)});
  return json;
}

std::vector<DataFingerprint::Entry> entries_of(const nlohmann::json& json) {
  std::vector<DataFingerprint::Entry> entries;
  for (const auto& entry : json) {
    const std::string digits = entry.at(1);
    entries.push_back({.id = entry.at(0)});
    std::from_chars(digits.data(), digits.data() + digits.size(), entries.back().hash, 16);
  }
  return entries;
}

nlohmann::json to_json(const Position& position) {
  return {{"stage", position.stage},
          {"epoch", position.epoch},
          {"step", position.step},
          {"epochs_done", position.epochs_done},
          {"steps_done", position.steps_done},
          {"best_score", position.best_score},
          {"best_jaccard", position.best_jaccard},
          {"best_epoch", position.best_epoch}};
}

Position position_of(const nlohmann::json& json) {
  return {.stage = json.at("stage"),
          .epoch = json.at("epoch"),
          .step = json.at("step"),
          .epochs_done = json.at("epochs_done"),
          .steps_done = json.value("steps_done", std::int64_t{0}),
          .best_score = json.value("best_score", json.at("best_jaccard").get<double>()),
          .best_jaccard = json.at("best_jaccard"),
          .best_epoch = json.value("best_epoch", 0)};
}

nlohmann::json to_json(const CheckpointInfo& info, bool weights_only) {
  nlohmann::json json{{"format", kCheckpointVersion},
                      {"version", info.version},
                      {"graph", info.graph_text},
                      {"recipe", info.recipe},
                      {"preprocessing",
                       {{"size", info.preprocessing.size},
                        {"resize", data::name_of(info.preprocessing.resize)},
                        {"colour_constancy", data::name_of(info.preprocessing.colours)},
                        {"threshold", info.preprocessing.threshold}}},
                      {"position", to_json(info.position)},
                      {"seed", info.seed},
                      {"threads", info.threads},
                      {"instruction_set", info.instruction_set},
                      {"type", info.type},
                      {"device", info.device},
                      {"processor", info.processor},
                      {"disabled", info.disabled}};
  for (const auto& [stage, rate] : info.found_rates) json["found_rates"].push_back({stage, rate});
  if (weights_only) return json;
  json["sums"] = {{"images", info.sums.images},
                  {"loss", info.sums.loss},
                  {"metrics", info.sums.metrics},
                  {"seconds", info.sums.seconds}};
  json["data"] = {{"train", to_json(info.data.train)}, {"validation", to_json(info.data.validation)}};
  return json;
}

CheckpointInfo from_json(const nlohmann::json& json) {
  CheckpointInfo info;
  info.format = json.at("format");
  info.version = json.at("version");
  info.graph_text = json.at("graph");
  info.recipe = json.at("recipe");
  const auto& preprocessing = json.at("preprocessing");
  info.preprocessing = {.size = preprocessing.at("size"),
                        .threshold = preprocessing.at("threshold"),
                        .resize = data::parse_resize(preprocessing.at("resize").get<std::string>()),
                        .colours = data::parse_colour_constancy(preprocessing.value("colour_constancy", "none"))};
  info.position = position_of(json.at("position"));
  for (const auto& entry : json.value("found_rates", nlohmann::json::array()))
    info.found_rates[entry.at(0).get<int>()] = entry.at(1).get<double>();
  info.seed = json.at("seed");
  info.threads = json.at("threads");
  info.instruction_set = json.at("instruction_set");
  info.type = json.value("type", "f32");
  info.device = json.value("device", "");
  info.processor = json.value("processor", "");
  info.disabled = json.value("disabled", std::vector<std::string>{});
  if (json.contains("sums")) {
    const auto& sums = json.at("sums");
    info.sums = {.images = sums.at("images"),
                 .loss = sums.at("loss"),
                 .metrics = sums.at("metrics"),
                 .seconds = sums.at("seconds")};
  }
  if (json.contains("data")) {
    const auto& data = json.at("data");
    info.data = {.train = entries_of(data.at("train")), .validation = entries_of(data.at("validation"))};
  }
  return info;
}

// The description in a checkpoint's metadata. Throws Error for one that a newer program wrote, and for one that is
// none.
nlohmann::json description_of(const std::string& text, const std::string& file) {
  try {
    auto json = nlohmann::json::parse(text);
    const int format = json.at("format");
    DERMATOME_CHECK(format <= kCheckpointVersion, "{} was written by a newer dermatome ({}); this one is {}", file,
                    json.value("version", "unknown"), kVersion);
    return json;
  } catch (const nlohmann::json::exception& error) {
    fail(kDamaged, file, error.what());
  }
}

const Tensor* find_state(const Checkpoint& checkpoint, const std::string& name) {
  const auto found = std::find_if(checkpoint.states.begin(), checkpoint.states.end(),
                                  [&](const auto& state) { return state.first == name; });
  return found == checkpoint.states.end() ? nullptr : &found->second;
}

template <typename T>
bool all_finite(std::span<const T> values) {
  bool finite = true;  // no early exit: this loop is vectorised
  for (const T value : values) finite &= std::abs(value) <= std::numeric_limits<T>::max();
  return finite;
}

bool is_finite(const Tensor& tensor) {
  if (tensor.type() == DType::f32) return all_finite(std::span<const float>(tensor.as<float>()));
  if (tensor.type() == DType::f64) return all_finite(std::span<const double>(tensor.as<double>()));
  return true;
}

}  // namespace

void EpochSums::add(double batch_loss, std::span<const float> rows) {
  const auto count = static_cast<std::int64_t>(rows.size()) / kMetrics;
  images += count;
  loss += batch_loss * static_cast<double>(count);
  for (std::size_t i = 0; i < rows.size(); ++i) metrics[i % kMetrics] += static_cast<double>(rows[i]);
}

void write_checkpoint(const std::filesystem::path& path, const StateStore& store, const CheckpointInfo& info,
                      bool weights_only) {
  TensorFile file;
  file.metadata[kKey] = to_json(info, weights_only).dump();
  file.metadata["format"] = "pt";  // what PyTorch's readers expect
  for (const auto& name : store.names()) {
    if (!wanted(name, weights_only)) continue;
    const bool averaged = weights_only && store.contains(average_state(name));
    file.tensors.emplace_back(name, store.get(averaged ? average_state(name) : name).tensor.to({DeviceKind::cpu, 0}));
  }
  write_safetensors(path, file, Integrity::required);
}

std::size_t checkpoint_bytes(const StateStore& store) {
  std::size_t bytes = 0;
  for (const auto& name : store.names()) bytes += wanted(name, false) ? store.get(name).tensor.bytes() : 0;
  return bytes;
}

Checkpoint read_checkpoint(const std::filesystem::path& path, bool weights_only) {
  auto file = read_safetensors(path, Integrity::required,
                               [weights_only](const std::string& name) { return !weights_only || wanted(name, true); });
  auto info = checkpoint_info(file.metadata, path.string());
  DERMATOME_CHECK(info.has_value(), "{} is a safetensors file but no checkpoint of dermatome", path.string());
  return {.info = std::move(*info), .states = std::move(file.tensors), .taken = {}};
}

std::optional<CheckpointInfo> checkpoint_info(const Metadata& metadata, const std::string& file) {
  const auto entry = metadata.find(kKey);
  if (entry == metadata.end()) return std::nullopt;
  const auto json = description_of(entry->second, file);
  try {
    return from_json(json);
  } catch (const nlohmann::json::exception& error) {
    fail(kDamaged, file, error.what());
  } catch (const Error& error) {
    fail("{}: {}", file, error.what());
  }
}

void refuse_newer(const Metadata& metadata, const std::string& file) {
  if (const auto entry = metadata.find(kKey); entry != metadata.end()) description_of(entry->second, file);
}

void load_weights(const Checkpoint& checkpoint, const std::vector<StateDeclaration>& declarations, StateStore& store) {
  for (const auto& declaration : declarations) {
    const Tensor* state = find_state(checkpoint, declaration.name);
    DERMATOME_CHECK(state != nullptr, "the checkpoint lacks the state '{}'", declaration.name);
    DERMATOME_CHECK(state->desc() == declaration.desc, "state '{}' is {} in the checkpoint but {} in the model",
                    declaration.name, to_string(state->desc()), to_string(declaration.desc));
    // A fresh state takes the checkpoint's memory: drawing initial values first would take four times as long as
    // reading.
    if (store.contains(declaration.name)) {
      store.write(declaration.name, *state);
    } else {
      store.adopt(declaration, *state);
    }
  }
}

void restore_states(const Checkpoint& checkpoint, StateStore& store) {
  for (const auto& name : store.names()) {
    DERMATOME_CHECK(!wanted(name, false) || find_state(checkpoint, name) != nullptr,
                    "the checkpoint lacks the state '{}'", name);
  }
  for (const auto& [name, tensor] : checkpoint.states) store.write(name, tensor);
}

std::string first_state_not_finite(const StateStore& store) {
  for (const auto& name : store.names()) {
    if (wanted(name, false) && !is_finite(store.get(name).tensor.to({DeviceKind::cpu, 0}))) return name;
  }
  return "";
}

}  // namespace dermatome::training
