// Checkpoints in safetensors files.
#include "tools/training/checkpoint.h"

#include <nlohmann/json.hpp>

#include <map>

#include "engine/core/error.h"
#include "models/safetensors.h"
#include "tools/version.h"

namespace dermatome::training {
namespace {

constexpr const char* kKey = "dermatome";  // of the metadata entry that holds everything but the tensors

bool wanted(const std::string& name, bool weights_only) {
  if (name.starts_with("gradient/")) return false;
  return !weights_only || !name.starts_with("adam/");
}

nlohmann::json to_json(const CheckpointInfo& info) {
  return {{"format", kCheckpointVersion},
          {"version", info.version},
          {"graph", info.graph_text},
          {"recipe", info.recipe},
          {"preprocessing",
           {{"size", info.preprocessing.size}, {"resize", "squash"}, {"threshold", info.preprocessing.threshold}}},
          {"position",
           {{"stage", info.position.stage},
            {"epoch", info.position.epoch},
            {"step", info.position.step},
            {"epochs_done", info.position.epochs_done},
            {"best_jaccard", info.position.best_jaccard}}},
          {"seed", info.seed},
          {"threads", info.threads},
          {"instruction_set", info.instruction_set},
          {"type", info.type}};
}

CheckpointInfo from_json(const nlohmann::json& json) {
  CheckpointInfo info;
  info.version = json.at("version");
  info.graph_text = json.at("graph");
  info.recipe = json.at("recipe");
  info.preprocessing.size = json.at("preprocessing").at("size");
  info.preprocessing.threshold = json.at("preprocessing").at("threshold");
  const auto& position = json.at("position");
  info.position = {.stage = position.at("stage"),
                   .epoch = position.at("epoch"),
                   .step = position.at("step"),
                   .epochs_done = position.at("epochs_done"),
                   .best_jaccard = position.at("best_jaccard")};
  info.seed = json.at("seed");
  info.threads = json.at("threads");
  info.instruction_set = json.at("instruction_set");
  info.type = json.value("type", "f32");
  return info;
}

}  // namespace

void write_checkpoint(const std::filesystem::path& path, const StateStore& store, const CheckpointInfo& info,
                      bool weights_only) {
  TensorFile file;
  file.metadata[kKey] = to_json(info).dump();
  file.metadata["format"] = "pt";  // what PyTorch's readers expect
  for (const auto& name : store.names()) {
    if (wanted(name, weights_only)) file.tensors.emplace_back(name, store.get(name).tensor.to({DeviceKind::cpu, 0}));
  }
  write_safetensors(path, file, Integrity::required);
}

Checkpoint read_checkpoint(const std::filesystem::path& path) {
  auto file = read_safetensors(path, Integrity::required);
  const auto entry = file.metadata.find(kKey);
  DERMATOME_CHECK(entry != file.metadata.end(), "{} is a safetensors file but no checkpoint of dermatome",
                  path.string());
  Checkpoint checkpoint;
  try {
    const auto json = nlohmann::json::parse(entry->second);
    const int format = json.at("format");
    DERMATOME_CHECK(format <= kCheckpointVersion, "{} was written by a newer dermatome ({}); this one is {}",
                    path.string(), json.value("version", "unknown"), kVersion);
    checkpoint.info = from_json(json);
  } catch (const nlohmann::json::exception& error) {
    fail("{} is damaged: its description cannot be read ({})", path.string(), error.what());
  }
  checkpoint.states = std::move(file.tensors);
  return checkpoint;
}

void load_weights(const Checkpoint& checkpoint, const std::vector<StateDeclaration>& declarations, StateStore& store) {
  std::map<std::string_view, const Tensor*> states;
  for (const auto& [name, tensor] : checkpoint.states) states.emplace(name, &tensor);
  for (const auto& declaration : declarations) {
    const auto found = states.find(declaration.name);
    DERMATOME_CHECK(found != states.end(), "the checkpoint lacks the state '{}'", declaration.name);
    DERMATOME_CHECK(found->second->desc() == declaration.desc, "state '{}' is {} in the checkpoint but {} in the model",
                    declaration.name, to_string(found->second->desc()), to_string(declaration.desc));
    // A fresh state takes the checkpoint's memory: drawing initial values first would take four times as long as
    // reading.
    if (store.contains(declaration.name)) {
      store.write(declaration.name, *found->second);
    } else {
      store.adopt(declaration, *found->second);
    }
  }
}

}  // namespace dermatome::training
