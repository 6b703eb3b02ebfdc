// Passes: named, switchable changes of a graph before its kernels are chosen; and the pattern matcher most are made of.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/compile/options.h"
#include "engine/core/device.h"
#include "engine/graph/builder.h"

namespace dermatome {

// What a pattern matched: values by the names in the pattern text, nodes by the labels.
struct Match {
  std::map<std::string, Value, std::less<>> values;
  std::map<std::string, int, std::less<>> nodes;
  Value root;

  Value value(std::string_view name) const;  // absent for an absent optional input
  const Node& node(const Graph& graph, std::string_view label) const;
};

// A pattern such as "relu(n=batch_norm(x, gamma, beta, mean, variance))": op names with their inputs in order; a bare
// word captures a value, `label=` captures a node, a repeated word must be the same value, trailing inputs may be left
// out. The first output of an inner node is matched, and it must have no other use than the one in the pattern. The two
// inputs of an add match in either order.
class Pattern {
 public:
  explicit Pattern(std::string_view text);  // throws Error for a text that does not parse
  ~Pattern();
  Pattern(Pattern&&) noexcept;

  // Whether the pattern ends in the first output of that node.
  bool match(const Graph& graph, const std::vector<std::vector<int>>& users, int node, Match& match) const;

 private:
  struct Term;
  std::unique_ptr<Term> root_;
};

// A rewrite replaces what its pattern matches. `apply` adds nodes with the builder and returns what replaces each
// output of the pattern's labelled nodes, or nothing to leave the place as it is.
struct Rewrite {
  std::string name;  // "fuse_batch_norm_relu": the name of --disable-pass
  std::string summary;
  int order = 0;  // lower runs first
  std::string pattern;
  struct Replacement {
    Value from;
    Value to;
  };
  // As many of `from` as there are of `to`, in their order.
  static std::vector<Replacement> one_by_one(const std::vector<Value>& from, const std::vector<Value>& to);
  std::vector<Replacement> (*apply)(Builder&, const Match&) = nullptr;
  // Instead of a pattern, for what no pattern can say: runs once over the whole graph and returns how often it changed
  // it.
  int (*apply_to_graph)(Graph&, const CompileOptions&) = nullptr;
  // Runs in front of differentiation too: what it makes has gradients of its own.
  bool before_gradients = false;
  // Leaves a place as it is where the device has no kernel for what `apply` made of it, in the types of the
  // activations.
  bool needs_kernels = false;
  // Only where activations are of that type.
  std::optional<DType> activations = {};
  // Neither pattern nor function: no change of the graph but one of how the compiled program runs, which asks whether
  // the name is enabled.
  bool of_the_program = false;
};

void register_rewrite(Rewrite rewrite);
std::vector<const Rewrite*> all_rewrites();  // by order, then name; several may share a name
std::vector<std::string> rewrite_names();    // each once, in that order

// Runs every enabled rewrite to its fixed point, then drops dead nodes. `applied` counts by name. `device`: that the
// graph will be compiled for; without one a kernel is never missed.
void run_passes(Graph& graph, const CompileOptions& options, std::map<std::string, int>* applied = nullptr,
                std::optional<Device> device = std::nullopt);

// Those that have to see a graph before gradients are added to it. Values of the graph that it outputs or writes stay
// valid; others may be replaced.
void run_passes_before_gradients(Graph& graph, const CompileOptions& options, Device device);

struct RewriteRegistrar {
  explicit RewriteRegistrar(Rewrite rewrite) { register_rewrite(std::move(rewrite)); }
};

}  // namespace dermatome
