// Canonical text: brackets where they are needed and nowhere else, and nothing lost on the way.
#include "engine/core/philox.h"
#include "tests/language/support.h"

namespace dermatome::language {
namespace {

// What print makes of an expression.
std::string canonical(const std::string& expression) {
  const std::string text = print(parse("model m(x: 3 channels) { return " + expression + " }", "m.graph"));
  const std::string before = "model m(x: 3 channels) {\n  return ";
  EXPECT_EQ(text.substr(0, before.size()), before);
  return text.substr(before.size(), text.size() - before.size() - 3);
}

TEST(Print, KeepsTheMeaningOfOperators) {
  EXPECT_EQ(canonical("a+b*c"), "a + b * c");
  EXPECT_EQ(canonical("(a+b)*c"), "(a + b) * c");
  EXPECT_EQ(canonical("(a+b)+c"), "a + b + c");
  EXPECT_EQ(canonical("a+(b+c)"), "a + (b + c)");
  EXPECT_EQ(canonical("a-(b-c)"), "a - (b - c)");
  EXPECT_EQ(canonical("(a-b)-c"), "a - b - c");
  EXPECT_EQ(canonical("a/(b*c)"), "a / (b * c)");
  EXPECT_EQ(canonical("a/b*c"), "a / b * c");
  EXPECT_EQ(canonical("((a))"), "a");
  EXPECT_EQ(canonical("a - -3"), "a - -3");
}

TEST(Print, KeepsNumbers) {
  for (const char* number : {"0", "3", "-3", "0.1", "1e-05", "1e+20", "123456789", "0.30000000000000004", "5e-324"}) {
    EXPECT_EQ(canonical(number), number);
  }
  EXPECT_EQ(canonical("1.50"), "1.5");
  EXPECT_EQ(canonical("1E3"), "1000");
  EXPECT_EQ(canonical("true"), "true");
}

TEST(Print, KeepsChains) {
  EXPECT_EQ(canonical("x->relu()->[2*f(64),g()]->3*h(a,b=2)"), "x -> relu() -> [2 * f(64), g()] -> 3 * h(a, b=2)");
  EXPECT_EQ(canonical("a+b->relu()"), "a + b -> relu()");
  EXPECT_EQ(canonical("a+(b->relu())"), "a + (b -> relu())");
  EXPECT_EQ(canonical("(a->relu())->relu()"), "(a -> relu()) -> relu()");
  EXPECT_EQ(canonical("f(a->relu(),k=b->relu())"), "f(a -> relu(), k=b -> relu())");
}

TEST(Print, PutsBlocksInFrontOfTheModel) {
  EXPECT_EQ(print(parse("model m(x: 1 channels, sides divisible by 8){group a.b y=f(x,2)return y} # end\n"
                        "block f(x,width){return conv2d(x,width)}",
                        "m.graph")),
            "block f(x, width) {\n  return conv2d(x, width)\n}\n\n"
            "model m(x: 1 channels, sides divisible by 8) {\n  group a.b\n  y = f(x, 2)\n  return y\n}\n");
}

// A random expression of the grammar, with redundant brackets.
std::string random_expression(Philox& random, int depth) {
  const char* names[] = {"x", "y", "width", "relu"};
  const auto name = [&] { return std::string(names[random.below(4)]); };
  const auto inner = [&] { return random_expression(random, depth - 1); };
  switch (depth == 0 ? random.below(3) : random.below(10)) {
    case 0: return name();
    case 1: return std::to_string(random.below(100)) + (random.below(2) == 0 ? "" : ".25");
    case 2: return random.below(2) == 0 ? "true" : "-7";
    case 3: return inner() + " + " + inner();
    case 4: return inner() + "-" + inner();
    case 5: return "(" + inner() + ") * (" + inner() + ")";
    case 6: return "(" + inner() + ") / " + name();
    case 7: return "(" + inner() + ")";
    case 8: return name() + "(" + inner() + ", k=" + inner() + ")";
    default: return "((" + inner() + ") -> f(" + inner() + ") -> [g(), 2 * h(" + inner() + ")] -> 4 * k())";
  }
}

TEST(Print, ReadsBackAnyExpression) {
  Philox random(3);
  for (int round = 0; round < 2000; ++round) {
    const std::string expression = random_expression(random, 4);
    SCOPED_TRACE(expression);
    const std::string once = canonical(expression);
    EXPECT_EQ(canonical(once), once);
  }
}

}  // namespace
}  // namespace dermatome::language
