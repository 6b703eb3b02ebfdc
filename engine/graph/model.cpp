// Putting a parsed model into a graph: evaluation of the graph language.
#include "engine/graph/model.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
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

constexpr int kDeepestBlocks = 32;
constexpr std::size_t kMostNodes = 100000;

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
      fail_usage("{}: in '{}': {}", to_string(e.at), language::print(e), error.what());
    } catch (const Error& error) {
      if (located_) throw;
      located_ = true;
      fail_usage("{}: in '{}': {}", to_string(e.at), language::print(e), error.what());
    }
  }

  Value body(const std::vector<Statement>& statements, Environment names, const std::string& path, const SourceLocation& at,
             const std::string& what) {
    for (const auto& statement : statements) {
      switch (statement.kind) {
        case Statement::Kind::group: group_ = statement.name; break;
        case Statement::Kind::assign:
          if (names.contains(statement.name)) fail_usage("{}: '{}' has a value already", to_string(statement.at), statement.name);
          names[statement.name] = evaluate(statement.value, names, path, statement.name);
          break;
        case Statement::Kind::result: return value_of(statement.value, evaluate(statement.value, names, path, ""));
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
    const Result left = evaluate(e.operands[0], names, path, "");
    const Result right = evaluate(e.operands[1], names, path, "");
    check_known(e.operands[0], left, names);
    check_known(e.operands[1], right, names);
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

  void check_known(const Expression& e, const Result& result, const Environment& names) {
    if (!std::holds_alternative<Word>(result)) return;
    std::vector<std::string> known;
    for (const auto& [name, value] : names) known.push_back(name);
    fail_usage("{}: there is no value '{}'{}", to_string(e.at), e.text, did_you_mean(e.text, known));
  }

  // Stages are named after the assigned name; repeated ones and sequences number their parts, as torch.nn.Sequential does.
  Result chain(const Expression& e, const Environment& names, const std::string& path, const std::string& name) {
    const Result start = evaluate(e.operands[0], names, path, "");
    check_known(e.operands[0], start, names);
    Value x = value_of(e.operands[0], start);
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
  Result call(const Expression& e, Value first, const Environment& names, const std::string& path, const std::string& name) {
    std::vector<std::pair<Argument, Result>> arguments;
    for (const Argument& argument : e.arguments) arguments.emplace_back(argument, evaluate(argument.value, names, path, ""));
    const auto block = std::find_if(file_.blocks.begin(), file_.blocks.end(), [&](const Block& b) { return b.name == e.text; });
    if (block != file_.blocks.end()) return call_block(e, *block, first, arguments, names, path, name);
    return located(e, [&] { return Result(call_op(e, first, arguments, names, path, name)); });
  }

  Value call_block(const Expression& e, const Block& block, Value first, const std::vector<std::pair<Argument, Result>>& arguments,
                   const Environment& names, const std::string& path, const std::string& name) {
    Environment inner;
    std::vector<Result> positional;
    if (first) positional.emplace_back(first);
    for (const auto& [argument, result] : arguments) {
      check_known(argument.value, result, names);
      if (argument.name.empty()) {
        positional.push_back(result);
        continue;
      }
      const auto& known = block.parameters;
      if (std::find(known.begin(), known.end(), argument.name) == known.end()) {
        fail_usage("{}: block {} has no parameter '{}'{}", to_string(e.at), block.name, argument.name,
                   did_you_mean(argument.name, known));
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
    if (++depth_ > kDeepestBlocks) fail_usage("{}: block {} calls itself", to_string(e.at), block.name);
    const std::string group = group_;
    const Value result = body(block.body, std::move(inner), joined_path(path, name), block.at, "block " + block.name);
    group_ = group;
    --depth_;
    return result;
  }

  Value call_op(const Expression& e, Value first, const std::vector<std::pair<Argument, Result>>& arguments,
                const Environment& names, const std::string& path, const std::string& name) {
    const Op* op = find_op(e.text);
    if (op == nullptr) fail_usage("there is no block or operation '{}'{}", e.text, did_you_mean(e.text, known_callables()));
    if (builder_.graph().nodes().size() > kMostNodes) fail_usage("the model has more than {} nodes", kMostNodes);
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
        if (next_attribute >= signature.attributes.size()) fail_usage("{} has too many arguments", op->name());
        attribute = signature.attributes[next_attribute++].name;
      }
      set_attribute(attributes, attribute, argument, result, names);
    }
    op->specialise(attributes, phase_of_(group_));
    return apply(*op, std::move(attributes), std::move(data), joined_path(path, name), name.empty(), e.at);
  }

  void set_attribute(Attributes& attributes, const std::string& name, const Argument& argument, const Result& result,
                     const Environment& names) {
    if (const auto* word = std::get_if<Word>(&result)) {
      const auto& specs = attributes.specs();
      const auto spec = std::find_if(specs.begin(), specs.end(), [&](const AttributeSpec& s) { return s.name == name; });
      if (spec != specs.end() && spec->kind != AttributeKind::choice) check_known(argument.value, result, names);
      attributes.set(name, word->text);
    } else if (const auto* truth = std::get_if<bool>(&result)) {
      attributes.set(name, *truth);
    } else {
      attributes.set(name, std::get<double>(result));
    }
  }

  Value apply(const Op& op, Attributes attributes, std::vector<Value> data, const std::string& path, bool anonymous,
              const SourceLocation& at) {
    const auto& specs = op.signature().inputs;
    const bool variadic = !specs.empty() && specs.back().variadic;
    std::size_t data_inputs = 0;
    for (const auto& spec : specs) data_inputs += spec.state ? 0 : 1;
    if (data.empty() && data_inputs > 0) fail_usage("{} needs a tensor", op.name());
    if (!variadic && data.size() > data_inputs) fail_usage("{} takes {} tensors, not {}", op.name(), data_inputs, data.size());
    attributes.check_complete();

    std::vector<Value> inputs;
    std::size_t next = 0;
    for (const auto& spec : specs) inputs.push_back(!spec.state && next < data.size() ? data[next++] : Value{});
    while (next < data.size()) inputs.push_back(data[next++]);
    const auto states = data.empty() ? std::vector<StateSpec>{} : op.states(attributes, builder_.desc(data[0]));
    if (!states.empty() && anonymous) fail_usage("{} has parameters, so it needs a name: write name = {}(...)", op.name(), op.name());
    for (const auto& state : states) {
      const std::string key = path + "." + state.suffix;
      if (!defined_.insert(key).second) fail_usage("two layers have the parameter '{}'", key);
      inputs[static_cast<std::size_t>(state.input)] = builder_.graph().read_state({.name = key,
                                                                                   .desc = state.desc,
                                                                                   .initializer = state.initializer,
                                                                                   .group = group_,
                                                                                   .trainable = state.trainable});
    }
    set_scope(anonymous ? joined_path(path, op.name()) : path, at);
    const auto outputs = builder_.call_all(op.name(), std::move(inputs), std::move(attributes));
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
    std::vector<std::string> known;
    for (const auto& block : file_.blocks) known.push_back(block.name);
    for (const Op* op : all_ops()) known.push_back(op->name());
    return known;
  }

  const language::File& file_;
  Builder& builder_;
  const Model::PhaseOf& phase_of_;
  std::string group_;
  std::set<std::string> defined_;
  int depth_ = 0;
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
    if (find_op(block.name) != nullptr) fail_usage("{}: {} is an operation and cannot name a block", to_string(block.at), block.name);
  }
  return model;
}

Model Model::load(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  DERMATOME_CHECK(file.good(), "the graph file {} cannot be read", path.string());
  std::stringstream text;
  text << file.rdbuf();
  return parse(text.str(), path.filename().string());
}

std::vector<std::string> Model::groups() const {
  std::vector<std::string> groups;
  for (const auto& statement : declaration().body) {
    if (statement.kind == Statement::Kind::group) groups.push_back(statement.name);
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
    fail_usage("{} needs sides divisible by {}, and {} x {} is not; {}{} would do", name(), divisor(), shape[2], shape[1],
               below > 0 ? fmt::format("{} or ", below) : "", below + divisor());
  }
  return Evaluator(file_, builder, phase_of).run(declaration(), image);
}

}  // namespace dermatome
