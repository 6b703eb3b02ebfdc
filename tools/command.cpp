// Options and output that subcommands share.
#include "tools/command.h"

#include <filesystem>
#include <fstream>
#include <iostream>

#include "engine/core/error.h"
#include "engine/core/threads.h"
#include "tools/training/initial_weights.h"

namespace dermatome {
namespace {

int& exit_code_slot() {
  static int code = 0;
  return code;
}

}  // namespace

void set_exit_code(int code) {
  exit_code_slot() = code;
}
int exit_code() {
  return exit_code_slot();
}

DType RunOptions::type() const {
  return activation_type(type_name, device());
}

std::string bf16_offer() {
  std::string text = has_bf16_tiles()      ? "on the cpu, by --type bf16, with AMX"
                     : has_bf16_products() ? "on the cpu, by --type bf16"
                                           : fmt::format("off ({} has no AVX512-BF16)", name_of(instruction_set()));
  for (const Device device : available_devices()) {
    if (device.kind != DeviceKind::cuda) continue;
    const std::string why = backend_of(device.kind).why_no_bf16(device.index);
    text += why.empty() ? fmt::format("; on {}", to_string(device)) : fmt::format("; off on the GPU ({})", why);
  }
  return text;
}

void RunOptions::apply() {
  compile.activations = type();
  set_threads(threads);
}

std::shared_ptr<RunOptions> add_run_options(CLI::App& command) {
  auto options = std::make_shared<RunOptions>();
  options->compile = options_from_environment();
  const std::string debug = "Debugging";
  command.add_option("--threads", options->threads, "Threads; 0: as many as there are cores")
      ->capture_default_str()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  command.add_option("--device", options->device_name, "auto, cpu, reference, cuda or cuda:N")->capture_default_str();
  command.add_option("--type", options->type_name, "Element type of activations: f32 or bf16 (weights stay f32)")
      ->capture_default_str();
  command.add_flag("--deterministic", options->compile.deterministic,
                   "On a GPU, only convolutions that give the same bits every time");
  command.add_flag("--tf32", options->compile.tf32, "On a GPU, f32 convolutions may round what they read to tf32");
  command.add_flag("--second-branch", options->compile.second_branch,
                   "On a GPU, compute weight gradients of convolutions beside the steps that follow");
  command
      .add_option_function<std::vector<std::string>>(
          "--disable-pass",
          [options](const std::vector<std::string>& names) {
            for (const auto& name : names) disable_pass(options->compile, name);
          },
          "Leave out a pass of the compiler (repeatable)")
      ->group(debug);
  command
      .add_option_function<std::vector<std::string>>(
          "--disable-kernel",
          [options](const std::vector<std::string>& names) {
            for (const auto& name : names) disable_kernel(options->compile, name);
          },
          "Do without an implementation of kernels, such as winograd or onednn (repeatable)")
      ->group(debug);
  command
      .add_flag_callback(
          "--no-capture", [options] { options->compile.capture = false; },
          "On a GPU, launch every kernel by itself instead of a recorded graph of them")
      ->group(debug);
  command
      .add_flag_callback(
          "--disable-planner", [options] { options->compile.planner = false; }, "Give every value memory of its own")
      ->group(debug);
  command.add_flag("--poison-arena", options->compile.poison_arena, "Fill the arena with NaN before each run")
      ->group(debug);
  command.add_flag("--verify-nodes", options->compile.verify_nodes, "Compare every node with the reference (slow)")
      ->group(debug);
  command.add_flag("--trace-nodes", options->compile.trace_nodes, "Print a line for every node that runs")
      ->group(debug);
  command
      .add_option("--dump-tensors", options->compile.dump_tensors,
                  "Write every node's outputs into this folder as .npy")
      ->group(debug);
  return options;
}

void write_text(const std::string& path, const std::string& text) {
  if (path == "-") {
    std::cout << text;
    return;
  }
  const std::string temporary = path + ".partial";
  std::ofstream file(temporary, std::ios::binary);
  file << text;
  file.close();
  DERMATOME_CHECK(file.good(), "{} cannot be written (does its folder exist?)", path);
  std::filesystem::rename(temporary, path);
}

void write_json(const std::string& path, const nlohmann::json& json) {
  write_text(path, json.dump(2) + "\n");
}

std::string checkpoint_of_run(const std::string& run) {
  DERMATOME_CHECK(std::filesystem::exists(run),
                  "the run folder {} does not exist (`dermatome train --run {}` would make it)", run, run);
  return training::weights_file(run).string();
}

std::string WeightsOption::path() const {
  if (!weights.empty()) return training::weights_file(weights).string();
  if (run.empty()) fail_usage("{}", kWhichModel);
  return checkpoint_of_run(run);
}

std::shared_ptr<WeightsOption> add_weights_option(CLI::App& command) {
  auto option = std::make_shared<WeightsOption>();
  auto* run = command.add_option("--run", option->run, "Folder of a run; its best checkpoint is used");
  auto* weights =
      command.add_option("--weights", option->weights, "A checkpoint instead, or weights of PyTorch or safetensors")
          ->excludes(run);
  command.add_option("--model", option->model, "The network of weights that are no checkpoint: a name or .graph file")
      ->needs(weights);
  return option;
}

}  // namespace dermatome
