// Who wrote which bytes last.
#include "tests/cuda/memory_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace dermatome::harness {
namespace {

struct Range {
  std::size_t begin = 0, end = 0;
  bool overlaps(const Range& other) const { return begin < other.end && other.begin < end; }
  friend bool operator==(const Range&, const Range&) = default;
};

Range range_of(const void* data, std::size_t bytes) {
  const auto begin = reinterpret_cast<std::size_t>(data);
  return {begin, data == nullptr ? begin : begin + bytes};
}
Range range_of(const Operand& operand) {
  return range_of(operand.data, static_cast<std::size_t>(operand.elements) * size_of(operand.type));
}

constexpr int kWorkspace = -2;

// By where they begin: what was written last, and not overwritten.
class Written {
 public:
  void write(const Range& range, int value) {
    std::erase_if(parts_, [&](const auto& part) { return part.second.range.overlaps(range); });
    parts_[range.begin] = {range, value};
  }
  // Whether the range is that value, from its begin to its end; what nobody has written is no value (-1).
  bool holds(const Range& range, int value) const {
    const auto found = parts_.find(range.begin);
    if (found != parts_.end()) return found->second.range == range && found->second.value == value;
    return value < 0 && std::none_of(parts_.begin(), parts_.end(),
                                     [&](const auto& part) { return part.second.range.overlaps(range); });
  }

 private:
  struct Part {
    Range range;
    int value = -1;
  };
  std::map<std::size_t, Part> parts_;
};

// What a step of the second branch needs until it is awaited.
struct Beside {
  std::string name;
  int awaited = 0;
  std::vector<Range> read, written;
};

class Check {
 public:
  Check(const Program& program, const MemoryCheck& check) : program_(program), check_(check) {}

  std::vector<std::string> run() {
    std::vector<std::size_t> order = check_.order;
    if (order.empty()) {
      order.resize(program_.steps().size());
      std::iota(order.begin(), order.end(), std::size_t{0});
    }
    for (const std::size_t s : order) look_at(s);
    return std::move(conflicts_);
  }

 private:
  template <typename... Args>
  void tell(fmt::format_string<Args...> format, Args&&... args) {
    conflicts_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  const Node* node_of(const Step& step) const {
    return step.node < 0 ? nullptr : &program_.graph().nodes()[static_cast<std::size_t>(step.node)];
  }

  // Values that a node makes; graph inputs and states are nobody's.
  int made(Value value) const { return program_.graph().info(value).producer < 0 ? -1 : value.id; }

  // Of a step that the compiler added, which copies a value to a state.
  Value copied_value(const Step& step) const {
    for (const NamedValue& write : program_.graph().state_writes()) {
      if (step.name == "copy to " + write.name) return write.value;
    }
    return {};
  }

  int awaited(std::size_t s) const {
    const Step& step = program_.steps()[s];
    if (step.awaited >= 0 || check_.beside == 0 || step.node < 0) return step.awaited;
    return node_of(step)->op->name() == "conv2d_weight_gradient" ? static_cast<int>(s) + check_.beside : -1;
  }

  // Where a value is read. What no node makes may be there in another type and layout, as weights are: its size is not
  // known here, and that it begins in memory of its own suffices.
  Range read_range(const Operand& operand, Value value) const {
    return value && made(value) < 0 ? range_of(operand.data, 1) : range_of(operand);
  }

  void read(const Step& step, const Operand& operand, Value value) {
    if (operand.data == nullptr || !value) return;
    // A state's old contents are there only until the state is written.
    if (!written_.holds(read_range(operand, value), made(value)))
      tell("{} does not find value {}", step.name, value.id);
  }

  void expect_apart(const Step& step, const std::vector<Range>& own, const std::vector<Range>& others,
                    const std::string& of) {
    for (const Range& range : own) {
      const bool meets = std::any_of(others.begin(), others.end(), [&](const Range& r) { return r.overlaps(range); });
      if (meets) tell("{} touches what {} needs", step.name, of);
    }
  }

  // An output lies over an input only where op and kernel work in place, and then in all of its memory.
  void look_at_outputs(const Step& step, const Node& node, const std::vector<Range>& inputs) {
    const auto allowed = node.op->in_place(program_.graph().call_of(node));
    for (std::size_t o = 0; o < step.outputs.size(); ++o) {
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        const Range output = range_of(step.outputs[o]);
        const Range& input = inputs[i];
        if (!output.overlaps(input)) continue;
        const bool in_place = std::any_of(allowed.begin(), allowed.end(), [&](const InPlace& pair) {
          return pair.output == static_cast<int>(o) && pair.input == static_cast<int>(i) &&
                 step.kernel->works_in_place(pair.output, pair.input);
        });
        if (!in_place || output.begin != input.begin) tell("{} writes over its own input {}", step.name, i);
      }
    }
  }

  void look_at(std::size_t s) {
    const Step& step = program_.steps()[s];
    const int here = static_cast<int>(s);
    std::erase_if(beside_, [&](const Beside& other) { return other.awaited <= here; });
    const Node* node = node_of(step);
    std::vector<Range> read_ranges;
    std::vector<Range> written_ranges;
    const Range workspace = range_of(step.workspace, step.kernel->workspace_bytes());
    for (std::size_t i = 0; i < step.inputs.size(); ++i) {
      const Value value = node == nullptr ? copied_value(step) : node->inputs[i];
      read_ranges.push_back(read_range(step.inputs[i], value));
    }
    for (const Operand& output : step.outputs) written_ranges.push_back(range_of(output));
    expect_apart(step, {workspace}, read_ranges, "it itself");
    expect_apart(step, {workspace}, written_ranges, "it itself");
    written_ranges.push_back(workspace);
    for (const Beside& other : beside_) {
      expect_apart(step, written_ranges, other.read, other.name);
      expect_apart(step, written_ranges, other.written, other.name);
      expect_apart(step, read_ranges, other.written, other.name);
    }

    if (node == nullptr) {
      const Value value = copied_value(step);
      if (!value) return tell("{} is no step that is known here", step.name);
      read(step, step.inputs[0], value);
      written_.write(range_of(step.outputs[0]), value.id);
    } else {
      for (std::size_t i = 0; i < node->inputs.size(); ++i) read(step, step.inputs[i], node->inputs[i]);
      look_at_outputs(step, *node, read_ranges);
      if (step.workspace != nullptr) written_.write(workspace, kWorkspace);
      for (std::size_t o = 0; o < node->outputs.size(); ++o) {
        if (step.outputs[o].data != nullptr) written_.write(range_of(step.outputs[o]), node->outputs[o].id);
      }
    }
    if (const int until = awaited(s); until >= 0) beside_.push_back({step.name, until, read_ranges, written_ranges});
  }

  const Program& program_;
  const MemoryCheck& check_;
  Written written_;
  std::vector<Beside> beside_;
  std::vector<std::string> conflicts_;
};

}  // namespace

std::vector<std::string> conflicts(const Program& program, const MemoryCheck& check) {
  return Check(program, check).run();
}

}  // namespace dermatome::harness
