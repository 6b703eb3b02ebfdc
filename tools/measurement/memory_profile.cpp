// Reading lifetimes, telling kinds apart, and tables of them.
#include "tools/measurement/memory_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "tools/training/networks.h"

namespace dermatome::measurement {
namespace {

// Kinds of what is alive, in the order of the table.
struct LiveKind {
  const char* name;   // of a value
  const char* title;  // of all of them
};
constexpr std::array<LiveKind, 5> kLiveKinds{{{"kept", "activations kept for the backward pass"},
                                              {"passing", "other activations"},
                                              {"gradient", "gradients of activations"},
                                              {"workspace", "workspaces"},
                                              {"reordered", "inputs reordered for a kernel"}}};

// Autograd names its nodes so, and passes keep the names of what they replace.
bool is_backward(const Node& node) {
  std::string_view name = node.name;
  if (name.starts_with("cast for ")) name.remove_prefix(std::string_view("cast for ").size());
  return name.starts_with("gradient of ") || name.starts_with(training::gradient_state(""));
}

std::string output_name(const Node& node, int output) {
  const auto& outputs = node.op->signature().outputs;
  return outputs[std::min(static_cast<std::size_t>(output), outputs.size() - 1)].name;
}

std::string kind_of(const Program& program, const ArenaUse& use, const std::vector<std::vector<int>>& users) {
  if (use.kind == ArenaUse::Kind::workspace) return "workspace";
  if (use.kind == ArenaUse::Kind::reordered) return "reordered";
  const Graph& graph = program.graph();
  const auto& nodes = graph.nodes();
  const ValueInfo& info = graph.values()[static_cast<std::size_t>(use.value)];
  const Node& producer = nodes[static_cast<std::size_t>(info.producer)];
  // A loss leaves the gradient of its logits in the forward pass.
  if (is_backward(producer) || output_name(producer, info.output).ends_with("gradient")) return "gradient";
  const auto& readers = users[static_cast<std::size_t>(use.value)];
  const bool kept = std::any_of(readers.begin(), readers.end(),
                                [&](int reader) { return is_backward(nodes[static_cast<std::size_t>(reader)]); });
  return kept ? "kept" : "passing";
}

LiveValue describe(const Program& program, const ArenaUse& use, int first_node,
                   const std::vector<std::vector<int>>& users) {
  LiveValue value{.name = program.steps()[static_cast<std::size_t>(use.first)].name,
                  .kind = kind_of(program, use, users),
                  .shape = {},
                  .bytes = use.bytes,
                  .first = first_node + use.first,
                  .last = first_node + use.last};
  if (use.value < 0) return value;
  const Graph& graph = program.graph();
  const ValueInfo& info = graph.values()[static_cast<std::size_t>(use.value)];
  value.shape = to_string(info.desc);
  if (use.kind == ArenaUse::Kind::value && info.output > 0) {
    value.name +=
        fmt::format(" ({})", output_name(graph.nodes()[static_cast<std::size_t>(info.producer)], info.output));
  }
  return value;
}

// Of each slot that is alive at the step the use that is the last to begin: what it took over is gone.
std::map<int, const ArenaUse*> alive_at(const std::vector<ArenaUse>& uses, int step) {
  std::map<int, const ArenaUse*> alive;
  for (const ArenaUse& use : uses) {
    if (use.first <= step && step <= use.last) alive[use.slot] = &use;
  }
  return alive;
}

std::size_t sum_of(const std::map<int, const ArenaUse*>& alive) {
  std::size_t sum = 0;
  for (const auto& [slot, use] : alive) sum += use->bytes;
  return sum;
}

int fullest_step(const std::vector<ArenaUse>& uses, int steps) {
  int fullest = 0;
  std::size_t most = 0;
  for (int step = 0; step < steps; ++step) {
    const std::size_t sum = sum_of(alive_at(uses, step));
    if (sum > most) fullest = step;
    most = std::max(most, sum);
  }
  return fullest;
}

// The states by what they are for.
std::vector<MemoryKind> kinds_of_states(const StateStore& store) {
  std::vector<MemoryKind> kinds{{"weights and running statistics"}, {"gradients of weights"}, {"moments of Adam"}};
  for (const auto& name : store.names()) {
    const std::size_t kind = name.starts_with(training::gradient_state("")) ? 1 : name.starts_with("adam/") ? 2 : 0;
    kinds[kind].bytes += store.get(name).tensor.bytes();
  }
  return kinds;
}

std::string mebibytes(std::size_t bytes) {
  return fmt::format("{:.1f}", static_cast<double>(bytes) / 1048576);
}

std::string cut(const std::string& text, std::size_t width) {
  return text.size() <= width ? text : text.substr(0, width - 2) + "..";
}

}  // namespace

std::size_t MemoryProfile::live_bytes() const {
  std::size_t sum = 0;
  for (const auto& value : values) sum += value.bytes;
  return sum;
}

std::size_t MemoryProfile::bytes() const {
  std::size_t sum = 0;
  for (const auto& kind : kinds) sum += kind.bytes;
  return sum;
}

MemoryProfile measure_memory(StepBench& bench) {
  const auto parts = bench.parts();
  const auto live_set = [](const StepBench::Part& part) { return part.program->memory().arena_lower_bound; };
  const auto fullest = std::max_element(parts.begin(), parts.end(),
                                        [&](const auto& a, const auto& b) { return live_set(a) < live_set(b); });
  const Program& program = *fullest->program;
  int first_node = 1;  // node 0 is what is prepared for the first program
  for (auto part = parts.begin(); part != fullest; ++part)
    first_node += static_cast<int>(part->program->steps().size()) + 1;

  const auto uses = program.lifetimes();
  const int step = fullest_step(uses, static_cast<int>(program.steps().size()));
  const Step& there = program.steps()[static_cast<std::size_t>(step)];
  MemoryProfile memory{.node = first_node + step, .program = fullest->name, .name = there.name};
  memory.op = there.node >= 0 ? program.graph().nodes()[static_cast<std::size_t>(there.node)].op->name()
              : there.name.starts_with("reorder") ? "(reorder)"
                                                  : "(copy)";
  const auto users = program.graph().users();
  std::map<std::string, std::size_t> bytes_of;
  for (const auto& [slot, use] : alive_at(uses, step)) {
    memory.values.push_back(describe(program, *use, first_node, users));
    bytes_of[memory.values.back().kind] += use->bytes;
  }
  std::stable_sort(memory.values.begin(), memory.values.end(),
                   [](const LiveValue& a, const LiveValue& b) { return a.bytes > b.bytes; });

  for (const auto& kind : kLiveKinds) memory.kinds.push_back({kind.title, bytes_of[kind.name]});
  std::size_t arenas = 0;
  std::size_t inputs_and_outputs = 0;
  for (const auto& part : parts) {
    arenas += part.program->memory().arena;
    inputs_and_outputs += part.program->memory().inputs_and_outputs;
  }
  memory.kinds.push_back({"rest of the arenas", arenas - memory.live_bytes()});
  for (auto& kind : kinds_of_states(bench.store())) memory.kinds.push_back(std::move(kind));
  memory.kinds.push_back({"prepared copies of weights", bench.store().prepared_bytes()});
  memory.kinds.push_back({"inputs and outputs", inputs_and_outputs});
  return memory;
}

nlohmann::json to_json(const MemoryProfile& memory) {
  nlohmann::json json{{"node", memory.node},
                      {"program", memory.program},
                      {"name", memory.name},
                      {"op", memory.op},
                      {"live_bytes", memory.live_bytes()},
                      {"values", nlohmann::json::array()},
                      {"kinds", nlohmann::json::array()}};
  for (const auto& value : memory.values) {
    json["values"].push_back({{"name", value.name},
                              {"kind", value.kind},
                              {"shape", value.shape},
                              {"bytes", value.bytes},
                              {"first", value.first},
                              {"last", value.last}});
  }
  for (const auto& kind : memory.kinds) json["kinds"].push_back({{"kind", kind.name}, {"bytes", kind.bytes}});
  return json;
}

MemoryProfile memory_from_json(const nlohmann::json& json) {
  MemoryProfile memory{
      .node = json.at("node"), .program = json.at("program"), .name = json.at("name"), .op = json.at("op")};
  for (const auto& value : json.at("values")) {
    memory.values.push_back({.name = value.at("name"),
                             .kind = value.at("kind"),
                             .shape = value.at("shape"),
                             .bytes = value.at("bytes"),
                             .first = value.at("first"),
                             .last = value.at("last")});
  }
  for (const auto& kind : json.at("kinds")) memory.kinds.push_back({kind.at("kind"), kind.at("bytes")});
  return memory;
}

std::string memory_text(const MemoryProfile& memory, std::size_t count) {
  if (memory.node < 0) return "";
  const std::size_t shown = std::min(count, memory.values.size());
  std::size_t width = 4;
  for (std::size_t i = 0; i < shown; ++i) width = std::max(width, memory.values[i].name.size());
  width = std::min<std::size_t>(width, 52);
  std::string text = fmt::format("the arena is fullest at node {}, {}{} of the {}\n", memory.node, memory.name,
                                 memory.op.starts_with("(") ? "" : " (" + memory.op + ")", memory.program);
  text += fmt::format("{:>9}  {:>5}  {:>5}  {:<9}  {:<{}}  {}\n", "MiB", "first", "last", "kind", "name", width,
                      "type and shape");
  std::size_t rest = memory.live_bytes();
  for (std::size_t i = 0; i < shown; ++i) {
    const LiveValue& value = memory.values[i];
    rest -= value.bytes;
    const std::string line = fmt::format("{:>9}  {:>5}  {:>5}  {:<9}  {:<{}}  {}", mebibytes(value.bytes), value.first,
                                         value.last, value.kind, cut(value.name, width), width, value.shape);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  if (shown < memory.values.size()) {
    text += fmt::format("{:>9}  in {} more, none larger\n", mebibytes(rest), memory.values.size() - shown);
  }
  text += fmt::format("{:>9}  the largest live set, of {} values\n\n", mebibytes(memory.live_bytes()),
                      memory.values.size());
  text += fmt::format("{:>9}  memory by kind\n", "MiB");
  for (const auto& kind : memory.kinds) text += fmt::format("{:>9}  {}\n", mebibytes(kind.bytes), kind.name);
  return text + fmt::format("{:>9}  sum\n", mebibytes(memory.bytes()));
}

std::string memory_difference_text(const MemoryProfile& before, const MemoryProfile& after) {
  if (before.node < 0 || after.node < 0) return "";
  std::vector<std::string> names;
  std::map<std::string, std::pair<std::size_t, std::size_t>> sums;
  const auto add = [&](const MemoryProfile& memory, std::size_t std::pair<std::size_t, std::size_t>::*side) {
    for (const auto& kind : memory.kinds) {
      if (!sums.contains(kind.name)) names.push_back(kind.name);
      sums[kind.name].*side += kind.bytes;
    }
  };
  add(before, &std::pair<std::size_t, std::size_t>::first);
  add(after, &std::pair<std::size_t, std::size_t>::second);
  names.emplace_back("sum");
  sums["sum"] = {before.bytes(), after.bytes()};
  std::string text =
      fmt::format("\n{:<40} {:>10} {:>10} {:>10}\n", "memory by kind", "MiB before", "MiB after", "change");
  for (const auto& name : names) {
    const auto& [was, is] = sums[name];
    const double change = (static_cast<double>(is) - static_cast<double>(was)) / 1048576;
    text += fmt::format("{:<40} {:>10} {:>10} {:>+10.1f}\n", name, mebibytes(was), mebibytes(is), change);
  }
  return text;
}

}  // namespace dermatome::measurement
