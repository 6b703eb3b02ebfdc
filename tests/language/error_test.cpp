// Errors in a graph text: the place, the offending text, and what would be right.
#include "tests/language/support.h"

namespace dermatome::language {
namespace {

// The text of every block here: two layers, the input added to their result.
const std::string kResidual =
    "block residual(x, width) {\n"
    "  conv1 = conv2d(x, width, kernel=3, pad=1, bias=false)\n"
    "  bn1 = batch_norm(conv1)\n"
    "  return relu(bn1 + x)\n"
    "}\n";

TEST(GraphErrors, AnUnknownOperationNamesTheNearest) {
  EXPECT_EQ(error_in_body("  y = conv2d(x, 8, kernel=1)\n  return rellu(y)"),
            "m.graph:3:10: in 'rellu(y)': there is no block or operation 'rellu'; did you mean 'relu'?");
  EXPECT_EQ(error_in(kResidual + "model m(x: 3 channels) { return residuals(x, 3) }"),
            "m.graph:6:33: in 'residuals(x, 3)': there is no block or operation 'residuals'; did you mean 'residual'?");
}

TEST(GraphErrors, AMisspeltSettingNamesTheNearest) {
  EXPECT_EQ(error_in_body("  y = conv2d(x, 8, kernal=1)\n  return y"),
            "m.graph:2:7: in 'conv2d(x, 8, kernal=1)': there is no setting 'kernal'; did you mean 'kernel'?");
  EXPECT_EQ(error_in(kResidual + "model m(x: 3 channels) {\n  y = residual(x, widh=3)\n  return y\n}"),
            "m.graph:7:7: block residual has no parameter 'widh'; did you mean 'width'?");
}

TEST(GraphErrors, AddingOtherWidthsShowsBothShapes) {
  EXPECT_EQ(error_in(kResidual + "model m(x: 3 channels) {\n  y = x -> 2 * residual(16)\n  return y\n}"),
            "m.graph:4:19: in 'bn1 + x': y.0.add (add): cannot add f32[2, 64, 64, 16] and f32[2, 64, 64, 3]");
}

TEST(GraphErrors, AnUnknownValueIsFoundWhereverItStands) {
  const auto message = [](const std::string& place) {
    return "m.graph:" + place + ": there is no value 'stm'; did you mean 'stem'?";
  };
  EXPECT_EQ(error_in_body("stem = relu(x)\nreturn relu(stm)"), message("3:13"));
  EXPECT_EQ(error_in_body("stem = relu(x)\nreturn stm"), message("3:8"));
  EXPECT_EQ(error_in_body("stem = relu(x)\ny = stm\nreturn y"), message("3:5"));
  EXPECT_EQ(error_in_body("stem = relu(x)\nreturn stem + stm"), message("3:15"));
  EXPECT_EQ(error_in_body("stem = relu(x)\nreturn stm -> relu()"), message("3:8"));
  EXPECT_EQ(error_in_body("stem = relu(x)\ny = conv2d(stm, 8, kernel=1)\nreturn y"), message("3:12"));
  EXPECT_EQ(error_in_body("stem = relu(x)\ny = conv2d(stem, stm, kernel=1)\nreturn y"), message("3:18"));
  EXPECT_EQ(error_in_body("stem = relu(x)\ny = conv2d(stem, 8, bias=stm)\nreturn y"), message("3:26"));
  EXPECT_EQ(error_in_body("stem = relu(x)\nreturn concat(stem, stm)"), message("3:21"));
  EXPECT_EQ(error_in_body("y = relu(image)\nreturn y"), "m.graph:2:10: there is no value 'image' (known: x)");
  EXPECT_EQ(error_in_body("y = relu(z)\nreturn y"), "m.graph:2:10: there is no value 'z'; did you mean 'x'?");
}

TEST(GraphErrors, AWrongChoiceListsTheChoices) {
  EXPECT_EQ(error_in_body("y = conv2d(x, 8, kernel=1, init=normal)\nreturn y"),
            "m.graph:2:5: in 'conv2d(x, 8, kernel=1, init=normal)': init=normal is not one of kaiming_normal, uniform");
}

TEST(GraphErrors, EveryBodyReturnsOnceAtItsEnd) {
  EXPECT_EQ(error_in("# nothing\nmodel m(x: 3 channels) {\n  y = relu(x)\n}"), "m.graph:2:1: model m returns nothing");
  EXPECT_EQ(error_in("  block b(x) { }\nmodel m(x: 3 channels) { return x }"), "m.graph:1:3: block b returns nothing");
  EXPECT_EQ(error_in_body("return x\ny = relu(x)"), "m.graph:3:1: expected '}' after what is returned but found 'y'");
  EXPECT_EQ(error_in_body("return 3 * 4"), "m.graph:2:10: '3 * 4' is not a tensor");
}

TEST(GraphErrors, UnclosedBracketsAreFoundWhereTheTextGoesOn) {
  EXPECT_EQ(error_in_body("y = relu(x\nreturn y"), "m.graph:3:1: expected ')' but found 'return'");
  EXPECT_EQ(error_in_body("y = x -> [relu(), relu()\nreturn y"), "m.graph:3:1: expected ']' but found 'return'");
  EXPECT_EQ(error_in("model m(x: 3 channels) {\n  return x\n"),
            "m.graph:3:1: expected '}' after what is returned but found the end of the text");
  EXPECT_EQ(error_in("model m(x: 3 channels"), "m.graph:1:22: expected ')' but found the end of the text");
}

TEST(GraphErrors, ABlockCannotCallItself) {
  EXPECT_EQ(error_in("block b(x) {\n  return b(x)\n}\nmodel m(x: 3 channels) { return b(x) }"),
            "m.graph:2:10: block b calls itself");
  EXPECT_EQ(error_in("block a(x) { return b(x) }\nblock b(x) { return a(x) }\nmodel m(x: 3 channels) { return b(x) }"),
            "m.graph:1:21: block b calls itself");
}

TEST(GraphErrors, ANameIsGivenOnce) {
  EXPECT_EQ(error_in_body("y = relu(x)\ny = relu(y)\nreturn y"), "m.graph:3:1: 'y' has a value already");
  EXPECT_EQ(error_in_body("x = relu(x)\nreturn x"), "m.graph:2:1: 'x' has a value already");
  EXPECT_EQ(error_in("block b(x, y, x) { return x }"), "m.graph:1:15: block b has two parameters 'x'");
  EXPECT_EQ(error_in("block b(x) { return x }\nblock b(x) { return x }\nmodel m(x: 3 channels) { return x }"),
            "m.graph:2:1: block b is declared twice");
  EXPECT_EQ(error_in("block relu(x) { return x }\nmodel m(x: 3 channels) { return x }"),
            "m.graph:1:1: relu is an operation and cannot name a block");
  EXPECT_EQ(error_in_body("y = conv2d(x, 8, kernel=1, channels=4)\nreturn y"),
            "m.graph:2:5: in 'conv2d(x, 8, kernel=1, channels=4)': channels is given twice");
  EXPECT_EQ(error_in(kResidual + "model m(x: 3 channels) { y = residual(x, 3, width=3) return y }"),
            "m.graph:6:30: in 'residual(x, 3, width=3)': block residual takes 2 arguments, not 3");
  EXPECT_EQ(error_in(kResidual + "model m(x: 3 channels) { y = residual(x, x=x) return y }"),
            "m.graph:6:30: parameter 'x' of block residual is given twice");
}

TEST(GraphErrors, ALayerWithParametersNeedsAName) {
  EXPECT_EQ(
      error_in_body("y = relu(conv2d(x, 8, kernel=1))\nreturn y"),
      "m.graph:2:10: in 'conv2d(x, 8, kernel=1)': conv2d has parameters, so it needs a name: write name = conv2d(...)");
  EXPECT_EQ(error_in_body("y = x -> conv2d(8, kernel=1) -> conv2d(8, kernel=1)\nreturn y"),
            "m.graph:2:33: in 'conv2d(8, kernel=1)': two layers have the parameter 'y.weight'");
}

TEST(GraphErrors, SettingsAreCheckedWhereTheyStand) {
  EXPECT_EQ(error_in_body("y = conv2d(x, 8)\nreturn y"), "m.graph:2:5: in 'conv2d(x, 8)': kernel must be given");
  const std::string fraction = error_in_body("y = conv2d(x, 9 / 2, kernel=1)\nreturn y");
  EXPECT_TRUE(fraction.starts_with("m.graph:2:5: in 'conv2d(x, 9 / 2, kernel=1)': channels takes a whole number"))
      << fraction;
  EXPECT_EQ(error_in_body("y = conv2d(x, 0, kernel=1)\nreturn y"),
            "m.graph:2:5: in 'conv2d(x, 0, kernel=1)': channels=0 is out of bounds (at least 1)");
  EXPECT_EQ(error_in_body("y = conv2d(x, 1e9, kernel=1)\nreturn y"),
            "m.graph:2:5: in 'conv2d(x, 1000000000, kernel=1)': channels=1000000000 is out of bounds (at most 32768)");
  EXPECT_EQ(error_in_body("y = conv2d(x, 8, kernel=65)\nreturn y"),
            "m.graph:2:5: in 'conv2d(x, 8, kernel=65)': y (conv2d): a kernel of 65 does not fit into a side of 64 with "
            "padding 0");
  EXPECT_EQ(error_in_body("y = conv2d(x, 8, kernel=1, bias=1)\nreturn y"),
            "m.graph:2:5: in 'conv2d(x, 8, kernel=1, bias=1)': bias takes true or false");
  EXPECT_EQ(error_in_body("y = conv2d(x, 8, kernel=x)\nreturn y"),
            "m.graph:2:5: in 'conv2d(x, 8, kernel=x)': 'kernel' is a setting and takes no tensor");
  EXPECT_EQ(error_in_body("y = relu(x, 3)\nreturn y"), "m.graph:2:5: in 'relu(x, 3)': relu has too many arguments");
  EXPECT_EQ(error_in_body("y = relu(x, x)\nreturn y"), "m.graph:2:5: in 'relu(x, x)': relu takes 1 tensors, not 2");
  EXPECT_EQ(error_in_body("y = relu()\nreturn y"), "m.graph:2:5: in 'relu()': relu needs a tensor");
}

TEST(GraphErrors, NumbersAndTensorsDoNotMix) {
  EXPECT_EQ(error_in_body("return x * 2"), "m.graph:2:10: 'x * 2' mixes tensors and numbers");
  EXPECT_EQ(error_in_body("w = 4 / 0\nreturn x"), "m.graph:2:7: '4 / 0' divides by zero");
  EXPECT_EQ(error_in_body("return 4 -> relu()"), "m.graph:2:8: '4' is not a tensor");
}

TEST(GraphErrors, WhatIsNoGraphTextSaysSo) {
  EXPECT_EQ(error_in("mdel m(x: 3 channels) { return x }"),
            "m.graph:1:1: expected 'block' or 'model' but found 'mdel'");
  EXPECT_EQ(error_in(""), "m.graph: a graph file declares exactly one model, this one 0");
  EXPECT_EQ(error_in("model a(x: 3 channels) { return x } model b(x: 3 channels) { return x }"),
            "m.graph: a graph file declares exactly one model, this one 2");
  EXPECT_EQ(error_in("model m(x: 3 channels) { return $x }"), "m.graph:1:33: '$' has no meaning here");
  EXPECT_EQ(error_in("model m(x: 3 channels) { return \xc3\xa4 }"), "m.graph:1:33: '\\xc3' has no meaning here");
  EXPECT_EQ(error_in("model m(x: 3.5 channels) { return x }"),
            "m.graph:1:12: expected a whole number from 1 to 4096, not 3.5");
  EXPECT_EQ(error_in("model m(x: 3 colours) { return x }"), "m.graph:1:14: expected 'channels' but found 'colours'");
  EXPECT_EQ(error_in_body("y = 3x\nreturn x"), "m.graph:2:5: '3x' is not a number");
  EXPECT_EQ(error_in_body("y = 1e999\nreturn x"), "m.graph:2:5: '1e999' is not a number");
  EXPECT_EQ(error_in_body("true = relu(x)\nreturn x"), "m.graph:2:1: 'true' cannot be a statement or '}'");
  EXPECT_EQ(error_in_body("y = x -> 2 * 3\nreturn y"), "m.graph:2:14: expected a call such as relu() but found '3'");
  EXPECT_EQ(error_in_body("y = x -> 0 * relu()\nreturn y"),
            "m.graph:2:10: expected a whole number from 1 to 1000, not 0");
  EXPECT_EQ(error_in("block b(x) { group g return x } model m(x: 3 channels) { return x }"),
            "m.graph:1:14: groups are declared in the model, not in a block");
}

TEST(GraphErrors, SidesThatDoNotDivideNameThoseThatDo) {
  const std::string text = "model m(x: 3 channels, sides divisible by 32) { return x }";
  EXPECT_EQ(error_in(text, 100), "m needs sides divisible by 32, and 100 x 100 is not; 96 or 128 would do");
  EXPECT_EQ(error_in(text, 96), "");
}

}  // namespace
}  // namespace dermatome::language
