// dermatome convert: weights of any kind as safetensors, under the names that the networks here use.
#include <fmt/format.h>

#include <algorithm>

#include "engine/core/error.h"
#include "models/safetensors.h"
#include "models/weight_file.h"
#include "tools/command.h"
#include "tools/training/initial_weights.h"

namespace dermatome {
namespace {

struct ConvertCommand {
  std::string in, out;
  bool list = false;
};

std::string fate_of(const Weight& weight) {
  if (!weight.left_out.empty()) return "left out: " + weight.left_out;
  std::string fate = weight.name == weight.key ? "kept" : "renamed to " + weight.name;
  if (weight.type != "f32") fate += ", converted to f32";
  return fate;
}

void print_table(const WeightFile& file) {
  std::size_t key = 3;
  std::size_t shape = 5;
  std::size_t type = 4;
  for (const auto& weight : file.weights) {
    key = std::max(key, weight.key.size());
    shape = std::max(shape, weight.shape.size());
    type = std::max(type, weight.type.size());
  }
  fmt::print("{:<{}}  {:<{}}  {:<{}}  what became of it\n", "key", key, "shape", shape, "type", type);
  for (const auto& weight : file.weights) {
    fmt::print("{:<{}}  {:<{}}  {:<{}}  {}\n", weight.key, key, weight.shape, shape, weight.type, type,
               fate_of(weight));
  }
}

void check_output(const ConvertCommand& command) {
  if (command.list && !command.out.empty()) fail_usage("--list only looks: give either it or an output file");
  if (command.list) return;
  if (command.out.empty()) {
    fail_usage("where to? Give the output file, as in `dermatome convert {} weights.safetensors`, or --list",
               command.in);
  }
  if (!command.out.ends_with(".safetensors")) {
    fail_usage("the output is safetensors, so {} should end in .safetensors", command.out);
  }
}

void run_convert(const ConvertCommand& command) {
  check_output(command);
  const WeightFile file = training::read_weight_file(command.in);
  TensorFile converted{.metadata = training::converted_metadata(file.metadata, command.in), .tensors = {}};
  converted.metadata["format"] = "pt";  // what PyTorch's readers expect
  std::size_t bytes = 0;
  for (const auto& weight : file.weights) {
    if (!weight.left_out.empty()) continue;
    converted.tensors.emplace_back(weight.name, weight.tensor);
    bytes += weight.tensor.bytes();
  }
  if (!command.list) write_safetensors(command.out, converted);
  print_table(file);
  fmt::print("\n{}: {} entries, {} weights of {:.1f} MB in f32{}\n", file.format, file.weights.size(),
             converted.tensors.size(), static_cast<double>(bytes) * 1e-6,
             command.list ? "" : fmt::format(", written to {}", command.out));
}

}  // namespace

void add_convert(CLI::App& app) {
  auto* sub = app.add_subcommand(
      "convert",
      "Weights of PyTorch (.pth of any generation) or safetensors, as safetensors under the names used here");
  auto command = std::make_shared<ConvertCommand>();
  sub->add_option("in", command->in, "A checkpoint of PyTorch (.pth, .pt, .h5 of fastai 0.7) or a safetensors file")
      ->required();
  sub->add_option("out", command->out, "The .safetensors file to write");
  sub->add_flag("--list", command->list, "Only print what the file holds and what would become of it");
  sub->callback([command] { run_convert(*command); });
}

}  // namespace dermatome
