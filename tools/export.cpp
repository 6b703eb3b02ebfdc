// dermatome export: a trained model for other programs, as ONNX or as safetensors of PyTorch's names.
#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "engine/core/error.h"
#include "models/onnx_export.h"
#include "models/safetensors.h"
#include "tools/command.h"
#include "tools/training/initial_weights.h"
#include "tools/training/networks.h"
#include "tools/training/threshold_search.h"

namespace dermatome {
namespace {

struct ExportCommand {
  std::string out;
  bool fold_batch_norm = false;
  bool normalise = false;
  bool pad = false;
  bool probability = false;
  std::optional<double> threshold;
  std::shared_ptr<WeightsOption> weights;
};

// The defaults of the operation that every training and prediction goes through.
Normalisation normalisation() {
  const Attributes a(op_named("augment").signature().attributes);
  const auto value = [&](const char* name) { return static_cast<float>(a.real(name)); };
  return {.mean = {value("mean_r"), value("mean_g"), value("mean_b")},
          .deviation = {value("deviation_r"), value("deviation_g"), value("deviation_b")}};
}

bool is_onnx(const ExportCommand& command) {
  const std::filesystem::path out = command.out;
  if (out.extension() == ".onnx") return true;
  if (out.extension() != ".safetensors") {
    fail_usage("{} should end in .onnx or .safetensors, which says what to write", command.out);
  }
  if (command.fold_batch_norm || command.normalise || command.pad || command.probability) {
    fail_usage(
        "--fold-batch-norm, --normalise, --pad and --probability are for an .onnx file; safetensors holds weights");
  }
  return false;
}

// In the order of the model's text, without an optimiser's states.
std::vector<std::pair<std::string, Tensor>> states_of_model(const training::Checkpoint& checkpoint,
                                                            const Model& model) {
  StateStore store;
  const auto declarations = training::states_of(model, DType::f32);
  training::load_weights(checkpoint, declarations, store);
  std::vector<std::pair<std::string, Tensor>> states;
  for (const auto& declaration : declarations) {
    states.emplace_back(declaration.name, store.get(declaration.name).tensor);
  }
  return states;
}

// The one that is asked for, or that `--threshold best` found for this state of a run's checkpoint, or that the file
// says. `from`: where it was found, for a person.
double threshold_of(const ExportCommand& command, const std::filesystem::path& checkpoint,
                    const training::CheckpointInfo& info, std::string& from) {
  if (command.threshold) return *command.threshold;
  const auto run = checkpoint.parent_path();
  const auto curve = training::stored_curve(run, {.checkpoint = checkpoint.filename().string(),
                                                  .steps_done = info.position.steps_done,
                                                  .size = info.preprocessing.size});
  if (!curve) return info.preprocessing.threshold;
  const double best = training::best_of(*curve).threshold;
  from = fmt::format("; its threshold is {:.2f}, found in {}", best, (run / training::kThresholdFile).string());
  return best;
}

void run_export(const ExportCommand& command) {
  const bool onnx = is_onnx(command);
  const std::string path = command.weights->path();
  auto checkpoint =
      training::read_checkpoint_or_weights(path, {.model = command.weights->model, .threshold = command.threshold});
  if (!checkpoint.taken.empty()) fmt::print(stderr, "{}\n", checkpoint.taken);
  const Model model = Model::parse(checkpoint.info.graph_text, std::filesystem::path(path).filename().string());
  const auto states = states_of_model(checkpoint, model);
  std::string found;
  checkpoint.info.preprocessing.threshold = threshold_of(command, path, checkpoint.info, found);
  auto metadata = training::exported_metadata(checkpoint.info, model);
  if (onnx) {
    OnnxOptions options{.fold_batch_norm = command.fold_batch_norm,
                        .normalisation = {},
                        .pad = command.pad,
                        .probability = command.probability,
                        .metadata = std::move(metadata)};
    if (command.normalise) options.normalisation = normalisation();
    write_onnx(command.out, model, states, options);
  } else {
    metadata["format"] = "pt";  // what PyTorch's readers expect
    write_safetensors(command.out, {.metadata = std::move(metadata), .tensors = states});
  }
  fmt::print("{} of {} written to {}{}\n", model.name(), path, command.out, found);
}

}  // namespace

void add_export(CLI::App& app) {
  auto* sub = app.add_subcommand("export", "A trained model as ONNX, or as safetensors that PyTorch loads");
  auto command = std::make_shared<ExportCommand>();
  command->weights = add_weights_option(*sub);
  sub->add_option("--out", command->out, "The .onnx or .safetensors file to write")->required();
  sub->add_option_function<double>(
         "--threshold", [command](double threshold) { command->threshold = threshold; },
         "A pixel is lesion where its probability is above, for the file's metadata; by default what --threshold best "
         "found for the run, or else as trained (0.5)")
      ->check(CLI::Range(0.0, 1.0));
  const std::string onnx = "ONNX";
  sub->add_flag("--fold-batch-norm", command->fold_batch_norm,
                "Fold each batch norm into the convolution that it follows")
      ->group(onnx);
  sub->add_flag("--normalise", command->normalise,
                "Take RGB pixels (uint8) and normalise them inside; else the input is normalised already")
      ->group(onnx);
  sub->add_flag("--pad", command->pad,
                "Take any size: repeat the last row and column up to what the network takes, and cut the output back")
      ->group(onnx);
  sub->add_flag("--probability", command->probability, "Give probabilities instead of logits")->group(onnx);
  sub->callback([command] { run_export(*command); });
}

}  // namespace dermatome
