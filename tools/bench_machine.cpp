// dermatome bench machine: what this machine can do at best, the yardstick of every other figure.
#include <fmt/format.h>

#include "engine/core/threads.h"
#include "tools/command.h"
#include "tools/measurement/machine_rates.h"
#include "tools/version.h"

namespace dermatome {
namespace {

struct MachineCommand {
  int threads = 0;
  std::string device = "auto";
  double seconds = 0.5;
  std::string json;
};

std::string matrix_text(double flops) {
  return flops > 0 ? fmt::format("{:.0f} GFLOP/s", flops / 1e9) : "-";
}

void run_machine(const MachineCommand& command) {
  set_threads(command.threads);
  const Device device = parse_device(command.device);
  const auto rates = measurement::measure_machine_rates(command.seconds, device);
  if (command.json != "-") {
    fmt::print("copy            {:.1f} GB/s, reading and writing counted\n", rates.copy / 1e9);
    fmt::print("matrix f32      {}\n", matrix_text(rates.matrix_f32));
    fmt::print("matrix bf16     {}\n", matrix_text(rates.matrix_bf16));
    fmt::print("measured on     {}, {} threads, {}, {}\n", to_string(device), threads(), name_of(instruction_set()),
               cpu_model_name());
  }
  if (command.json.empty()) return;
  write_json(command.json, {{"copy_bytes_per_second", rates.copy},
                            {"matrix_f32_flops", rates.matrix_f32},
                            {"matrix_bf16_flops", rates.matrix_bf16},
                            {"device", to_string(device)},
                            {"threads", threads()},
                            {"instruction_set", std::string(name_of(instruction_set()))},
                            {"processor", cpu_model_name()},
                            {"version", kVersion}});
}

}  // namespace

void add_bench_machine(CLI::App& bench) {
  auto* sub = bench.add_subcommand("machine", "The machine itself: its rates of copying and of multiplying matrices");
  auto command = std::make_shared<MachineCommand>();
  sub->add_option("--seconds", command->seconds, "How long to measure each rate")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  sub->add_option("--threads", command->threads, "Threads; 0: as many as there are cores")->capture_default_str();
  sub->add_option("--device", command->device, "auto, cpu, reference, cuda or cuda:N")->capture_default_str();
  sub->add_option("--json", command->json, "Write the result to this file, - for standard output");
  sub->footer(
      "Copying goes past the caches; a matrix rate is - where no kernel computes one\n"
      "(bf16 without AVX512-BF16, both without oneDNN).");
  sub->callback([command] { run_machine(*command); });
}

}  // namespace dermatome
