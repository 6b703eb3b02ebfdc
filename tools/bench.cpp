// dermatome bench step: how fast whole training or inference steps run here.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <optional>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/core/threads.h"
#include "models/builtin.h"
#include "tools/command.h"
#include "tools/training/networks.h"
#include "tools/version.h"

namespace dermatome {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchCommand {
  std::string model = "unet34";
  int size = 128;
  int batch = 8;
  std::string mode = "train";
  double seconds = 5;
  std::uint64_t seed = 7;
  bool rounds = false;
  bool by_node = false;
  std::string json;
  std::shared_ptr<RunOptions> options;
};

// A whole step over made-up photographs: augmentation, forward, backward, Adam; or the forward pass at inference.
class StepBench {
 public:
  StepBench(const BenchCommand& command, const Model& model)
      : device_(command.options->device()),
        store_(device_),
        stage_{.size = command.size, .batch = command.batch, .frozen = {}, .schedule = {}, .group_lr = {}},
        programs_{.model = model, .stage = stage_, .resident = command.batch} {
    store_.create(training::states_of(model, DType::f32), 1);
    const auto& compile = command.options->compile;
    if (command.mode == "infer") {
      step_.emplace(training::inference_graph(model, command.batch, command.size, command.size, DType::f32), device_,
                    store_, compile);
      fill_uniform(step_->input("image"), command.seed);
      return;
    }
    store_.create(training::optimizer_states(programs_), 1);
    store_.create_contiguous(training::gradient_states(programs_));
    step_.emplace(training::accumulate_graph(programs_, command.batch, false), device_, store_, compile);
    update_.emplace(training::update_graph(programs_), device_, store_, compile);
    set_inputs(model, command.seed);
  }

  // Seconds of one step.
  double run() {
    const auto start = Clock::now();
    step_->run();
    if (update_) update_->run();
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  void run_timed(std::vector<double>& step_seconds, std::vector<double>& update_seconds) {
    step_->run_timed(step_seconds);
    if (update_) update_->run_timed(update_seconds);
  }

  const Program& step() const { return *step_; }
  const Program* update() const { return update_ ? &*update_ : nullptr; }
  std::size_t arena_bytes() const { return step_->memory().arena; }
  std::size_t arena_lower_bound() const { return step_->memory().arena_lower_bound; }

 private:
  void set_inputs(const Model& model, std::uint64_t seed) {
    const std::int64_t batch = stage_.batch;
    Philox random(seed);
    std::vector<std::uint8_t> images(static_cast<std::size_t>(batch * stage_.size * stage_.size * 3));
    for (auto& pixel : images) pixel = static_cast<std::uint8_t>(random.next() >> 24);
    std::vector<std::uint8_t> masks(images.size() / 3);
    for (std::size_t i = 0; i < masks.size(); ++i) masks[i] = i % masks.size() < masks.size() / 4 ? 255 : 0;
    std::vector<std::int32_t> indices;
    std::vector<float> tables;
    for (int i = 0; i < stage_.batch; ++i) {
      indices.push_back(i);
      const auto table = data::draw_table(stage_.augmentation, seed, 0, static_cast<std::uint32_t>(i), stage_.size);
      tables.insert(tables.end(), table.begin(), table.end());
    }
    step_->input("images").copy_from(tensor_of<std::uint8_t>(images, {batch, stage_.size, stage_.size, 3}));
    step_->input("masks").copy_from(tensor_of<std::uint8_t>(masks, {batch, stage_.size, stage_.size}));
    step_->input("indices").copy_from(tensor_of<std::int32_t>(indices, {batch}));
    step_->input("tables").copy_from(tensor_of<float>(tables, {batch, 8}));
    set(step_->input("divisor"), {static_cast<float>(masks.size())});
    const auto groups = training::group_indices(programs_);
    update_->input("groups").copy_from(tensor_of<std::int32_t>(groups, {static_cast<std::int64_t>(groups.size())}));
    set(update_->input("beta1"), {0.9f});
    set(update_->input("rates"), std::vector<float>(std::max<std::size_t>(1, model.groups().size()), 1e-4f));
  }
  static void set(const Tensor& to, const std::vector<float>& values) {
    to.copy_from(tensor_of<float>(values, {static_cast<std::int64_t>(values.size())}));
  }
  static void fill_uniform(const Tensor& to, std::uint64_t seed) {
    Philox random(seed);
    Tensor values(to.desc());
    for (float& value : values.as<float>()) value = random.uniform(-2, 2);
    to.copy_from(values);
  }

  Device device_;
  StateStore store_;
  training::StageSettings stage_;
  training::StagePrograms programs_;
  std::optional<Program> step_;
  std::optional<Program> update_;
};

std::vector<double> measure(StepBench& bench, double seconds) {
  for (int i = 0; i < 3; ++i) bench.run();
  std::vector<double> times;
  for (double total = 0; total < seconds || times.size() < 3; total += times.back()) times.push_back(bench.run());
  return times;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// Reads "run K" lines and answers each with a JSON line of step seconds, so that a driver can interleave several
// programs.
void serve_rounds(StepBench& bench) {
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

// Time by operation and kernel, largest first.
void print_nodes(StepBench& bench, double seconds) {
  std::vector<double> step_seconds;
  std::vector<double> update_seconds;
  bench.run();
  int runs = 0;
  const auto start = Clock::now();
  while (runs < 3 || std::chrono::duration<double>(Clock::now() - start).count() < seconds) {
    bench.run_timed(step_seconds, update_seconds);
    ++runs;
  }
  struct Kind {
    double seconds = 0;
    double flops = 0;
    double bytes = 0;
    int count = 0;
  };
  std::map<std::string, Kind> kinds;
  double all = 0;
  const auto add = [&](const Program& program, const std::vector<double>& times) {
    for (std::size_t s = 0; s < program.steps().size(); ++s) {
      const Step& step = program.steps()[s];
      const std::string op =
          step.node < 0 ? "(reorder, copy)" : program.graph().nodes()[static_cast<std::size_t>(step.node)].op->name();
      Kind& kind = kinds[fmt::format("{:<26} {}", op, step.kernel->describe())];
      kind.seconds += times[s] / runs;
      all += times[s] / runs;
      ++kind.count;
      if (step.node < 0) continue;
      const Node& node = program.graph().nodes()[static_cast<std::size_t>(step.node)];
      const Cost cost = node.op->cost(program.graph().call_of(node), program.graph().output_descs(node));
      kind.flops += cost.flops;
      kind.bytes += cost.bytes;
    }
  };
  add(bench.step(), step_seconds);
  if (bench.update() != nullptr) add(*bench.update(), update_seconds);
  std::vector<std::pair<std::string, Kind>> rows(kinds.begin(), kinds.end());
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  fmt::print("{:<62} {:>5} {:>9} {:>6} {:>9} {:>7}\n", "operation and kernel", "nodes", "ms", "share", "GFLOP/s",
             "GB/s");
  for (const auto& [name, kind] : rows) {
    fmt::print("{:<62} {:>5} {:>9.3f} {:>5.1f}% {:>9.1f} {:>7.1f}\n", name, kind.count, kind.seconds * 1e3,
               100 * kind.seconds / all, kind.flops / kind.seconds / 1e9, kind.bytes / kind.seconds / 1e9);
  }
  fmt::print("{:<62} {:>5} {:>9.3f}\n", "sum", "", all * 1e3);
}

void run_step(const BenchCommand& command) {
  command.options->apply();
  const Model model = find_model(command.model);
  StepBench bench(command, model);
  if (command.rounds) {
    serve_rounds(bench);
    return;
  }
  if (command.by_node) {
    print_nodes(bench, command.seconds);
    return;
  }
  const auto times = measure(bench, command.seconds);
  const double middle = command.batch / median(times);
  const double best = command.batch / *std::min_element(times.begin(), times.end());
  if (command.json != "-") {
    fmt::print("{} {} {} px batch {} {} on {} threads: {:.2f} images/s in the median of {} steps, {:.2f} at best\n",
               model.name(), command.mode, command.size, command.batch, command.options->type_name, threads(), middle,
               times.size(), best);
    fmt::print("peak memory {} MiB; arena {} MiB, largest live set {} MiB\n", peak_resident_bytes() >> 20,
               bench.arena_bytes() >> 20, bench.arena_lower_bound() >> 20);
  }
  if (command.json.empty()) return;
  write_json(command.json, {{"model", model.name()},
                            {"mode", command.mode},
                            {"size", command.size},
                            {"batch", command.batch},
                            {"type", command.options->type_name},
                            {"device", to_string(command.options->device())},
                            {"threads", threads()},
                            {"instruction_set", std::string(name_of(instruction_set()))},
                            {"processor", cpu_model_name()},
                            {"version", kVersion},
                            {"steps", times.size()},
                            {"images_per_second_median", middle},
                            {"images_per_second_best", best},
                            {"peak_bytes", peak_resident_bytes()},
                            {"arena_bytes", bench.arena_bytes()},
                            {"arena_lower_bound_bytes", bench.arena_lower_bound()}});
}

}  // namespace

void add_bench(CLI::App& app) {
  auto* bench = app.add_subcommand("bench", "Measure speed");
  bench->require_subcommand(1);
  auto* sub = bench->add_subcommand("step", "Whole steps: training (augmentation to Adam) or inference");
  auto command = std::make_shared<BenchCommand>();
  sub->add_option("--model", command->model, "A built-in model or a .graph file")->capture_default_str();
  sub->add_option("--size", command->size, "Side of the photographs in pixels")
      ->capture_default_str()
      ->check(CLI::Range(1, 16384));
  sub->add_option("--batch", command->batch, "Images a step")->capture_default_str()->check(CLI::Range(1, 65536));
  sub->add_option("--mode", command->mode, "train or infer")
      ->capture_default_str()
      ->check(CLI::IsMember({"train", "infer"}));
  sub->add_option("--seconds", command->seconds, "How long to measure")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  sub->add_option("--seed", command->seed, "Of the made-up photographs")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  sub->add_flag("--by-node", command->by_node, "Print time by operation and kernel instead");
  sub->add_flag("--rounds-server", command->rounds,
                "Answer lines \"run K\" on standard input with the seconds of K steps");
  sub->add_option("--json", command->json, "Write the result to this file, - for standard output");
  command->options = add_run_options(*sub);
  sub->callback([command] { run_step(*command); });
}

}  // namespace dermatome
