// Measuring a profile, and its form on disk.
#include "tools/measurement/profile.h"

#include <chrono>
#include <fstream>

#include "engine/core/error.h"
#include "engine/core/threads.h"
#include "tools/measurement/statistics.h"

namespace dermatome::measurement {
namespace {

using Clock = std::chrono::steady_clock;

double moved_bytes(const std::vector<Operand>& operands) {
  double bytes = 0;
  for (const Operand& operand : operands) bytes += static_cast<double>(operand.elements) * size_of(operand.type);
  return bytes;
}

// The nodes of all programs: first what is prepared for one, then its steps.
std::vector<NodeProfile> nodes_of(const std::vector<StepBench::Part>& parts, const MachineRates& rates) {
  std::vector<NodeProfile> nodes;
  for (const auto& part : parts) {
    nodes.push_back({.name = "prepared copies of weights", .op = "(prepare)", .kernel = "reorders"});
    for (const Step& step : part.program->steps()) nodes.push_back(describe_step(*part.program, step, rates));
    for (std::size_t i = nodes.size() - part.program->steps().size() - 1; i < nodes.size(); ++i) {
      nodes[i].index = static_cast<int>(i);
      nodes[i].program = part.name;
    }
  }
  return nodes;
}

// All spans of one step in the order of nodes_of, counted from the beginning of its first program.
std::vector<RunTimes::Span> spans_of(const std::vector<RunTimes>& times) {
  std::vector<RunTimes::Span> spans;
  double begin = 0;
  for (const RunTimes& program : times) {
    spans.push_back({.start = begin + program.prepared.start, .seconds = program.prepared.seconds});
    for (const auto& span : program.steps) spans.push_back({.start = begin + span.start, .seconds = span.seconds});
    begin += program.total;
  }
  return spans;
}

}  // namespace

NodeProfile describe_step(const Program& program, const Step& step, const MachineRates& rates) {
  NodeProfile node{.name = step.name, .kernel = step.kernel->describe()};
  if (!step.outputs.empty()) {
    const Operand& first = step.outputs[0];
    node.shape = to_string(TensorDesc{
        first.type, Shape(std::span<const std::int64_t>(first.extent, static_cast<std::size_t>(first.rank)))});
  }
  if (step.node < 0) {  // a reorder or a copy that the compiler added
    node.op = step.name.starts_with("reorder") ? "(reorder)" : "(copy)";
    node.cost.bytes = moved_bytes(step.inputs) + moved_bytes(step.outputs);
    node.bound = bound_of(node.cost, DType::f32, rates);
    return node;
  }
  const Graph& graph = program.graph();
  const Node& source = graph.nodes()[static_cast<std::size_t>(step.node)];
  const OpCall call = graph.call_of(source);
  const auto outputs = graph.output_descs(source);
  node.op = source.op->name();
  node.cost = source.op->cost(call, outputs);
  node.bound = bound_of(node.cost, source.op->compute_type(call, outputs), rates);
  if (const auto work = step.kernel->work()) {
    node.bound =
        bound_of({.flops = work->flops, .bytes = node.cost.bytes + work->workspace_bytes}, work->factors, rates);
  }
  return node;
}

double Profile::kernel_seconds() const {
  double sum = 0;
  for (const auto& node : nodes) sum += node.seconds;
  return sum;
}

double Profile::bound_seconds() const {
  double sum = 0;
  for (const auto& node : nodes) sum += node.bound.seconds;
  return sum;
}

Profile measure_profile(StepBench& bench, const MachineRates& rates, double seconds) {
  const auto parts = bench.parts();
  Profile profile{.rates = rates, .nodes = nodes_of(parts, rates)};
  for (int i = 0; i < 2; ++i) bench.run();
  std::vector<double> walls;
  std::vector<std::vector<double>> samples(profile.nodes.size());
  std::vector<RunTimes::Span> last;
  const auto start = Clock::now();
  while (walls.size() < 3 || std::chrono::duration<double>(Clock::now() - start).count() < seconds) {
    walls.push_back(bench.run());
    last = spans_of(bench.run_timed());
    for (std::size_t i = 0; i < last.size(); ++i) samples[i].push_back(last[i].seconds);
  }
  for (std::size_t i = 0; i < samples.size(); ++i) {
    profile.nodes[i].last = last[i];
    profile.nodes[i].seconds = median(samples[i]);
    profile.nodes[i].fastest = *std::min_element(samples[i].begin(), samples[i].end());
  }
  profile.runs = static_cast<int>(walls.size());
  profile.wall = median(walls);
  for (const auto& part : parts) {
    const ProgramMemory& memory = part.program->memory();
    profile.arena_bytes = std::max(profile.arena_bytes, memory.arena);
    profile.arena_lower_bound_bytes = std::max(profile.arena_lower_bound_bytes, memory.arena_lower_bound);
  }
  profile.memory = measure_memory(bench);
  const Device device = parts.front().program->device();
  profile.peak_bytes = backend_of(device.kind).host_addressable() ? peak_resident_bytes() : peak_buffer_bytes(device);
  return profile;
}

void run_collected(StepBench& bench, Device device, int from, int count) {
  struct Collecting {  // ends whatever a kernel throws
    explicit Collecting(Backend& backend) : backend(backend) { backend.set_collecting(true); }
    ~Collecting() { backend.set_collecting(false); }
    Backend& backend;
  } const collecting(backend_of(device.kind));
  int node = 0;
  for (const auto& part : bench.parts()) {
    ++node;  // what is prepared for the program
    for (std::size_t step = 0; step < part.program->steps().size(); ++step, ++node) {
      if (node >= from && node - from < count) part.program->run_step(step);
    }
  }
}

nlohmann::json to_json(const Profile& p) {
  nlohmann::json json{{"kind", "dermatome profile"},
                      {"model", p.model},
                      {"mode", p.mode},
                      {"size", p.size},
                      {"batch", p.batch},
                      {"type", p.type},
                      {"device", p.device},
                      {"threads", p.threads},
                      {"processor", p.processor},
                      {"instruction_set", p.instruction_set},
                      {"version", p.version},
                      {"runs", p.runs},
                      {"copy_bytes_per_second", p.rates.copy},
                      {"matrix_f32_flops_per_second", p.rates.matrix_f32},
                      {"matrix_bf16_flops_per_second", p.rates.matrix_bf16},
                      {"wall_seconds", p.wall},
                      {"feeding", {{"step_seconds", p.feeding.step}, {"device_seconds", p.feeding.device}}},
                      {"kernel_seconds", p.kernel_seconds()},
                      {"bound_seconds", p.bound_seconds()},
                      {"arena_bytes", p.arena_bytes},
                      {"arena_lower_bound_bytes", p.arena_lower_bound_bytes},
                      {"peak_bytes", p.peak_bytes},
                      {"memory", to_json(p.memory)},
                      {"nodes", nlohmann::json::array()}};
  for (const auto& node : p.nodes) {
    json["nodes"].push_back({{"index", node.index},
                             {"program", node.program},
                             {"name", node.name},
                             {"op", node.op},
                             {"kernel", node.kernel},
                             {"shape", node.shape},
                             {"median_seconds", node.seconds},
                             {"fastest_seconds", node.fastest},
                             {"flops", node.cost.flops},
                             {"bytes", node.cost.bytes},
                             {"bound_seconds", node.bound.seconds},
                             {"bound_by", node.bound.by_matrix ? "matrix" : "copy"}});
  }
  return json;
}

namespace {

// Profiles of earlier versions have none.
Feeding feeding_of(const nlohmann::json& profile) {
  if (!profile.contains("feeding")) return {};
  const auto& feeding = profile.at("feeding");
  return {.step = feeding.at("step_seconds"), .device = feeding.at("device_seconds")};
}

}  // namespace

Profile read_profile(const std::filesystem::path& path) {
  std::ifstream file(path);
  DERMATOME_CHECK(file.good() && !std::filesystem::is_directory(path), "the profile {} cannot be read", path.string());
  try {
    const auto json = nlohmann::json::parse(file);
    Profile p{.model = json.at("model"),
              .mode = json.at("mode"),
              .type = json.at("type"),
              .device = json.at("device"),
              .processor = json.at("processor"),
              .instruction_set = json.at("instruction_set"),
              .version = json.at("version"),
              .size = json.at("size"),
              .batch = json.at("batch"),
              .threads = json.at("threads"),
              .runs = json.at("runs"),
              .rates = {.copy = json.at("copy_bytes_per_second"),
                        .matrix_f32 = json.at("matrix_f32_flops_per_second"),
                        .matrix_bf16 = json.at("matrix_bf16_flops_per_second")},
              .wall = json.at("wall_seconds"),
              .feeding = feeding_of(json),
              .arena_bytes = json.at("arena_bytes"),
              .arena_lower_bound_bytes = json.at("arena_lower_bound_bytes"),
              .peak_bytes = json.at("peak_bytes")};
    // Earlier versions wrote none.
    if (const auto memory = json.find("memory"); memory != json.end()) p.memory = memory_from_json(*memory);
    for (const auto& node : json.at("nodes")) {
      p.nodes.push_back({.index = node.at("index"),
                         .program = node.at("program"),
                         .name = node.at("name"),
                         .op = node.at("op"),
                         .kernel = node.at("kernel"),
                         .shape = node.at("shape"),
                         .seconds = node.at("median_seconds"),
                         .fastest = node.at("fastest_seconds"),
                         .cost = {.flops = node.at("flops"), .bytes = node.at("bytes")},
                         .bound = {.seconds = node.at("bound_seconds"), .by_matrix = node.at("bound_by") == "matrix"}});
    }
    return p;
  } catch (const nlohmann::json::exception&) {
    fail("{} is not a profile that `dermatome profile --json` wrote", path.string());
  }
}

nlohmann::json chrome_trace(const Profile& profile) {
  nlohmann::json events = nlohmann::json::array();
  for (const auto& node : profile.nodes) {
    events.push_back({{"name", node.name},
                      {"cat", node.op},
                      {"ph", "X"},  // a bar with begin and length, in microseconds
                      {"ts", node.last.start * 1e6},
                      {"dur", node.last.seconds * 1e6},
                      {"pid", 1},
                      {"tid", 1},
                      {"args",
                       {{"program", node.program},
                        {"index", node.index},
                        {"operation", node.op},
                        {"kernel", node.kernel},
                        {"output", node.shape},
                        {"GFLOP", node.cost.flops / 1e9},
                        {"MB", node.cost.bytes / 1e6},
                        {"share of the roofline", node.seconds > 0 ? node.bound.seconds / node.seconds : 0}}}});
  }
  const auto name = [&](const char* what, const std::string& text) {
    events.push_back({{"name", what}, {"ph", "M"}, {"pid", 1}, {"tid", 1}, {"args", {{"name", text}}}});
  };
  name("process_name", fmt::format("{} {} {} px batch {}", profile.model, profile.mode, profile.size, profile.batch));
  name("thread_name", fmt::format("kernels on {} threads", profile.threads));
  return {{"traceEvents", events}, {"displayTimeUnit", "ms"}};
}

}  // namespace dermatome::measurement
