// The pattern language of rewrites and the driver that runs them.
#include "engine/compile/pass.h"

#include <algorithm>
#include <cctype>
#include <list>

#include "engine/compile/kernel.h"
#include "engine/compile/type_policy.h"
#include "engine/core/error.h"

namespace dermatome {

struct Pattern::Term {
  std::string op;       // empty: a capture
  std::string capture;  // the captured value's name, or the node's label
  std::vector<Term> inputs;
};

namespace {

// Recursive descent over "label=op(a, b)".
template <typename Term>
class PatternParser {
 public:
  explicit PatternParser(std::string_view text) : text_(text) {}

  Term parse() {
    Term term = parse_term();
    DERMATOME_CHECK(at_ == text_.size(), "the pattern '{}' goes on after its end", text_);
    return term;
  }

 private:
  void skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char c) {
    skip_spaces();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    skip_spaces();
    return true;
  }
  std::string word() {
    skip_spaces();
    const std::size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_'))
      ++at_;
    DERMATOME_CHECK(at_ > begin, "the pattern '{}' lacks a name at character {}", text_, at_ + 1);
    return std::string(text_.substr(begin, at_ - begin));
  }
  Term parse_term() {
    Term term;
    std::string name = word();
    if (take('=')) {
      term.capture = std::move(name);
      name = word();
    }
    if (!take('(')) {
      DERMATOME_CHECK(term.capture.empty(), "the pattern '{}' labels '{}', which is no op", text_, name);
      term.capture = std::move(name);
      return term;
    }
    term.op = std::move(name);
    while (!take(')')) {
      term.inputs.push_back(parse_term());
      take(',');
      DERMATOME_CHECK(at_ < text_.size(), "the pattern '{}' lacks a closing bracket", text_);
    }
    return term;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

template <typename Term>
bool match_term(const Graph& graph, const std::vector<std::vector<int>>& users, const Term& term, Value value,
                bool is_root, Match& match) {
  if (term.op.empty()) {
    const auto [known, added] = match.values.emplace(term.capture, value);
    return added || known->second == value;
  }
  if (!value) return false;
  const auto& info = graph.info(value);
  if (info.producer < 0 || info.output != 0) return false;
  const Node& node = graph.nodes()[static_cast<std::size_t>(info.producer)];
  if (node.op->name() != term.op || node.inputs.size() < term.inputs.size()) return false;
  if (!is_root) {
    const auto is_this = [&](const NamedValue& entry) { return entry.value == value; };
    if (users[static_cast<std::size_t>(value.id)].size() != 1) return false;
    if (std::any_of(graph.outputs().begin(), graph.outputs().end(), is_this)) return false;
    if (std::any_of(graph.state_writes().begin(), graph.state_writes().end(), is_this)) return false;
  }
  if (!term.capture.empty()) match.nodes[term.capture] = info.producer;
  const auto inputs_match = [&](const std::vector<Value>& inputs, Match& attempt) {
    for (std::size_t i = 0; i < term.inputs.size(); ++i) {
      if (!match_term(graph, users, term.inputs[i], inputs[i], false, attempt)) return false;
    }
    return true;
  };
  const Match before = match;
  if (inputs_match(node.inputs, match)) return true;
  match = before;
  return term.op == "add" && inputs_match({node.inputs[1], node.inputs[0]}, match);
}

constexpr int kMostApplications = 100000;

std::list<Rewrite>& registry() {
  static std::list<Rewrite> instance;
  return instance;
}

bool has_kernels_of(const std::string& op, DeviceKind kind) {
  const auto& entries = kernel_entries();
  return std::any_of(entries.begin(), entries.end(),
                     [&](const KernelEntry& entry) { return entry.op == op && entry.device == kind; });
}

// Whether the device has kernels for all nodes from `first` on.
bool have_kernels(const Graph& graph, int first, Device device, const CompileOptions& options) {
  for (int n = first; n < static_cast<int>(graph.nodes().size()); ++n) {
    const Node& node = graph.nodes()[static_cast<std::size_t>(n)];
    // A GPU's operations serve every shape, and its kernels cannot be made where there is none.
    if (device.kind == DeviceKind::cuda) {
      if (!has_kernels_of(node.op->name(), device.kind)) return false;
      continue;
    }
    const std::vector<bool> all(node.outputs.size(), true);
    KernelRequest request = request_of(graph, node, all, device, options);
    if (options.activations == DType::bf16) reduce_types(request);
    if (!has_kernel(request)) return false;
  }
  return true;
}

// Applies the rewrite at its first match; false when there is none.
bool apply_once(Graph& graph, const Rewrite& rewrite, const Pattern& pattern, const CompileOptions& options,
                std::optional<Device> device) {
  const auto users = graph.users();
  const int before = static_cast<int>(graph.nodes().size());
  for (int n = 0; n < before; ++n) {
    Match match;
    if (!pattern.match(graph, users, n, match)) continue;
    const Node root = graph.nodes()[static_cast<std::size_t>(n)];
    Builder builder(graph);
    builder.set_scope_of(root);
    const auto replacements = rewrite.apply(builder, match);
    if (replacements.empty()) continue;
    if (rewrite.needs_kernels && device && !have_kernels(graph, before, *device, options)) continue;
    for (int added = before; added < static_cast<int>(graph.nodes().size()); ++added)
      graph.set_order(added, root.order);
    for (const auto& [old_value, new_value] : replacements) graph.replace_uses(old_value, new_value, before);
    // The new nodes lie behind their readers until they are sorted, and only in order does dead code show.
    DERMATOME_CHECK(graph.sort_topologically(), "the pass {} made a cycle", rewrite.name);
    graph.remove_dead_nodes();
    return true;
  }
  return false;
}

// To its fixed point. How often it changed the graph.
int run_rewrite(Graph& graph, const Rewrite& rewrite, const CompileOptions& options, std::optional<Device> device) {
  if (!options.pass_enabled(rewrite.name)) return 0;
  if (rewrite.activations && options.activations != *rewrite.activations) return 0;
  if (rewrite.apply_to_graph != nullptr) return rewrite.apply_to_graph(graph, options);
  const Pattern pattern(rewrite.pattern);
  int count = 0;
  while (apply_once(graph, rewrite, pattern, options, device)) {
    DERMATOME_CHECK(++count <= kMostApplications, "the pass {} never comes to an end", rewrite.name);
  }
  graph.remove_dead_nodes();  // of places that were left as they are
  return count;
}

}  // namespace

const Node& Match::node(const Graph& graph, std::string_view label) const {
  return graph.nodes()[static_cast<std::size_t>(nodes.find(label)->second)];
}

std::vector<Rewrite::Replacement> Rewrite::one_by_one(const std::vector<Value>& from, const std::vector<Value>& to) {
  std::vector<Replacement> replacements;
  for (std::size_t i = 0; i < to.size() && i < from.size(); ++i) replacements.push_back({from[i], to[i]});
  return replacements;
}

Value Match::value(std::string_view name) const {
  const auto found = values.find(name);
  return found == values.end() ? Value{} : found->second;
}

Pattern::Pattern(std::string_view text) : root_(std::make_unique<Term>(PatternParser<Term>(text).parse())) {}
Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;

bool Pattern::match(const Graph& graph, const std::vector<std::vector<int>>& users, int node, Match& match) const {
  match.root = graph.nodes()[static_cast<std::size_t>(node)].outputs[0];
  return match_term(graph, users, *root_, match.root, true, match);
}

void register_rewrite(Rewrite rewrite) {
  registry().push_back(std::move(rewrite));
}

std::vector<const Rewrite*> all_rewrites() {
  std::vector<const Rewrite*> rewrites;
  for (const auto& rewrite : registry()) rewrites.push_back(&rewrite);
  std::sort(rewrites.begin(), rewrites.end(), [](const Rewrite* a, const Rewrite* b) {
    return a->order != b->order ? a->order < b->order : a->name < b->name;
  });
  return rewrites;
}

std::vector<std::string> rewrite_names() {
  std::vector<std::string> names;
  for (const Rewrite* rewrite : all_rewrites()) {
    if (std::find(names.begin(), names.end(), rewrite->name) == names.end()) names.push_back(rewrite->name);
  }
  return names;
}

void run_passes(Graph& graph, const CompileOptions& options, std::map<std::string, int>* applied,
                std::optional<Device> device) {
  graph.remove_dead_nodes();
  for (const Rewrite* rewrite : all_rewrites()) {
    if (rewrite->of_the_program) continue;
    const int count = run_rewrite(graph, *rewrite, options, device);
    if (applied != nullptr && options.pass_enabled(rewrite->name)) (*applied)[rewrite->name] += count;
  }
}

void run_passes_before_gradients(Graph& graph, const CompileOptions& options, Device device) {
  graph.remove_dead_nodes();
  for (const Rewrite* rewrite : all_rewrites()) {
    if (rewrite->before_gradients) run_rewrite(graph, *rewrite, options, device);
  }
}

}  // namespace dermatome
