// Weight files as the beginning of a run and as a whole model.
#include "tools/training/initial_weights.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "engine/core/error.h"
#include "models/file.h"
#include "tools/training/networks.h"

namespace dermatome::training {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kExamples = 3;

std::string examples(const std::vector<std::string>& names) {
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kExamples));
  return fmt::format("{}{}", fmt::join(names.begin(), end, ", "), names.size() > kExamples ? ", ..." : "");
}

// Throws Error where nothing fits.
WeightMatch match_of(const WeightFile& weights, const fs::path& file, const Model& model) {
  WeightMatch match = match_weights(weights, states_of(model, DType::f32), file.string());
  if (!match.loaded.empty()) return match;
  std::vector<std::string> keys = match.unexpected;
  keys.insert(keys.end(), match.ignored.begin(), match.ignored.end());
  DERMATOME_CHECK(match.mis_shaped.empty(), "{}: none of its weights fits {}: {}", file.string(), model.name(),
                  examples(match.mis_shaped));
  fail("{}: none of its weights belongs to {}: it holds {}, and the model has {}", file.string(), model.name(),
       examples(keys), examples(match.missing));
}

// Throws Error unless all of the model is there.
WeightMatch whole_match_of(const WeightFile& weights, const fs::path& file, const Model& model) {
  WeightMatch match = match_of(weights, file, model);
  DERMATOME_CHECK(match.missing.empty(), "{} lacks {} of {}'s weights: {}", file.string(), match.missing.size(),
                  model.name(), examples(match.missing));
  DERMATOME_CHECK(match.mis_shaped.empty(), "{} has weights of another shape than {}'s: {}", file.string(),
                  model.name(), examples(match.mis_shaped));
  return match;
}

}  // namespace

fs::path weights_file(const fs::path& file_or_run) {
  DERMATOME_CHECK(fs::exists(file_or_run), "the weights file {} does not exist", file_or_run.string());
  if (!fs::is_directory(file_or_run)) return file_or_run;
  for (const char* name : {"best.safetensors", "last.safetensors"}) {
    if (fs::exists(file_or_run / name)) return file_or_run / name;
  }
  fail("{} holds no checkpoint (best.safetensors or last.safetensors): is it the folder of a run?",
       file_or_run.string());
}

WeightFile read_weight_file(const fs::path& file) {
  WeightFile weights = read_weights(file);
  refuse_newer(weights.metadata, file.string());
  return weights;
}

WeightMatch initial_weights(const fs::path& file, const Model& model) {
  return match_of(read_weight_file(file), file, model);
}

nlohmann::json to_json(const WeightMatch& match, const fs::path& file) {
  std::vector<std::string> loaded;
  for (const auto& [name, tensor] : match.loaded) loaded.push_back(name);
  return {{"file", fs::absolute(file).string()},
          {"loaded", loaded},
          {"missing", match.missing},
          {"mis_shaped", match.mis_shaped},
          {"unexpected", match.unexpected},
          {"ignored", match.ignored}};
}

bool is_checkpoint(const fs::path& file) {
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  // The metadata stand in front of the tensors' names; the graph and the recipe within them are a few kilobytes.
  constexpr std::size_t kEnough = 1 << 20;
  return text.size() > 8 && text[8] == '{' && text.substr(0, kEnough).find("\"dermatome\":") != std::string_view::npos;
}

Checkpoint read_checkpoint_or_weights(const fs::path& file, const PredictorOptions& options) {
  if (options.model.empty() && is_checkpoint(file)) return read_checkpoint(file, true);
  const WeightFile weights = read_weight_file(file);
  const WeightSettings settings = weight_settings(weights.metadata, file.string());
  const Model model = settings.model_for(options, file.string());
  Checkpoint checkpoint;
  checkpoint.states = whole_match_of(weights, file, model).loaded;
  checkpoint.info.graph_text = model.canonical_text();
  checkpoint.info.preprocessing = settings.preprocessing_for(options);
  const std::string taken = settings.taken_for(options);
  if (!taken.empty()) checkpoint.taken = fmt::format("{} says: {}", file.string(), taken);
  return checkpoint;
}

}  // namespace dermatome::training
