// The canonical text of the graph language.
#include "engine/graph/ast.h"

namespace dermatome::language {
namespace {

int binding(Expression::Kind kind) {
  switch (kind) {
    case Expression::Kind::chain: return 0;
    case Expression::Kind::sum:
    case Expression::Kind::difference: return 1;
    case Expression::Kind::product:
    case Expression::Kind::quotient: return 2;
    default: return 3;
  }
}

std::string print_within(const Expression& expression, int at_least) {
  const std::string text = print(expression);
  return binding(expression.kind) < at_least ? "(" + text + ")" : text;
}

std::string print_binary(const Expression& e, std::string_view symbol) {
  const int own = binding(e.kind);
  return fmt::format("{} {} {}", print_within(e.operands[0], own), symbol, print_within(e.operands[1], own + 1));
}

std::string print_body(const std::vector<Statement>& body) {
  std::string text = " {\n";
  for (const auto& statement : body) {
    switch (statement.kind) {
      case Statement::Kind::group: text += fmt::format("  group {}\n", statement.name); break;
      case Statement::Kind::assign: text += fmt::format("  {} = {}\n", statement.name, print(statement.value)); break;
      case Statement::Kind::result: text += fmt::format("  return {}\n", print(statement.value)); break;
    }
  }
  return text + "}\n";
}

std::string joined(const std::vector<Expression>& list, std::size_t first, std::string_view separator) {
  std::string text;
  for (std::size_t i = first; i < list.size(); ++i) {
    if (i > first) text += separator;
    text += print(list[i]);
  }
  return text;
}

}  // namespace

std::string print(const Expression& e) {
  switch (e.kind) {
    case Expression::Kind::number: return fmt::format("{}", e.number);
    case Expression::Kind::boolean: return e.number != 0 ? "true" : "false";
    case Expression::Kind::name: return e.text;
    case Expression::Kind::call: {
      std::string text = e.text + "(";
      for (std::size_t i = 0; i < e.arguments.size(); ++i) {
        if (i > 0) text += ", ";
        if (!e.arguments[i].name.empty()) text += e.arguments[i].name + "=";
        text += print(e.arguments[i].value);
      }
      return text + ")";
    }
    case Expression::Kind::sum: return print_binary(e, "+");
    case Expression::Kind::difference: return print_binary(e, "-");
    case Expression::Kind::product: return print_binary(e, "*");
    case Expression::Kind::quotient: return print_binary(e, "/");
    case Expression::Kind::chain: return print_within(e.operands[0], 1) + " -> " + joined(e.operands, 1, " -> ");
    case Expression::Kind::repeat: return fmt::format("{} * {}", e.number, print(e.operands[0]));
    case Expression::Kind::sequence: return "[" + joined(e.operands, 0, ", ") + "]";
  }
  return "";
}

std::string print(const File& file) {
  std::string text;
  for (const auto& block : file.blocks) {
    if (!text.empty()) text += "\n";
    text += "block " + block.name + "(";
    for (std::size_t i = 0; i < block.parameters.size(); ++i) text += (i > 0 ? ", " : "") + block.parameters[i];
    text += ")" + print_body(block.body);
  }
  for (const auto& model : file.models) {
    if (!text.empty()) text += "\n";
    text += fmt::format("model {}({}: {} channels", model.name, model.input, model.channels);
    if (model.divisor != 1) text += fmt::format(", sides divisible by {}", model.divisor);
    text += ")" + print_body(model.body);
  }
  return text;
}

}  // namespace dermatome::language
