// dermatome bench: how fast whole steps run here, how fast one operation does, and what the machine can do.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "engine/core/error.h"
#include "engine/core/threads.h"
#include "models/builtin.h"
#include "tools/command.h"
#include "tools/measurement/statistics.h"
#include "tools/measurement/step_bench.h"
#include "tools/training/recipe.h"
#include "tools/version.h"

namespace dermatome {
namespace {

struct BenchCommand {
  std::string model = "unet34";
  int size = 128;
  int batch = 8;
  std::string mode = "train";
  std::vector<std::string> frozen;
  double seconds = 5;
  std::uint64_t seed = 7;
  int steps_per_launch = 1;
  bool rounds = false;
  std::string json;
  std::shared_ptr<RunOptions> options;
};

std::vector<double> measure(measurement::StepBench& bench, double seconds) {
  for (int i = 0; i < 3; ++i) bench.run();
  std::vector<double> times;
  for (double total = 0; total < seconds || times.size() < 3; total += times.back()) times.push_back(bench.run());
  return times;
}

// Reads "run K" lines and answers each with a JSON line of step seconds, so that a driver can interleave several
// programs.
void serve_rounds(measurement::StepBench& bench) {
  for (int i = 0; i < 3; ++i) bench.run();
  fmt::print("{{\"ready\": true}}\n");
  std::fflush(stdout);
  std::string word;
  int count = 0;
  while (std::cin >> word >> count && word == "run") {
    nlohmann::json times = nlohmann::json::array();
    for (int i = 0; i < count; ++i) times.push_back(bench.run());
    fmt::print("{}\n", nlohmann::json{{"seconds", times}, {"peak_rss_bytes", peak_resident_bytes()}}.dump());
    std::fflush(stdout);
  }
}

void check_frozen(const BenchCommand& command, const Model& model) {
  if (command.mode != "train") fail_usage("--frozen is about training: at inference nothing learns");
  training::Recipe recipe;
  recipe.model = model.name();
  recipe.stages[0].frozen = command.frozen;
  training::check_groups(recipe, model.groups());
}

void run_step(const BenchCommand& command) {
  command.options->apply();
  const Model model = find_model(command.model);
  if (!command.frozen.empty()) check_frozen(command, model);
  measurement::StepBench bench(model, {.mode = command.mode,
                                       .size = command.size,
                                       .batch = command.batch,
                                       .frozen = command.frozen,
                                       .seed = command.seed,
                                       .device = command.options->device(),
                                       .compile = command.options->compile,
                                       .steps_per_launch = command.steps_per_launch});
  if (command.rounds) {
    serve_rounds(bench);
    return;
  }
  const auto times = measure(bench, command.seconds);
  const double middle = command.batch / measurement::median(times);
  const double best = command.batch / *std::min_element(times.begin(), times.end());
  const Device device = command.options->device();
  const ProgramMemory& memory = bench.parts().front().program->memory();
  if (command.json != "-") {
    fmt::print("{} {} {} px batch {} {} on {} threads: {:.2f} images/s in the median of {} steps, {:.2f} at best\n",
               model.name(), command.mode, command.size, command.batch, command.options->type_name, threads(), middle,
               times.size(), best);
    fmt::print("peak memory {} MiB, in buffers on {} {} MiB; arena {} MiB, largest live set {} MiB\n",
               peak_resident_bytes() >> 20, to_string(device), peak_buffer_bytes(device) >> 20, memory.arena >> 20,
               memory.arena_lower_bound >> 20);
  }
  if (command.json.empty()) return;
  write_json(command.json, {{"model", model.name()},
                            {"mode", command.mode},
                            {"size", command.size},
                            {"batch", command.batch},
                            {"type", command.options->type_name},
                            {"device", to_string(device)},
                            {"threads", threads()},
                            {"instruction_set", std::string(name_of(instruction_set()))},
                            {"processor", cpu_model_name()},
                            {"version", kVersion},
                            {"steps", times.size()},
                            {"images_per_second_median", middle},
                            {"images_per_second_best", best},
                            {"peak_bytes", peak_resident_bytes()},
                            {"peak_buffer_bytes", peak_buffer_bytes(device)},
                            {"arena_bytes", memory.arena},
                            {"arena_lower_bound_bytes", memory.arena_lower_bound}});
}

void add_bench_step(CLI::App& bench) {
  auto* sub = bench.add_subcommand("step", "Whole steps: training (augmentation to Adam) or inference");
  auto command = std::make_shared<BenchCommand>();
  sub->add_option("--model", command->model, "A built-in model or a .graph file")->capture_default_str();
  sub->add_option("--size", command->size, "Side of the photographs in pixels")
      ->capture_default_str()
      ->check(CLI::Range(1, 16384));
  sub->add_option("--batch", command->batch, "Images a step")->capture_default_str()->check(CLI::Range(1, 65536));
  sub->add_option("--mode", command->mode, "Training or inference")
      ->capture_default_str()
      ->check(CLI::IsMember({"train", "infer"}));
  sub->add_option("--frozen", command->frozen, "A parameter group that does not learn (repeatable)")
      ->allow_extra_args(false);
  sub->add_option("--steps-per-launch", command->steps_per_launch,
                  "On a GPU, training steps that run behind one launch")
      ->capture_default_str()
      ->check(CLI::Range(1, kMostStepsPerLaunch));
  sub->add_option("--seconds", command->seconds, "How long to measure")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  sub->add_option("--seed", command->seed, "Of the made-up photographs")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  sub->add_flag("--rounds-server", command->rounds,
                "Answer lines \"run K\" on standard input with the seconds of K steps");
  sub->add_option("--json", command->json, "Write the result to this file, - for standard output");
  command->options = add_run_options(*sub);
  sub->callback([command] { run_step(*command); });
}

}  // namespace

void add_bench(CLI::App& app) {
  auto* bench = app.add_subcommand("bench", "Measure the speed of whole steps, of one operation, or of the machine");
  bench->require_subcommand(1);
  add_bench_step(*bench);
  add_bench_op(*bench);
  add_bench_machine(*bench);
}

}  // namespace dermatome
