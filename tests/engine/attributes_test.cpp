// Attributes: what they take, and how they refuse.
#include "engine/graph/attributes.h"

#include <gtest/gtest.h>

#include "tests/engine/expect_error.h"

namespace dermatome {
namespace {

const std::vector<AttributeSpec> kSpecs{required_integer("kernel", 1), integer_attribute("stride", 1, 1),
                                        real_attribute("eps", 1e-5, 0, 1), boolean_attribute("bias", true),
                                        choice_attribute("mode", {"same", "valid"}, "same")};

TEST(Attributes, StartAtTheirDefaults) {
  const Attributes attributes(kSpecs);
  EXPECT_EQ(attributes.integer("stride"), 1);
  EXPECT_EQ(attributes.real("eps"), 1e-5);
  EXPECT_TRUE(attributes.boolean("bias"));
  EXPECT_EQ(attributes.choice("mode"), "same");
  EXPECT_FALSE(attributes.is_set("stride"));
}

TEST(Attributes, PrintOnlyWhatDiffersFromTheDefaults) {
  Attributes attributes(kSpecs);
  attributes.set("kernel", std::int64_t{3});
  attributes.set("stride", std::int64_t{1});
  attributes.set("mode", std::string("valid"));
  attributes.set("bias", false);
  EXPECT_EQ(attributes.to_string(), "kernel=3, bias=false, mode=valid");
}

TEST(Attributes, RequiredOnesMustBeGiven) {
  expect_error<UsageError>([] { Attributes(kSpecs).check_complete(); }, {"kernel must be given"});
}

TEST(Attributes, MisspeltNamesGetASuggestion) {
  Attributes attributes(kSpecs);
  expect_error<UsageError>([&] { attributes.set("strid", std::int64_t{2}); }, {"'strid'", "did you mean 'stride'"});
}

TEST(Attributes, RefuseWrongKindsAndBounds) {
  Attributes attributes(kSpecs);
  expect_error<UsageError>([&] { attributes.set("stride", 1.5); }, {"stride", "whole number", "1.5"});
  expect_error<UsageError>([&] { attributes.set("stride", 1e17); }, {"stride", "whole number", "1e+17"});
  expect_error<UsageError>([&] { attributes.set("stride", std::int64_t{0}); }, {"stride=0", "out of bounds"});
  expect_error<UsageError>([&] { attributes.set("eps", 2.0); }, {"eps=2", "at most 1"});
  expect_error<UsageError>([&] { attributes.set("eps", std::numeric_limits<double>::quiet_NaN()); }, {"eps"});
  expect_error<UsageError>([&] { attributes.set("bias", std::int64_t{1}); }, {"true or false"});
  expect_error<UsageError>([&] { attributes.set("mode", std::string("full")); }, {"mode=full", "same, valid"});
  EXPECT_EQ(attributes, Attributes(kSpecs)) << "a refused value was kept";
}

}  // namespace
}  // namespace dermatome
