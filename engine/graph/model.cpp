// Putting a parsed model into a graph: evaluation of the graph language.
#include "engine/graph/model.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <variant>

#include "engine/core/error.h"
#include "engine/core/suggest.h"

namespace dermatome {
namespace {

using language::Argument;
using language::Block;
using language::Expression;
using language::Statement;
using Kind = Expression::Kind;

// No network needs more; without them a text of a few lines could ask for any amount of time, stack or arithmetic.
constexpr std::size_t kDeepestBlocks = 16;
constexpr int kMostCalls = 100000;
constexpr double kLargestInteger = 32768;
constexpr double kLargestReal = 1e9;
constexpr double kLongestAxis = 0x1p32;
constexpr double kMostElements = 0x1p40;

// What an expression can be: a tensor, a number, a truth value, or the name of a choice.
struct Word {
  std::string text;
};
using Result = std::variant<Value, double, bool, Word>;

std::string joined_path(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : name.empty() ? prefix : prefix + "." + name;
}

class Evaluator {
 public:
  Evaluator(const language::File& file, Builder& builder, const Model::PhaseOf& phase_of)
      : file_(file), builder_(builder), phase_of_(phase_of) {}

  Value run(const language::ModelDeclaration& model, Value image) {
    return body(model.body, {{model.input, image}}, "", model.at, model.name);
  }

 private:
  using Environment = std::map<std::string, Result, std::less<>>;

  // Adds the place and the offending text to an error, once.
  template <typename F>
  auto located(const Expression& e, const F& f) -> decltype(f()) {
    try {
      return f();
    } catch (const UsageError& error) {
      if (located_) throw;
      located_ = true;
      fail_at(e, error.what());
    } catch (const Error& error) {
      if (located_) throw;
      located_ = true;
      fail_at(e, error.what());
    }
  }
  [[noreturn]] static void fail_at(const Expression& e, std::string_view what) {
    const std::string place = to_string(e.at) + ": ";  // errors about a node have it already
    if (what.starts_with(place)) what.remove_prefix(place.size());
    fail_usage("{}in '{}': {}", place, language::print(e), what);
  }

  Value body(const std::vector<Statement>& statements, Environment names, const std::string& path,
             const SourceLocation& at, const std::string& what) {
    for (const auto& statement : statements) {
      switch (statement.kind) {
        case Statement::Kind::group: group_ = statement.name; break;
        case Statement::Kind::assign:
          if (names.contains(statement.name))
            fail_usage("{}: '{}' has a value already", to_string(statement.at), statement.name);
          names[statement.name] = known(statement.value, evaluate(statement.value, names, path, statement.name), names);
          break;
        case Statement::Kind::result:
          return value_of(statement.value, known(statement.value, evaluate(statement.value, names, path, ""), names));
      }
    }
    fail_usage("{}: {} returns nothing", to_string(at), what);
  }

  Value value_of(const Expression& e, const Result& result) {
    if (const auto* value = std::get_if<Value>(&result)) return *value;
    fail_usage("{}: '{}' is not a tensor", to_string(e.at), language::print(e));
  }

  Result evaluate(const Expression& e, const Environment& names, const std::string& path, const std::string& name) {
    switch (e.kind) {
      case Kind::number: return e.number;
      case Kind::boolean: return e.number != 0;
      case Kind::name: return lookup(e, names);
      case Kind::call: return call(e, {}, names, path, name);
      case Kind::sum:
      case Kind::difference:
      case Kind::product:
      case Kind::quotient: return binary(e, names, path);
      case Kind::chain: return chain(e, names, path, name);
      case Kind::repeat:
      case Kind::sequence: break;  // the parser makes them only as stages of a chain
    }
    fail_usage("{}: '{}' needs '->' in front", to_string(e.at), language::print(e));
  }

  Result lookup(const Expression& e, const Environment& names) {
    const auto found = names.find(e.text);
    if (found != names.end()) return found->second;
    return Word{e.text};
  }

  Result binary(const Expression& e, const Environment& names, const std::string& path) {
    const Result left = known(e.operands[0], evaluate(e.operands[0], names, path, ""), names);
    const Result right = known(e.operands[1], evaluate(e.operands[1], names, path, ""), names);
    const auto* a = std::get_if<double>(&left);
    const auto* b = std::get_if<double>(&right);
    if (a != nullptr && b != nullptr) {
      switch (e.kind) {
        case Kind::sum: return *a + *b;
        case Kind::difference: return *a - *b;
        case Kind::product: return *a * *b;
        default:
          if (*b == 0) fail_usage("{}: '{}' divides by zero", to_string(e.at), language::print(e));
          return *a / *b;
      }
    }
    const auto* x = std::get_if<Value>(&left);
    const auto* y = std::get_if<Value>(&right);
    if (e.kind == Kind::sum && x != nullptr && y != nullptr) {
      return located(e, [&] {
        set_scope(joined_path(path, "add"), e.at);
        return Result(builder_.add(*x, *y));
      });
    }
    fail_usage("{}: '{}' mixes tensors and numbers", to_string(e.at), language::print(e));
  }

  // A word that names nothing is an error everywhere but as the choice of a setting.
  Result known(const Expression& e, Result result, const Environment& names) {
    const auto* word = std::get_if<Word>(&result);
    if (word == nullptr) return result;
    std::vector<std::string> candidates;
    for (const auto& [name, value] : names) candidates.push_back(name);
    located_ = true;
    fail_usage("{}: there is no value '{}'{}", to_string(e.at), word->text, did_you_mean(word->text, candidates));
  }

  // Stages are named after the assigned name; repeated ones and sequences number their parts, as torch.nn.Sequential
  // does.
  Result chain(const Expression& e, const Environment& names, const std::string& path, const std::string& name) {
    Value x = value_of(e.operands[0], known(e.operands[0], evaluate(e.operands[0], names, path, ""), names));
    for (std::size_t s = 1; s < e.operands.size(); ++s) {
      const Expression& stage = e.operands[s];
      if (stage.kind == Kind::call) {
        x = value_of(stage, call(stage, x, names, path, name));
        continue;
      }
      const std::vector<Expression> single{stage};
      int index = 0;
      for (const Expression& item : stage.kind == Kind::sequence ? stage.operands : single) {
        const bool repeated = item.kind == Kind::repeat;
        const Expression& inner = repeated ? item.operands[0] : item;
        for (int i = 0; i < (repeated ? static_cast<int>(item.number) : 1); ++i) {
          x = value_of(inner, call(inner, x, names, joined_path(path, name), std::to_string(index++)));
        }
      }
    }
    return x;
  }

  // `first` stands in front of the written arguments when present.
  Result call(const Expression& e, Value first, const Environment& names, const std::string& path,
              const std::string& name) {
    if (++calls_ > kMostCalls) fail_usage("{}: the model has more than {} calls", to_string(e.at), kMostCalls);
    std::vector<std::pair<Argument, Result>> arguments;
    for (const Argument& argument : e.arguments)
      arguments.emplace_back(argument, evaluate(argument.value, names, path, ""));
    const auto block =
        std::find_if(file_.blocks.begin(), file_.blocks.end(), [&](const Block& b) { return b.name == e.text; });
    if (block != file_.blocks.end()) return call_block(e, *block, first, arguments, names, path, name);
    return located(e, [&] { return Result(call_op(e, first, arguments, names, path, name)); });
  }

  Value call_block(const Expression& e, const Block& block, Value first,
                   const std::vector<std::pair<Argument, Result>>& arguments, const Environment& names,
                   const std::string& path, const std::string& name) {
    Environment inner;
    std::vector<Result> positional;
    if (first) positional.emplace_back(first);
    for (const auto& [argument, result] : arguments) {
      known(argument.value, result, names);
      if (argument.name.empty()) {
        positional.push_back(result);
        continue;
      }
      const auto& parameters = block.parameters;
      if (std::find(parameters.begin(), parameters.end(), argument.name) == parameters.end()) {
        fail_usage("{}: block {} has no parameter '{}'{}", to_string(e.at), block.name, argument.name,
                   did_you_mean(argument.name, parameters));
      }
      inner[argument.name] = result;
    }
    if (positional.size() + inner.size() != block.parameters.size()) {
      fail_usage("{}: in '{}': block {} takes {} arguments, not {}", to_string(e.at), language::print(e), block.name,
                 block.parameters.size(), positional.size() + inner.size());
    }
    for (std::size_t i = 0; i < positional.size(); ++i) {
      if (!inner.emplace(block.parameters[i], positional[i]).second) {
        fail_usage("{}: parameter '{}' of block {} is given twice", to_string(e.at), block.parameters[i], block.name);
      }
    }
    if (std::find(active_.begin(), active_.end(), &block) != active_.end()) {
      fail_usage("{}: block {} calls itself", to_string(e.at), block.name);
    }
    if (active_.size() == kDeepestBlocks)
      fail_usage("{}: blocks call each other more than {} deep", to_string(e.at), kDeepestBlocks);
    active_.push_back(&block);
    const Value result = body(block.body, std::move(inner), joined_path(path, name), block.at, "block " + block.name);
    active_.pop_back();
    return result;
  }

  Value call_op(const Expression& e, Value first, const std::vector<std::pair<Argument, Result>>& arguments,
                const Environment& names, const std::string& path, const std::string& name) {
    const Op* op = find_op(e.text);
    if (op == nullptr)
      fail_usage("there is no block or operation '{}'{}", e.text, did_you_mean(e.text, known_callables()));
    const Signature& signature = op->signature();
    std::vector<Value> data;
    if (first) data.push_back(first);
    Attributes attributes(signature.attributes);
    std::size_t next_attribute = 0;
    for (const auto& [argument, result] : arguments) {
      if (const auto* value = std::get_if<Value>(&result)) {
        if (!argument.name.empty()) fail_usage("'{}' is a setting and takes no tensor", argument.name);
        data.push_back(*value);
        continue;
      }
      std::string attribute = argument.name;
      if (attribute.empty()) {
        if (next_attribute >= signature.attributes.size()) {
          known(argument.value, result, names);
          fail_usage("{} has too many arguments", op->name());
        }
        attribute = signature.attributes[next_attribute++].name;
      }
      set_attribute(attributes, attribute, argument, result, names);
    }
    op->specialise(attributes, phase_of_(group_));
    return apply(*op, std::move(attributes), std::move(data), joined_path(path, name), name.empty(), e.at);
  }

  void set_attribute(Attributes& attributes, const std::string& name, const Argument& argument, const Result& result,
                     const Environment& names) {
    if (attributes.is_set(name)) fail_usage("{} is given twice", name);
    const auto& specs = attributes.specs();
    const auto& spec =
        *std::find_if(specs.begin(), specs.end(), [&](const AttributeSpec& s) { return s.name == name; });
    if (spec.kind != AttributeKind::choice) known(argument.value, result, names);
    if (const auto* word = std::get_if<Word>(&result)) {
      attributes.set(name, word->text);
    } else if (const auto* truth = std::get_if<bool>(&result)) {
      attributes.set(name, *truth);
    } else {
      const double number = std::get<double>(result);
      const double largest = spec.kind == AttributeKind::real ? kLargestReal : kLargestInteger;
      if (!(std::abs(number) <= largest)) fail_usage("{}={} is out of bounds (at most {})", name, number, largest);
      attributes.set(name, number);
    }
  }

  // Before anything multiplies the extents as integers.
  static void check_size(const TensorDesc& desc) {
    double elements = 1;
    bool short_axes = true;
    for (const std::int64_t extent : desc.shape.extents()) {
      elements *= static_cast<double>(extent);
      short_axes = short_axes && static_cast<double>(extent) <= kLongestAxis;
    }
    if (!short_axes || elements > kMostElements) fail_usage("{} is too large", to_string(desc));
  }

  Value apply(const Op& op, Attributes attributes, std::vector<Value> data, const std::string& path, bool anonymous,
              const SourceLocation& at) {
    const auto& specs = op.signature().inputs;
    const bool variadic = !specs.empty() && specs.back().variadic;
    std::size_t data_inputs = 0;
    for (const auto& spec : specs) data_inputs += spec.state ? 0 : 1;
    if (data.empty() && data_inputs > 0) fail_usage("{} needs a tensor", op.name());
    if (!variadic && data.size() > data_inputs)
      fail_usage("{} takes {} tensors, not {}", op.name(), data_inputs, data.size());
    attributes.check_complete();

    std::vector<Value> inputs;
    std::size_t next = 0;
    for (const auto& spec : specs) inputs.push_back(!spec.state && next < data.size() ? data[next++] : Value{});
    while (next < data.size()) inputs.push_back(data[next++]);
    const auto states = data.empty() ? std::vector<StateSpec>{} : op.states(attributes, builder_.desc(data[0]));
    if (!states.empty() && anonymous)
      fail_usage("{} has parameters, so it needs a name: write name = {}(...)", op.name(), op.name());
    for (const auto& state : states) {
      const std::string key = path + "." + state.suffix;
      check_size(state.desc);
      if (!defined_.insert(key).second) fail_usage("two layers have the parameter '{}'", key);
      inputs[static_cast<std::size_t>(state.input)] = builder_.graph().read_state({.name = key,
                                                                                   .desc = state.desc,
                                                                                   .initializer = state.initializer,
                                                                                   .group = group_,
                                                                                   .trainable = state.trainable});
    }
    set_scope(anonymous ? joined_path(path, op.name()) : path, at);
    const auto outputs = builder_.call_all(op.name(), std::move(inputs), std::move(attributes));
    if (outputs.empty()) fail_usage("{} gives nothing back", op.name());
    for (const Value output : outputs) check_size(builder_.desc(output));
    for (const auto& state : states) {
      if (state.written_output < 0) continue;
      builder_.graph().write_state(path + "." + state.suffix, outputs[static_cast<std::size_t>(state.written_output)]);
    }
    return outputs[0];
  }

  void set_scope(std::string name, const SourceLocation& at) {
    // Nodes carry their place through an error that already names it: the location is for later stages.
    builder_.set_scope({.name = std::move(name), .group = group_, .at = at});
  }

  std::vector<std::string> known_callables() const {
    std::vector<std::string> names;
    for (const auto& block : file_.blocks) names.push_back(block.name);
    for (const Op* op : all_ops()) names.push_back(op->name());
    return names;
  }

  const language::File& file_;
  Builder& builder_;
  const Model::PhaseOf& phase_of_;
  std::string group_;
  std::set<std::string> defined_;
  std::vector<const Block*> active_;  // those being evaluated, outermost first
  int calls_ = 0;
  bool located_ = false;
};

}  // namespace

Model Model::parse(std::string_view text, const std::string& file_name) {
  Model model;
  model.file_ = language::parse(text, file_name);
  if (model.file_.models.size() != 1) {
    fail_usage("{}: a graph file declares exactly one model, this one {}", file_name, model.file_.models.size());
  }
  std::set<std::string> names;
  for (const auto& block : model.file_.blocks) {
    if (!names.insert(block.name).second) fail_usage("{}: block {} is declared twice", to_string(block.at), block.name);
    if (find_op(block.name) != nullptr)
      fail_usage("{}: {} is an operation and cannot name a block", to_string(block.at), block.name);
  }
  return model;
}

Model Model::load(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::error_code ignored;  // a folder opens as well, and only reading it fails
  DERMATOME_CHECK(file.good() && !std::filesystem::is_directory(path, ignored), "the graph file {} cannot be read",
                  path.string());
  const std::string text(std::istreambuf_iterator<char>(file), {});
  return parse(text, path.filename().string());
}

std::vector<std::string> Model::groups() const {
  std::vector<std::string> groups;
  for (const auto& statement : declaration().body) {
    if (statement.kind != Statement::Kind::group) continue;
    if (std::find(groups.begin(), groups.end(), statement.name) == groups.end()) groups.push_back(statement.name);
  }
  return groups;
}

Value Model::append(Builder& builder, Value image, const PhaseOf& phase_of) const {
  const Shape shape = builder.desc(image).shape;
  if (shape.rank() != 4 || shape[3] != input_channels()) {
    fail_usage("{} takes images [n, height, width, {}], not {}", name(), input_channels(), dermatome::to_string(shape));
  }
  for (const auto side : {shape[1], shape[2]}) {
    if (side % divisor() == 0 && side > 0) continue;
    const auto below = side / divisor() * divisor();
    fail_usage("{} needs sides divisible by {}, and {} x {} is not; {}{} would do", name(), divisor(), shape[2],
               shape[1], below > 0 ? fmt::format("{} or ", below) : "", below + divisor());
  }
  return Evaluator(file_, builder, phase_of).run(declaration(), image);
}

}  // namespace dermatome
