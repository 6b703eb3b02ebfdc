// dermatome bench op: one operation alone, at any shape: time, rates, share of what the machine can do, and agreement
// with the reference.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "engine/core/suggest.h"
#include "engine/core/threads.h"
#include "tools/command.h"
#include "tools/measurement/operation_bench.h"
#include "tools/option_value.h"
#include "tools/version.h"

namespace dermatome {
namespace {

struct OperationCommand {
  measurement::OperationSettings settings;
  std::string pass = "forward";
  std::string implementation;
  std::string compare;
  double seconds = 1;
  std::string json;
  std::shared_ptr<RunOptions> options;
};

using Timings = std::vector<measurement::OperationBench::Timing>;

void check_implementation(const std::string& op, Device device, const std::string& name) {
  std::vector<std::string> known;
  for (const KernelEntry& entry : kernel_entries()) {
    if (entry.op == op && entry.device == device.kind) known.push_back(entry.implementation);
  }
  if (name.empty() || std::find(known.begin(), known.end(), name) != known.end()) return;
  fail_usage("{} has no implementation '{}' on {}{}", op, name, to_string(device), did_you_mean(name, known));
}

std::string share(double part, double whole) {
  return part > 0 && whole > 0 ? fmt::format("{:.0f} %", 100 * part / whole) : "-";
}

std::string timings_table(const Timings& timings, DType type, const measurement::MachineRates& rates) {
  const auto width = [&](const char* title, const auto& text) {
    std::size_t widest = std::string_view(title).size();
    for (const auto& timing : timings) widest = std::max(widest, text(timing.node).size());
    return widest;
  };
  const auto op = width("operation", [](const auto& n) { return n.op; });
  const auto kernel = width("kernel", [](const auto& n) { return n.kernel; });
  const auto shape = width("output", [](const auto& n) { return n.shape; });
  std::string text = fmt::format("{:<{}}  {:<{}}  {:<{}} {:>11} {:>10} {:>6} {:>9} {:>9} {:>9} {:>7} {:>7} {:>9}\n",
                                 "operation", op, "kernel", kernel, "output", shape, "fastest ms", "median ms", "runs",
                                 "MFLOP", "MB", "GFLOP/s", "matrix", "copy", "roofline");
  for (const auto& [node, runs] : timings) {
    const double flops = node.cost.flops / node.seconds;
    const double bytes = node.cost.bytes / node.seconds;
    text +=
        fmt::format("{:<{}}  {:<{}}  {:<{}} {:>11.4f} {:>10.4f} {:>6} {:>9.2f} {:>9.3f} {:>9.1f} {:>7} {:>7} {:>9}\n",
                    node.op, op, node.kernel, kernel, node.shape, shape, node.fastest * 1e3, node.seconds * 1e3, runs,
                    node.cost.flops / 1e6, node.cost.bytes / 1e6, flops / 1e9, share(flops, rates.matrix(type)),
                    share(bytes, rates.copy), share(node.bound.seconds, node.seconds));
  }
  return text;
}

struct Agreement {
  std::string output;
  double difference = 0;  // the largest
  double magnitude = 0;   // the reference's largest
};

std::vector<Agreement> agreements(const std::vector<measurement::OperationBench::Result>& results,
                                  const std::vector<measurement::OperationBench::Result>& reference) {
  std::vector<Agreement> list;
  for (std::size_t i = 0; i < results.size(); ++i) {
    Agreement agreement{.output = results[i].name};
    for (std::size_t k = 0; k < results[i].values.size(); ++k) {
      const double difference = std::abs(results[i].values[k] - reference[i].values[k]);
      // Not a number counts as the largest difference there is, unless both are.
      const bool both_nan = std::isnan(results[i].values[k]) && std::isnan(reference[i].values[k]);
      if (!both_nan && !(difference <= agreement.difference)) agreement.difference = difference;
      agreement.magnitude = std::max(agreement.magnitude, std::abs(reference[i].values[k]));
    }
    list.push_back(std::move(agreement));
  }
  return list;
}

std::string agreements_table(const std::vector<Agreement>& list) {
  std::string text =
      fmt::format("{:<28} {:>18} {:>18} {:>10}\n", "output", "largest difference", "largest magnitude", "ratio");
  for (const auto& a : list) {
    text += fmt::format("{:<28} {:>18.3g} {:>18.3g} {:>10.2g}\n", a.output, a.difference, a.magnitude,
                        a.magnitude > 0 ? a.difference / a.magnitude : 0);
  }
  return text;
}

nlohmann::json to_json(const OperationCommand& command, const Timings& timings,
                       const measurement::MachineRates& rates) {
  nlohmann::json json{{"operation", command.settings.op},
                      {"shapes", command.settings.shapes},
                      {"attributes", command.settings.attributes},
                      {"pass", command.pass},
                      {"type", command.options->type_name},
                      {"device", to_string(command.options->device())},
                      {"threads", threads()},
                      {"processor", cpu_model_name()},
                      {"instruction_set", std::string(name_of(instruction_set()))},
                      {"version", kVersion},
                      {"copy_bytes_per_second", rates.copy},
                      {"matrix_f32_flops_per_second", rates.matrix_f32},
                      {"matrix_bf16_flops_per_second", rates.matrix_bf16},
                      {"kernels", nlohmann::json::array()}};
  for (const auto& [node, runs] : timings) {
    json["kernels"].push_back({{"pass", node.program},
                               {"op", node.op},
                               {"kernel", node.kernel},
                               {"shape", node.shape},
                               {"runs", runs},
                               {"median_seconds", node.seconds},
                               {"fastest_seconds", node.fastest},
                               {"flops", node.cost.flops},
                               {"bytes", node.cost.bytes},
                               {"bound_seconds", node.bound.seconds},
                               {"bound_by", node.bound.by_matrix ? "matrix" : "copy"}});
  }
  return json;
}

// The same operation and inputs on the reference device, in f64.
std::vector<Agreement> compare(const OperationCommand& command, measurement::OperationBench& bench, double& seconds) {
  measurement::OperationSettings reference = command.settings;
  reference.type = DType::f64;
  reference.device = {DeviceKind::reference, 0};
  reference.compile = {};
  measurement::OperationBench other(reference);
  const auto results = agreements(bench.results(), other.results());
  seconds = other.last_run_seconds();
  return results;
}

void run_operation(OperationCommand& command) {
  command.options->apply();
  measurement::OperationSettings& settings = command.settings;
  settings.type = command.options->type();
  settings.device = command.options->device();
  settings.gradient = command.pass != "forward";
  settings.compile = command.options->compile;
  settings.compile.implementation = command.implementation;
  check_implementation(op_named(settings.op).name(), settings.device, command.implementation);
  measurement::OperationBench bench(settings);
  const auto rates = measurement::measure_machine_rates(0.3, settings.device);
  Timings timings;
  for (const char* pass : {"forward", "gradient"}) {
    if (command.pass != pass && command.pass != "both") continue;
    for (auto& timing : bench.time(pass, command.seconds, rates)) timings.push_back(std::move(timing));
  }
  DERMATOME_CHECK(!timings.empty(), "{} has no kernel to run in this pass", settings.op);
  nlohmann::json json = to_json(command, timings, rates);
  if (command.json != "-") {
    fmt::print("{} {} on {}, {} threads, {}; copy {:.1f} GB/s, matrix product {} GFLOP/s\n\n{}", settings.op,
               command.options->type_name, to_string(settings.device), threads(), name_of(instruction_set()),
               rates.copy / 1e9,
               rates.matrix(settings.type) > 0 ? fmt::format("{:.0f}", rates.matrix(settings.type) / 1e9) : "-",
               timings_table(timings, settings.type, rates));
  }
  if (!command.compare.empty()) {
    double seconds = 0;
    const auto list = compare(command, bench, seconds);
    if (command.json != "-") fmt::print("\nreference in f64: {:.3f} ms\n{}", seconds * 1e3, agreements_table(list));
    for (const auto& a : list) {
      json["agreement"].push_back(
          {{"output", a.output}, {"largest_difference", a.difference}, {"largest_magnitude", a.magnitude}});
    }
  }
  if (!command.json.empty()) write_json(command.json, json);
}

}  // namespace

void add_bench_op(CLI::App& bench) {
  auto* sub = bench.add_subcommand("op", "One operation alone, at any shape");
  auto command = std::make_shared<OperationCommand>();
  sub->add_option("operation", command->settings.op, "Its name; `dermatome info --ops` lists all")
      ->type_name(value_kind::kOperation)
      ->required();
  sub->add_option("--shape", command->settings.shapes,
                  "Shape of an input, in their order: 8x64x64x64, with another type 8x64x64x1:u8, or none; weights may "
                  "be left out (repeatable)")
      ->type_name("SHAPE")
      ->allow_extra_args(false)
      ->required();
  sub->add_option("-a,--attribute", command->settings.attributes, "An attribute, for example kernel=3 (repeatable)")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  sub->add_option("--pass", command->pass, "What to time: the operation, the kernels of its gradient, or both")
      ->capture_default_str()
      ->check(CLI::IsMember({"forward", "gradient", "both"}));
  sub->add_option("--implementation", command->implementation, "Take this kernel, not the first that serves the shape")
      ->type_name(value_kind::kImplementation);
  sub->add_option("--compare", command->compare, "Also compare all outputs with those of this device, in f64")
      ->check(CLI::IsMember({"reference"}));
  sub->add_option("--seconds", command->seconds, "How long to run each kernel")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  sub->add_option("--json", command->json, "Write the result to this file, - for standard output");
  command->options = add_run_options(*sub);
  sub->footer(
      "MFLOP, MB and their rates count what the operation asks for, the roofline what\n"
      "the kernel executes.\n\n"
      "Examples\n"
      "  dermatome bench op conv2d --shape 8x32x32x64 -a channels=64 -a kernel=3 \\\n"
      "      -a pad=1 -a bias=false --pass both --compare reference\n"
      "  dermatome bench op add --shape 8x64x64x64 --shape 8x64x64x64 --threads 1");
  sub->callback([command] { run_operation(*command); });
}

}  // namespace dermatome
