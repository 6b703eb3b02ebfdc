// dermatome graph: a model node by node, with shapes, parameters and cost.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <set>

#include "engine/compile/program.h"
#include "engine/core/error.h"
#include "engine/graph/autograd.h"
#include "models/builtin.h"
#include "tools/command.h"
#include "tools/training/networks.h"

namespace dermatome {
namespace {

struct GraphCommand {
  std::string model;
  int size = 256;
  int batch = 1;
  bool dot = false;
  bool text = false;
  std::string json;
};

struct Row {
  const Node* node;
  std::string shape;
  std::int64_t parameters = 0;
  Cost cost;
};

std::int64_t parameters_of_node(const Graph& graph, const Node& node) {
  std::int64_t count = 0;
  for (const auto& state : graph.states()) {
    const Value value = graph.state(state.name);
    if (state.trainable && std::find(node.inputs.begin(), node.inputs.end(), value) != node.inputs.end()) {
      count += state.desc.shape.elements();
    }
  }
  return count;
}

std::vector<Row> rows_of(const Graph& graph) {
  std::vector<Row> rows;
  for (const Node& node : graph.nodes()) {
    rows.push_back({.node = &node,
                    .shape = to_string(graph.desc(node.outputs[0])),
                    .parameters = parameters_of_node(graph, node),
                    .cost = node.op->cost(graph.call_of(node), graph.output_descs(node))});
  }
  return rows;
}

Cost total(const std::vector<Row>& rows) {
  Cost sum;
  for (const auto& row : rows) {
    sum.flops += row.cost.flops;
    sum.bytes += row.cost.bytes;
  }
  return sum;
}

Graph forward_graph(const Model& model, const GraphCommand& command) {
  Graph graph;
  Builder builder(graph);
  const Value image =
      graph.add_input("image", {DType::f32, {command.batch, command.size, command.size, model.input_channels()}});
  graph.mark_output("output", model.append(builder, image, training_phase));
  return graph;
}

// The gradient work alone: the training graph's nodes that the forward graph does not have.
Cost backward_cost(const Model& model, const GraphCommand& command, const Cost& forward) {
  Graph graph = forward_graph(model, command);
  Builder builder(graph);
  std::vector<Value> parameters;
  for (const auto& state : graph.states()) {
    if (state.trainable) parameters.push_back(graph.state(state.name));
  }
  const Value output = graph.output("output");
  const Value target = builder.fill(graph.desc(output), 0);
  Value logits = output;
  if (graph.desc(output).shape.rank() != 4) return {};
  const Value loss = builder.call("bce_with_logits", {logits, target, builder.fill({DType::f32, {1}}, 1)});
  const auto gradients = differentiate(graph, loss, parameters);
  for (std::size_t i = 0; i < gradients.size(); ++i) graph.mark_output(fmt::format("gradient{}", i), gradients[i]);
  const Cost all = total(rows_of(graph));
  return {.flops = all.flops - forward.flops, .bytes = all.bytes - forward.bytes};
}

ProgramMemory memory_of(Graph graph) {
  return Program::needs(std::move(graph), {}, options_from_environment()).memory;
}

void print_dot(const Graph& graph) {
  fmt::print("digraph model {{\n  rankdir=TB; node [shape=box, fontname=\"sans-serif\"];\n");
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    fmt::print("  n{} [label=\"{}\\n{} {}\"];\n", n, node.name, node.op->name(),
               to_string(graph.desc(node.outputs[0]).shape));
    for (const Value input : node.inputs) {
      if (input && graph.info(input).producer >= 0) fmt::print("  n{} -> n{};\n", graph.info(input).producer, n);
    }
  }
  fmt::print("}}\n");
}

void run_graph(const GraphCommand& command) {
  const Model model = find_model(command.model);
  if (command.text) {
    write_text("-", model.canonical_text());
    return;
  }
  const Graph graph = forward_graph(model, command);
  if (command.dot) {
    print_dot(graph);
    return;
  }
  const auto rows = rows_of(graph);
  const Cost forward = total(rows);
  const Cost backward = backward_cost(model, command, forward);
  std::int64_t parameters = 0;
  for (const auto& state : graph.states()) parameters += state.trainable ? state.desc.shape.elements() : 0;
  const ProgramMemory memory = memory_of(forward_graph(model, command));
  if (command.json != "-") {
    fmt::print("{:<36} {:<22} {:<26} {:>10} {:>10} {:>9}\n", "node", "operation", "output", "parameters", "MFLOP",
               "MB moved");
    for (const auto& row : rows) {
      fmt::print("{:<36} {:<22} {:<26} {:>10} {:>10.2f} {:>9.2f}\n", row.node->name, row.node->op->name(), row.shape,
                 row.parameters, row.cost.flops / 1e6, row.cost.bytes / 1e6);
    }
    fmt::print("\n{}: {} parameters, {} nodes, {} x {} px, batch {}\n", model.name(), parameters, rows.size(),
               command.size, command.size, command.batch);
    fmt::print("forward   {:.3f} GFLOP, {:.1f} MB moved\n", forward.flops / 1e9, forward.bytes / 1e6);
    if (backward.flops > 0)
      fmt::print("backward  {:.3f} GFLOP, {:.1f} MB moved\n", backward.flops / 1e9, backward.bytes / 1e6);
    fmt::print("arena     {} bytes for the forward program in training mode (largest live set {})\n", memory.arena,
               memory.arena_lower_bound);
  }
  if (command.json.empty()) return;
  nlohmann::json json{{"model", model.name()},
                      {"parameters", parameters},
                      {"size", command.size},
                      {"batch", command.batch},
                      {"forward_flops", forward.flops},
                      {"forward_bytes", forward.bytes},
                      {"backward_flops", backward.flops},
                      {"backward_bytes", backward.bytes},
                      {"arena_bytes", memory.arena},
                      {"arena_lower_bound_bytes", memory.arena_lower_bound},
                      {"nodes", nlohmann::json::array()}};
  for (const auto& row : rows) {
    const auto extents = graph.desc(row.node->outputs[0]).shape.extents();
    json["nodes"].push_back({{"name", row.node->name},
                             {"op", row.node->op->name()},
                             {"group", row.node->group},
                             {"attributes", row.node->attributes.to_string()},
                             {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
                             {"parameters", row.parameters},
                             {"flops", row.cost.flops},
                             {"bytes", row.cost.bytes}});
  }
  write_json(command.json, json);
}

}  // namespace

void add_graph(CLI::App& app) {
  auto* sub = app.add_subcommand("graph", "Show a model node by node: shapes, parameters, FLOPs, bytes, arena");
  auto command = std::make_shared<GraphCommand>();
  sub->add_option("model", command->model, "unet34, unet34_large_head, resnet34, or a .graph file")->required();
  sub->add_option("--size", command->size, "Side of the input in pixels")
      ->capture_default_str()
      ->check(CLI::Range(1, 16384));
  sub->add_option("--batch", command->batch, "Images")->capture_default_str()->check(CLI::Range(1, 65536));
  sub->add_flag("--dot", command->dot, "Print the graph for Graphviz instead");
  sub->add_flag("--text", command->text, "Print the canonical text instead");
  sub->add_option("--json", command->json, "Write everything to this file, - for standard output");
  sub->callback([command] { run_graph(*command); });
}

}  // namespace dermatome
