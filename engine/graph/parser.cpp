// Recursive-descent parser of the graph language.
#include <algorithm>
#include <cctype>
#include <charconv>

#include "engine/core/error.h"
#include "engine/graph/ast.h"

namespace dermatome::language {
namespace {

// Beyond these a text is no model but an attack on the stack: nesting (two a bracket), operators in one statement.
constexpr int kDeepest = 100;
constexpr int kMostOperators = 64;

struct Token {
  enum class Kind : std::uint8_t { name, number, symbol, end };
  Kind kind = Kind::end;
  std::string text;
  SourceLocation at;
};

std::string quoted(const Token& token) {
  return token.kind == Token::Kind::end ? "the end of the text" : fmt::format("'{}'", token.text);
}

class Lexer {
 public:
  Lexer(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {}

  Token next() {
    skip_blanks();
    Token token{.kind = Token::Kind::end, .text = {}, .at = {file_, line_, column_}};
    if (at_ >= text_.size()) return token;
    const char c = text_[at_];
    if (std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_') {
      token.kind = Token::Kind::name;
      while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_'))
        take(token);
      return token;
    }
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) return number(token);
    token.kind = Token::Kind::symbol;
    take(token);
    if (c == '-' && at_ < text_.size() && text_[at_] == '>') take(token);
    if (std::string_view("(){}[],:=+-*/.").find(c) == std::string_view::npos) {
      fail_usage("{}: '{}' has no meaning here", to_string(token.at),
                 std::isprint(static_cast<unsigned char>(c)) != 0
                     ? std::string(1, c)
                     : fmt::format("\\x{:02x}", static_cast<unsigned char>(c)));
    }
    return token;
  }

 private:
  void take(Token& token) {
    token.text += text_[at_];
    advance();
  }
  void advance() {
    if (text_[at_] == '\n') {
      ++line_;
      column_ = 0;
    }
    ++at_;
    ++column_;
  }
  void skip_blanks() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') advance();
      } else if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
        advance();
      } else {
        return;
      }
    }
  }
  Token number(Token token) {
    token.kind = Token::Kind::number;
    const auto part = [&](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.'; };
    while (at_ < text_.size() &&
           (part(text_[at_]) || ((text_[at_] == '-' || text_[at_] == '+') && token.text.back() == 'e'))) {
      take(token);
    }
    return token;
  }

  std::string_view text_;
  std::string file_;
  std::size_t at_ = 0;
  int line_ = 1;
  int column_ = 1;
};

class Parser {
 public:
  Parser(std::string_view text, const std::string& file) : lexer_(text, file) { advance(); }

  File parse_file() {
    File file;
    while (token_.kind != Token::Kind::end) {
      if (is_name("block")) {
        file.blocks.push_back(parse_block());
      } else if (is_name("model")) {
        file.models.push_back(parse_model());
      } else {
        fail_here("expected 'block' or 'model'");
      }
    }
    return file;
  }

 private:
  void advance() {
    token_ = std::move(ahead_);
    ahead_ = lexer_.next();
    if (!started_) {
      started_ = true;
      advance();
    }
  }
  [[noreturn]] void fail_here(std::string_view wanted) const {
    fail_usage("{}: {} but found {}", to_string(token_.at), wanted, quoted(token_));
  }
  bool is_name(std::string_view text) const { return token_.kind == Token::Kind::name && token_.text == text; }
  bool is_symbol(std::string_view text) const { return token_.kind == Token::Kind::symbol && token_.text == text; }
  bool accept(std::string_view symbol) {
    if (!is_symbol(symbol)) return false;
    advance();
    return true;
  }
  void expect(std::string_view symbol) {
    if (!accept(symbol)) fail_here(fmt::format("expected '{}'", symbol));
  }
  void expect_word(std::string_view word) {
    if (!is_name(word)) fail_here(fmt::format("expected '{}'", word));
    advance();
  }
  // A name that can be referred to later.
  std::string expect_new_name(std::string_view what) {
    if (is_name("true") || is_name("false"))
      fail_usage("{}: '{}' cannot be {}", to_string(token_.at), token_.text, what);
    return expect_name(what);
  }
  std::string expect_name(std::string_view what) {
    if (token_.kind != Token::Kind::name) fail_here(fmt::format("expected {}", what));
    std::string name = token_.text;
    advance();
    return name;
  }
  double expect_number() {
    if (token_.kind != Token::Kind::number) fail_here("expected a number");
    double value = 0;
    const auto* end = token_.text.data() + token_.text.size();
    const auto result = std::from_chars(token_.text.data(), end, value);
    if (result.ec != std::errc() || result.ptr != end)
      fail_usage("{}: '{}' is not a number", to_string(token_.at), token_.text);
    advance();
    return value;
  }
  std::int64_t expect_whole(std::int64_t low, std::int64_t high) {
    const SourceLocation at = token_.at;
    const double value = expect_number();
    if (!(value >= static_cast<double>(low) && value <= static_cast<double>(high)) ||
        value != static_cast<double>(static_cast<std::int64_t>(value))) {
      fail_usage("{}: expected a whole number from {} to {}, not {}", to_string(at), low, high, value);
    }
    return static_cast<std::int64_t>(value);
  }

  Block parse_block() {
    Block block{.name = {}, .parameters = {}, .body = {}, .at = token_.at};
    advance();
    block.name = expect_name("the block's name");
    expect("(");
    do {
      const Token parameter = token_;
      block.parameters.push_back(expect_new_name("a parameter's name"));
      const auto& known = block.parameters;
      if (std::find(known.begin(), known.end() - 1, parameter.text) != known.end() - 1) {
        fail_usage("{}: block {} has two parameters '{}'", to_string(parameter.at), block.name, parameter.text);
      }
    } while (accept(","));
    expect(")");
    block.body = parse_body(block.at, "block " + block.name, false);
    return block;
  }

  ModelDeclaration parse_model() {
    ModelDeclaration model{.name = {}, .input = {}, .body = {}, .at = token_.at};
    advance();
    model.name = expect_name("the model's name");
    expect("(");
    model.input = expect_new_name("the input's name");
    expect(":");
    model.channels = expect_whole(1, 4096);
    expect_word("channels");
    if (accept(",")) {
      expect_word("sides");
      expect_word("divisible");
      expect_word("by");
      model.divisor = expect_whole(1, 4096);
    }
    expect(")");
    model.body = parse_body(model.at, "model " + model.name, true);
    return model;
  }

  std::vector<Statement> parse_body(const SourceLocation& at, const std::string& what, bool may_group) {
    expect("{");
    std::vector<Statement> body;
    while (!accept("}")) {
      if (returns(body)) fail_here("expected '}' after what is returned");
      body.push_back(parse_statement(may_group));
    }
    if (!returns(body)) fail_usage("{}: {} returns nothing", to_string(at), what);
    return body;
  }

  static bool returns(const std::vector<Statement>& body) {
    return !body.empty() && body.back().kind == Statement::Kind::result;
  }

  Statement parse_statement(bool may_group) {
    operators_ = 0;
    Statement statement{.name = {}, .value = {}, .at = token_.at};
    std::string name = expect_new_name("a statement or '}'");
    if (name == "group") {
      if (!may_group) fail_usage("{}: groups are declared in the model, not in a block", to_string(statement.at));
      statement.kind = Statement::Kind::group;
      statement.name = expect_name("the group's name");
      while (accept(".")) statement.name += "." + expect_name("the group's name");
    } else if (name == "return") {
      statement.kind = Statement::Kind::result;
      statement.value = parse_expression();
    } else {
      statement.name = std::move(name);
      expect("=");
      statement.value = parse_expression();
    }
    return statement;
  }

  Expression make(Expression::Kind kind, SourceLocation at) const {
    return {.kind = kind, .text = {}, .arguments = {}, .operands = {}, .at = std::move(at)};
  }

  // Counts nesting for as long as it lives.
  struct Depth {
    explicit Depth(Parser& parser) : parser(parser) {
      if (++parser.depth_ > kDeepest) fail_usage("{}: brackets are nested too deeply", to_string(parser.token_.at));
    }
    ~Depth() { --parser.depth_; }
    Parser& parser;
  };

  Expression parse_expression() {
    const Depth depth(*this);
    Expression first = parse_sum();
    if (!is_symbol("->")) return first;
    Expression chain = make(Expression::Kind::chain, first.at);
    chain.operands.push_back(std::move(first));
    while (accept("->")) chain.operands.push_back(parse_stage());
    return chain;
  }

  Expression parse_stage() {
    if (!is_symbol("[")) return parse_item();
    Expression sequence = make(Expression::Kind::sequence, token_.at);
    advance();
    do sequence.operands.push_back(parse_item());
    while (accept(","));
    expect("]");
    return sequence;
  }

  Expression parse_item() {
    if (token_.kind != Token::Kind::number) return parse_call();
    Expression repeat = make(Expression::Kind::repeat, token_.at);
    repeat.number = static_cast<double>(expect_whole(1, 1000));
    expect("*");
    repeat.operands.push_back(parse_call());
    return repeat;
  }

  Expression parse_call() {
    if (token_.kind != Token::Kind::name || ahead_.text != "(") fail_here("expected a call such as relu()");
    return parse_term();
  }

  Expression parse_binary(Expression (Parser::*operand)(), std::string_view first, Expression::Kind first_kind,
                          std::string_view second, Expression::Kind second_kind) {
    Expression left = (this->*operand)();
    while (is_symbol(first) || is_symbol(second)) {
      if (++operators_ > kMostOperators) fail_usage("{}: this statement has too many operators", to_string(token_.at));
      Expression both = make(is_symbol(first) ? first_kind : second_kind, token_.at);
      advance();
      both.operands.push_back(std::move(left));
      both.operands.push_back((this->*operand)());
      left = std::move(both);
    }
    return left;
  }
  Expression parse_sum() {
    return parse_binary(&Parser::parse_product, "+", Expression::Kind::sum, "-", Expression::Kind::difference);
  }
  Expression parse_product() {
    return parse_binary(&Parser::parse_term, "*", Expression::Kind::product, "/", Expression::Kind::quotient);
  }

  Expression parse_term() {
    const Depth depth(*this);
    const SourceLocation at = token_.at;
    if (token_.kind == Token::Kind::number) {
      Expression number = make(Expression::Kind::number, at);
      number.number = expect_number();
      return number;
    }
    if (accept("-")) {
      Expression number = make(Expression::Kind::number, at);
      number.number = -expect_number();
      return number;
    }
    if (accept("(")) {
      Expression inner = parse_expression();
      expect(")");
      return inner;
    }
    if (is_name("true") || is_name("false")) {
      Expression boolean = make(Expression::Kind::boolean, at);
      boolean.number = token_.text == "true" ? 1 : 0;
      advance();
      return boolean;
    }
    Expression name = make(Expression::Kind::name, at);
    name.text = expect_name("a value, a number or a call");
    if (!accept("(")) return name;
    name.kind = Expression::Kind::call;
    if (accept(")")) return name;
    do name.arguments.push_back(parse_argument());
    while (accept(","));
    expect(")");
    return name;
  }

  Argument parse_argument() {
    Argument argument{.name = {}, .value = {}};
    if (token_.kind == Token::Kind::name && ahead_.text == "=") {
      argument.name = token_.text;
      advance();
      advance();
    }
    argument.value = parse_expression();
    return argument;
  }

  Lexer lexer_;
  Token token_;
  Token ahead_;
  bool started_ = false;
  int depth_ = 0;
  int operators_ = 0;
};

}  // namespace

File parse(std::string_view text, const std::string& file_name) {
  return Parser(text, file_name).parse_file();
}

}  // namespace dermatome::language
