// Graph: construction, look-up, and the few changes passes make.
#include "engine/graph/graph.h"

#include <algorithm>
#include <queue>

#include "engine/core/error.h"

namespace dermatome {
namespace {

Value find_named(const std::vector<NamedValue>& list, std::string_view name, std::string_view what) {
  std::string known;
  for (const auto& entry : list) {
    if (entry.name == name) return entry.value;
    known += (known.empty() ? "" : ", ") + entry.name;
  }
  fail("the graph has no {} '{}' (it has: {})", what, name, known.empty() ? "none" : known);
}

std::string where(const Node& node) {
  const std::string at = to_string(node.at);
  return fmt::format("{}{} ({})", at.empty() ? "" : at + ": ", node.name, node.op->name());
}

}  // namespace

std::string to_string(const SourceLocation& at) {
  return at.file.empty() ? "" : fmt::format("{}:{}:{}", at.file, at.line, at.column);
}

Value Graph::new_value(ValueInfo info) {
  values_.push_back(std::move(info));
  return {static_cast<int>(values_.size()) - 1};
}

Value Graph::add_input(std::string name, TensorDesc desc) {
  for (const auto& entry : inputs_) DERMATOME_CHECK(entry.name != name, "the graph has an input '{}' already", name);
  const Value value = new_value({.desc = desc, .name = name, .state = {}});
  inputs_.push_back({std::move(name), value});
  return value;
}

Value Graph::read_state(const StateDeclaration& declaration) {
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (states_[i].name != declaration.name) continue;
    DERMATOME_CHECK(states_[i].desc == declaration.desc, "state '{}' is {} in one place and {} in another",
                    declaration.name, to_string(states_[i].desc), to_string(declaration.desc));
    return state_values_[i];
  }
  const Value value = new_value({.desc = declaration.desc, .name = declaration.name, .state = declaration.name});
  states_.push_back(declaration);
  state_values_.push_back(value);
  return value;
}

void Graph::write_state(std::string_view name, Value value) {
  const Value current = state(name);
  DERMATOME_CHECK(current, "state '{}' must be declared before it is written", name);
  DERMATOME_CHECK(desc(current) == desc(value), "state '{}' is {} and cannot become {}", name, to_string(desc(current)),
                  to_string(desc(value)));
  for (const auto& entry : state_writes_) {
    DERMATOME_CHECK(entry.name != name, "state '{}' is written twice in one graph", name);
  }
  state_writes_.push_back({std::string(name), value});
}

void Graph::mark_output(std::string name, Value value) {
  for (const auto& entry : outputs_) DERMATOME_CHECK(entry.name != name, "the graph has an output '{}' already", name);
  outputs_.push_back({std::move(name), value});
}

int Graph::add_node(Node node) {
  const auto& specs = node.op->signature().inputs;
  const bool variadic = !specs.empty() && specs.back().variadic;
  try {
    node.attributes.check_complete();
    DERMATOME_CHECK(variadic || node.inputs.size() <= specs.size(), "takes {} inputs, not {}", specs.size(),
                    node.inputs.size());
    while (!variadic && node.inputs.size() < specs.size()) node.inputs.push_back({});
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const auto& spec = specs[std::min(i, specs.size() - 1)];
      DERMATOME_CHECK(node.inputs[i] || spec.optional, "input '{}' is missing", spec.name);
    }
    const auto descs = node.op->infer(call_of(node));
    DERMATOME_CHECK(variadic || descs.size() <= node.op->signature().outputs.size(),
                    "infers more outputs than it declares");
    const int index = static_cast<int>(nodes_.size());
    if (node.order < 0) node.order = index;
    for (std::size_t i = 0; i < descs.size(); ++i) {
      const auto& outputs = node.op->signature().outputs;
      const std::string suffix = i == 0 ? "" : "." + outputs[std::min(i, outputs.size() - 1)].name;
      node.outputs.push_back(new_value({.desc = descs[i],
                                        .producer = index,
                                        .output = static_cast<int>(i),
                                        .name = node.name + suffix,
                                        .state = {}}));
    }
    nodes_.push_back(std::move(node));
    return index;
  } catch (const UsageError& error) {
    fail_usage("{}: {}", where(node), error.what());
  } catch (const Error& error) {
    fail("{}: {}", where(node), error.what());
  }
}

Value Graph::input(std::string_view name) const {
  return find_named(inputs_, name, "input");
}
Value Graph::output(std::string_view name) const {
  return find_named(outputs_, name, "output");
}

Value Graph::state(std::string_view name) const {
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (states_[i].name == name) return state_values_[i];
  }
  return {};
}

std::vector<std::vector<int>> Graph::users() const {
  std::vector<std::vector<int>> users(values_.size());
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    for (const Value input : nodes_[n].inputs) {
      if (input) users[static_cast<std::size_t>(input.id)].push_back(static_cast<int>(n));
    }
  }
  return users;
}

OpCall Graph::call_of(const Node& node) const {
  std::vector<const TensorDesc*> inputs;
  for (const Value input : node.inputs) inputs.push_back(input ? &desc(input) : nullptr);
  return {node.attributes, std::move(inputs)};
}

std::vector<TensorDesc> Graph::output_descs(const Node& node) const {
  std::vector<TensorDesc> descs;
  for (const Value output : node.outputs) descs.push_back(desc(output));
  return descs;
}

void Graph::replace_uses(Value from, Value to, int before) {
  DERMATOME_CHECK(desc(from) == desc(to), "a pass replaced {} by {}", to_string(desc(from)), to_string(desc(to)));
  const auto swap_in = [&](Value& value) {
    if (value == from) value = to;
  };
  for (std::size_t n = 0; n < nodes_.size() && static_cast<int>(n) < before; ++n) {
    for (Value& input : nodes_[n].inputs) swap_in(input);
  }
  for (auto& entry : outputs_) swap_in(entry.value);
  for (auto& entry : state_writes_) swap_in(entry.value);
}

void Graph::remove_dead_nodes() {
  std::vector<int> producer(values_.size(), -1);
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    for (const Value output : nodes_[n].outputs) producer[static_cast<std::size_t>(output.id)] = static_cast<int>(n);
  }
  // From the results backwards, in whatever order the nodes stand.
  std::vector<bool> live(nodes_.size(), false);
  std::vector<int> open;
  const auto want = [&](Value value) {
    const int n = value ? producer[static_cast<std::size_t>(value.id)] : -1;
    if (n < 0 || live[static_cast<std::size_t>(n)]) return;
    live[static_cast<std::size_t>(n)] = true;
    open.push_back(n);
  };
  for (const auto& entry : outputs_) want(entry.value);
  for (const auto& entry : state_writes_) want(entry.value);
  while (!open.empty()) {
    const int n = open.back();
    open.pop_back();
    for (const Value input : nodes_[static_cast<std::size_t>(n)].inputs) want(input);
  }
  std::vector<Node> kept;
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    if (live[n]) kept.push_back(std::move(nodes_[n]));
  }
  nodes_ = std::move(kept);
  number_producers();
}

void Graph::number_producers() {
  for (auto& value : values_) value.producer = -1;
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    for (const Value output : nodes_[n].outputs)
      values_[static_cast<std::size_t>(output.id)].producer = static_cast<int>(n);
  }
}

bool Graph::sort_topologically(const std::vector<std::pair<int, int>>& before) {
  std::vector<int> missing(nodes_.size(), 0);
  std::vector<std::vector<std::size_t>> next(nodes_.size());
  const auto add_edge = [&](std::size_t from, std::size_t to) {
    next[from].push_back(to);
    ++missing[to];
  };
  std::vector<int> producer(values_.size(), -1);
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    for (const Value output : nodes_[n].outputs) producer[static_cast<std::size_t>(output.id)] = static_cast<int>(n);
  }
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    for (const Value input : nodes_[n].inputs) {
      const int from = input ? producer[static_cast<std::size_t>(input.id)] : -1;
      if (from >= 0) add_edge(static_cast<std::size_t>(from), n);
    }
  }
  for (const auto& [first, second] : before)
    add_edge(static_cast<std::size_t>(first), static_cast<std::size_t>(second));

  using Entry = std::pair<int, std::size_t>;  // order, node
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    if (missing[n] == 0) ready.emplace(nodes_[n].order, n);
  }
  std::vector<std::size_t> sequence;
  while (!ready.empty()) {
    const std::size_t n = ready.top().second;
    ready.pop();
    sequence.push_back(n);
    for (const std::size_t user : next[n]) {
      if (--missing[user] == 0) ready.emplace(nodes_[user].order, user);
    }
  }
  if (sequence.size() != nodes_.size()) return false;
  std::vector<Node> sorted;
  for (const std::size_t n : sequence) sorted.push_back(std::move(nodes_[n]));
  nodes_ = std::move(sorted);
  number_producers();
  return true;
}

}  // namespace dermatome
