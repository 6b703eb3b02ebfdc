// dermatome profile: where the time of a step goes, kernel by kernel, beside what the machine allows.
#include <fmt/format.h>

#include <climits>

#include "engine/core/error.h"
#include "engine/core/threads.h"
#include "models/builtin.h"
#include "tools/command.h"
#include "tools/measurement/profile.h"
#include "tools/version.h"

namespace dermatome {
namespace {

struct ProfileCommand {
  std::string model = "unet34";
  int size = 128;
  int batch = 8;
  std::string mode = "train";
  double seconds = 5;
  int from_node = -1;
  int nodes = -1;
  std::string photographs = "auto";
  int values = -1;
  std::string json, trace;
  std::vector<std::string> difference;
  std::shared_ptr<RunOptions> options;
};

constexpr std::size_t kRowsShown = 30;  // of nodes, and of values

measurement::Profile measure_step(const ProfileCommand& command, const Model& model,
                                  const measurement::StepSettings& settings) {
  measurement::StepBench bench(model, settings);
  const auto rates = measurement::measure_machine_rates(0.5, command.options->device());
  measurement::Profile profile = measurement::measure_profile(bench, rates, command.seconds);
  profile.model = model.name();
  profile.mode = command.mode;
  profile.type = command.options->type_name;
  profile.device = to_string(command.options->device());
  profile.processor = cpu_model_name();
  profile.instruction_set = name_of(instruction_set());
  profile.version = kVersion;
  profile.size = command.size;
  profile.batch = command.batch;
  profile.threads = threads();
  if (command.from_node >= 0)
    measurement::run_collected(bench, command.options->device(), command.from_node,
                               command.nodes < 0 ? INT_MAX : command.nodes);
  return profile;
}

// Feeding behind the step, whose memory is free by then, and in what a step of training leaves of the time.
measurement::Profile measure(const ProfileCommand& command) {
  const Model model = find_model(command.model);
  const measurement::StepSettings settings{.mode = command.mode,
                                           .size = command.size,
                                           .batch = command.batch,
                                           .device = command.options->device(),
                                           .compile = command.options->compile};
  measurement::Profile profile = measure_step(command, model, settings);
  if (command.mode == "train") {
    profile.feeding = measurement::measure_feeding(model, settings, training::parse_residence(command.photographs),
                                                   command.seconds / 5);
  }
  return profile;
}

// The nodes that the command line asks for, or all.
measurement::Profile selected(const measurement::Profile& profile, int from, int count) {
  measurement::Profile part = profile;
  const int all = static_cast<int>(profile.nodes.size());
  const int begin = std::max(0, from);
  if (begin >= all) fail_usage("--from-node {} is behind the last of {} nodes, {}", begin, all, all - 1);
  const int end = count < 0 ? all : std::min(all, begin + count);
  part.nodes.assign(profile.nodes.begin() + begin, profile.nodes.begin() + end);
  return part;
}

void run_profile(const ProfileCommand& command) {
  if (!command.difference.empty()) {
    fmt::print("{}", measurement::difference_text(measurement::read_profile(command.difference[0]),
                                                  measurement::read_profile(command.difference[1]), kRowsShown));
    return;
  }
  command.options->apply();
  const measurement::Profile profile = measure(command);
  const bool part = command.from_node >= 0 || command.nodes >= 0;
  const measurement::Profile shown = part ? selected(profile, command.from_node, command.nodes) : profile;
  if (command.json != "-" && command.trace != "-") {
    fmt::print("{}\n{}\n{}", summary_text(profile), kinds_text(shown),
               nodes_text(shown, part ? SIZE_MAX : kRowsShown, !part));
    // Whoever looks at single nodes asks for values too, or sees none.
    if (!part || command.values >= 0) {
      const std::size_t rows = command.values < 0 ? kRowsShown : static_cast<std::size_t>(command.values);
      fmt::print("\n{}", memory_text(profile.memory, rows));
    }
  }
  if (!command.trace.empty()) write_json(command.trace, chrome_trace(shown));
  if (!command.json.empty()) write_json(command.json, to_json(profile));
}

}  // namespace

void add_profile(CLI::App& app) {
  auto* sub = app.add_subcommand("profile", "Show where a step's time and memory go, by operation and node");
  auto command = std::make_shared<ProfileCommand>();
  sub->add_option("--model", command->model, "A built-in model or a .graph file")->capture_default_str();
  sub->add_option("--size", command->size, "Side of the photographs in pixels")
      ->capture_default_str()
      ->check(CLI::Range(1, 16384));
  sub->add_option("--batch", command->batch, "Images a step")->capture_default_str()->check(CLI::Range(1, 65536));
  sub->add_option("--mode", command->mode, "Training steps (augmentation to Adam) or inference")
      ->capture_default_str()
      ->check(CLI::IsMember({"train", "infer"}));
  sub->add_option("--seconds", command->seconds, "How long to measure")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  sub->add_option("--from-node", command->from_node,
                  "Show the nodes from this one on, in the order of execution; a GPU's profiler sees them alone")
      ->check(CLI::Range(0, 1000000));
  sub->add_option("--nodes", command->nodes, "Show that many nodes, in the order of execution")
      ->check(CLI::Range(1, 1000000));
  sub->add_option("--photographs", command->photographs,
                  "Where the photographs lie that training is fed with, as in train")
      ->capture_default_str()
      ->check(CLI::IsMember(training::residence_names()));
  sub->add_option("--values", command->values,
                  "Show that many of the values that are alive when the arena is fullest, the largest first")
      ->check(CLI::Range(1, 1000000));
  auto* json = sub->add_option("--json", command->json, "Write the whole profile to this file, - for standard output");
  auto* trace = sub->add_option("--trace", command->trace,
                                "Write the shown nodes of one step as a trace for ui.perfetto.dev or chrome://tracing");
  sub->add_option("--diff", command->difference, "Compare two profiles that --json wrote, the earlier one first")
      ->type_name("FILE")
      ->expected(2)
      ->excludes(json)
      ->excludes(trace);
  command->options = add_run_options(*sub);
  sub->footer(
      "GFLOP/s and GB/s count what an operation asks for, of a convolution all\n"
      "multiplications of its sums. The roofline counts what the kernel executes, with\n"
      "Winograd 36 of 144 multiplications and the transforms.\n\n"
      "A value is kept when the backward pass reads it, and passing when it does not;\n"
      "first and last are the nodes that write it and that need it last.\n\n"
      "Examples\n"
      "  dermatome profile --size 256 --batch 4 --json before.json\n"
      "  dermatome profile --mode infer --from-node 10 --nodes 5\n"
      "  ncu --profile-from-start off dermatome profile --from-node 10 --nodes 1\n"
      "  dermatome profile --diff before.json after.json");
  sub->callback([command] { run_profile(*command); });
}

}  // namespace dermatome
