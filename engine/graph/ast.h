// The syntax tree of the graph language.
//
//   file       := (block | model)*
//   block      := "block" NAME "(" NAME ("," NAME)* ")" body
//   model      := "model" NAME "(" NAME ":" NUMBER "channels" ("," "sides" "divisible" "by" NUMBER)? ")" body
//   body       := "{" statement* "}"
//   statement  := "group" NAME ("." NAME)* | NAME "=" expression | "return" expression
//   expression := sum ("->" stage)*
//   stage      := item | "[" item ("," item)* "]"
//   item       := (NUMBER "*")? call
//   sum        := product (("+" | "-") product)*
//   product    := term (("*" | "/") term)*
//   term       := NUMBER | "true" | "false" | NAME | call | "(" expression ")"
//   call       := NAME "(" (argument ("," argument)*)? ")"
//   argument   := (NAME "=")? expression
//
// "#" starts a comment that ends with the line. Line breaks mean nothing else.
#pragma once

#include <string>
#include <vector>

#include "engine/graph/graph.h"

namespace dermatome::language {

struct Argument;

struct Expression {
  enum class Kind : std::uint8_t {
    number,
    boolean,  // number: 0 or 1
    name,     // text: a value, a number, or a choice such as `uniform`
    call,     // text(arguments)
    sum,
    difference,
    product,
    quotient,  // two operands
    chain,     // operands[0] -> operands[1] -> ...; the stages are call, repeat or sequence
    repeat,    // number * operands[0]
    sequence,  // [operands...]: call or repeat
  };
  Kind kind = Kind::number;
  double number = 0;
  std::string text;
  std::vector<Argument> arguments;
  std::vector<Expression> operands;
  SourceLocation at;
};

struct Argument {
  std::string name;  // empty: positional
  Expression value;
};

struct Statement {
  enum class Kind : std::uint8_t { group, assign, result };
  Kind kind = Kind::assign;
  std::string name;  // of the group or the assigned value
  Expression value;
  SourceLocation at;
};

struct Block {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<Statement> body;
  SourceLocation at;
};

struct ModelDeclaration {
  std::string name;
  std::string input;
  std::int64_t channels = 0;
  std::int64_t divisor = 1;  // sides must be a multiple of it
  std::vector<Statement> body;
  SourceLocation at;
};

struct File {
  std::vector<Block> blocks;
  std::vector<ModelDeclaration> models;
};

// Throws UsageError with file, line, column and the offending text.
File parse(std::string_view text, const std::string& file_name);

// Canonical text: parse(print(file)) gives a file that prints the same.
std::string print(const File& file);
std::string print(const Expression& expression);

}  // namespace dermatome::language
