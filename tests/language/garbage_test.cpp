// Texts that nobody wrote: whatever they are, they end in an error or a graph, soon.
#include "engine/core/philox.h"
#include "models/builtin.h"
#include "tests/language/support.h"

namespace dermatome::language {
namespace {

std::string repeated(std::string_view part, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += part;
  return text;
}

TEST(GarbageText, DeepBracketsAreRefused) {
  EXPECT_EQ(error_in_body("y = " + repeated("(", 1000) + "x" + repeated(")", 1000) + "\nreturn y"),
            "m.graph:2:55: brackets are nested too deeply");
  EXPECT_EQ(error_in_body("y = " + repeated("relu(", 1000) + "x" + repeated(")", 1000) + "\nreturn y"),
            "m.graph:2:255: brackets are nested too deeply");
  EXPECT_EQ(error_in_body("y = " + repeated("(", 40) + "x" + repeated(")", 40) + "\nreturn y"), "");
}

TEST(GarbageText, LongSumsAreRefused) {
  EXPECT_EQ(error_in_body("w = 1" + repeated("+1", 500000) + "\nreturn x"),
            "m.graph:2:134: this statement has too many operators");
  EXPECT_EQ(error_in_body("w = 1" + repeated("+1", 60) + "\nv = 1" + repeated("*2", 60) + "\nreturn x"), "");
}

TEST(GarbageText, ManyBlocksInEachOtherAreRefused) {
  std::string text = "block b0(x) { return x }\n";
  for (int i = 1; i < 60; ++i) text += fmt::format("block b{}(x) {{ return b{}(b{}(x)) }}\n", i, i - 1, i - 1);
  EXPECT_EQ(error_in(text + "model m(x: 3 channels) { return b15(x) }"), "");
  EXPECT_EQ(error_in(text + "model m(x: 3 channels) { return b16(x) }"),
            "m.graph:2:25: blocks call each other more than 16 deep");
}

TEST(GarbageText, MoreCallsThanAnyNetworkHasAreRefused) {
  const std::string blocks = "block a(x) { return x }\nblock b(x) { return x -> 1000 * a() }\n";
  const std::string message = error_in(blocks + "model m(x: 3 channels) { return x -> 1000 * b() }");
  EXPECT_NE(message.find("m.graph:2:33: the model has more than 100000 calls"), std::string::npos) << message;
}

TEST(GarbageText, ImpossibleSizesAreRefused) {
  const std::string grow =
      "block grow(x) {\n  c = conv_transpose2d(x, 32768, kernel=32768, stride=32768)\n  return c\n}\n";
  const std::string message = error_in(grow + "model m(x: 3 channels) { y = x -> 2 * grow() return y }");
  EXPECT_NE(message.find("is too large"), std::string::npos) << message;
  EXPECT_EQ(message.substr(0, 12), "m.graph:2:7:");
}

// A text must be read or refused; a graph that it makes is thrown away.
void survive(const std::string& text) {
  try {
    const Model model = Model::parse(text, "m.graph");
    const std::string canonical = model.canonical_text();
    EXPECT_EQ(Model::parse(canonical, "m.graph").canonical_text(), canonical) << text;
    if (model.input_channels() <= 64 && model.divisor() <= 64)
      net_of(model, 1, model.divisor() * (64 / model.divisor()));
  } catch (const UsageError& error) {
    EXPECT_FALSE(std::string(error.what()).empty());
  }
}

TEST(GarbageText, RandomBytesNeverCrash) {
  Philox random(5);
  for (int round = 0; round < 3000; ++round) {
    std::string text = round % 2 == 0 ? "" : "model m(x: 3 channels) {";
    for (std::uint32_t i = random.below(80); i > 0; --i) text += static_cast<char>(random.next());
    survive(text);
  }
}

TEST(GarbageText, RandomTokensNeverCrash) {
  const char* tokens[] = {"block",  "model",  "group", "return", "x", "y",    "relu", "conv2d", "batch_norm", "b",
                          "kernel", "=",      "(",     ")",      "{", "}",    "[",    "]",      "->",         "*",
                          "+",      "-",      "/",     ",",      ":", ".",    "1",    "2",      "0.5",        "true",
                          "\n",     "stride", "add",   "concat", "#", "1000", "fill", "8",      "3"};
  Philox random(6);
  for (int round = 0; round < 20000; ++round) {
    std::string text = "block b(x) { return relu(x) }\nmodel m(x: 3 channels) {\n  y = ";
    for (std::uint32_t i = random.below(12); i > 0; --i)
      text += std::string(tokens[random.below(std::size(tokens))]) + " ";
    survive(text + (random.below(2) == 0 ? "\n  return y\n}" : ""));
  }
}

TEST(GarbageText, DamagedNetworksNeverCrash) {
  const std::string whole(builtin_model_text("unet34"));
  Philox random(7);
  const std::string_view alphabet = "(){}[],:=+-*/.#0123456789abcxyz_ \n\t\xff";
  for (int round = 0; round < 1500; ++round) {
    std::string text = whole;
    for (std::uint32_t k = random.below(3); k < 3; ++k) {
      const std::size_t at = random.below(static_cast<std::uint32_t>(text.size()));
      if (random.below(3) == 0) {
        text.erase(at, random.below(30));
      } else {
        text[at] = alphabet[random.below(static_cast<std::uint32_t>(alphabet.size()))];
      }
    }
    survive(text);
  }
  for (std::size_t length = 0; length < whole.size(); length += 7) survive(whole.substr(0, length));
}

// Every op of the registry, with too little, too much, and odd settings.
TEST(GarbageText, EveryOperationSurvivesAnyCall) {
  const std::string arguments[] = {"",
                                   "x",
                                   "x, x",
                                   "x, x, x, x, x",
                                   "x, 1",
                                   "x, 2, 2",
                                   "x, 3, 1, 1",
                                   "3",
                                   "x, 32768, 32768, 32768",
                                   "x, 0.5",
                                   "x, true",
                                   "x, -1",
                                   "x, x, 1, 1, 1, 1",
                                   "x, x, x, 64, 64",
                                   "x, uniform"};
  for (const Op* op : all_ops()) {
    for (const auto& list : arguments) {
      SCOPED_TRACE(op->name() + "(" + list + ")");
      survive("model m(x: 3 channels) {\n  y = " + op->name() + "(" + list + ")\n  return y\n}");
      survive("model m(x: 3 channels) {\n  y = x -> 3 * " + op->name() + "(" + list + ")\n  return y\n}");
    }
  }
}

}  // namespace
}  // namespace dermatome::language
