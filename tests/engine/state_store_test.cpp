// StateStore: how states start, live and come back.
#include "engine/graph/state_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/engine/expect_error.h"

namespace dermatome {
namespace {

StateDeclaration declare(std::string name, Shape shape, Initializer initializer = {}, DType type = DType::f32) {
  return {.name = std::move(name), .desc = {type, shape}, .initializer = initializer, .group = "", .trainable = true};
}

const Initializer kNormal{Initializer::Kind::normal, 0.5};
const Initializer kUniform{Initializer::Kind::uniform, 0.25};

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.desc() == b.desc() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

TEST(StateStore, StartDoesNotDependOnOrderOrCompany) {
  StateStore together;
  together.create({declare("a", {7}, kNormal), declare("b", {5}, kUniform)}, 11);
  StateStore reversed;
  reversed.create({declare("b", {5}, kUniform)}, 11);
  reversed.create({declare("c", {3}, kNormal), declare("a", {7}, kNormal)}, 11);
  EXPECT_TRUE(same_bits(together.read("a"), reversed.read("a")));
  EXPECT_TRUE(same_bits(together.read("b"), reversed.read("b")));
}

TEST(StateStore, NamesAndSeedsChangeTheStart) {
  StateStore store;
  store.create({declare("a", {7}, kNormal), declare("b", {7}, kNormal)}, 11);
  StateStore other;
  other.create({declare("a", {7}, kNormal)}, 12);
  EXPECT_FALSE(same_bits(store.read("a"), store.read("b")));
  EXPECT_FALSE(same_bits(store.read("a"), other.read("a")));
}

TEST(StateStore, InitializersHaveTheirMoments) {
  const Tensor normal = initial_value(declare("n", {20000}, kNormal), 1);
  const Tensor uniform = initial_value(declare("u", {20000}, kUniform), 1);
  double mean = 0;
  double square = 0;
  for (const float value : normal.as<float>()) {
    mean += static_cast<double>(value) / 20000;
    square += static_cast<double>(value) * static_cast<double>(value) / 20000;
  }
  EXPECT_NEAR(mean, 0, 0.02);
  EXPECT_NEAR(std::sqrt(square), 0.5, 0.01);
  const auto values = uniform.as<float>();
  EXPECT_LE(*std::max_element(values.begin(), values.end()), 0.25f);
  EXPECT_GT(*std::max_element(values.begin(), values.end()), 0.24f);
  EXPECT_LT(*std::min_element(values.begin(), values.end()), -0.24f);
}

TEST(StateStore, DoubleStartsFromTheSameNumbersAsSingle) {
  const Tensor single = initial_value(declare("n", {50}, kNormal), 1);
  const Tensor wide = initial_value(declare("n", {50}, kNormal, DType::f64), 1);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(wide.as<double>()[i], static_cast<double>(single.as<float>()[i]));
}

TEST(StateStore, CreatingAgainKeepsContents) {
  StateStore store;
  store.create({declare("a", {3}, kNormal)}, 1);
  const Tensor before = store.read("a");
  StateDeclaration changed = declare("a", {3}, kNormal);
  changed.group = "decoder";
  changed.trainable = false;
  store.create({changed}, 2);
  EXPECT_TRUE(same_bits(store.read("a"), before));
  EXPECT_EQ(store.get("a").group, "decoder");
  EXPECT_FALSE(store.get("a").trainable);
  expect_error([&] { store.create({declare("a", {4})}, 1); }, {"'a'", "[3]", "[4]"});
}

TEST(StateStore, UnknownNamesGetASuggestion) {
  StateStore store;
  store.create({declare("conv1.weight", {3})}, 1);
  expect_error([&] { store.get("conv1.wieght"); }, {"conv1.wieght", "did you mean 'conv1.weight'"});
}

TEST(StateStore, SnapshotComesBackBitForBit) {
  StateStore store;
  store.create({declare("a", {3}, kNormal), declare("n", {1}, {}, DType::i32)}, 1);
  // A NaN with a payload and a negative zero survive only a copy of bits.
  const Tensor odd({DType::f32, {3}});
  const std::uint32_t bits[3] = {0x7fc12345u, 0x80000000u, 0x00000001u};
  std::memcpy(odd.data(), bits, sizeof(bits));
  store.write("a", odd);
  const Snapshot snapshot = store.snapshot();
  store.write("a", initial_value(declare("a", {3}, kUniform), 9));
  store.create({declare("later", {2})}, 1);
  store.restore(snapshot);
  EXPECT_TRUE(same_bits(store.read("a"), odd));
  EXPECT_FALSE(store.contains("later"));
  EXPECT_EQ(store.names(), (std::vector<std::string>{"a", "n"}));
}

TEST(StateStore, SnapshotDoesNotFollowLaterWrites) {
  StateStore store;
  store.create({declare("a", {2}, kNormal)}, 1);
  const Tensor before = store.read("a");
  const Snapshot snapshot = store.snapshot();
  store.get("a").tensor.zero();
  EXPECT_TRUE(same_bits(snapshot.tensors[0].second, before));
}

TEST(StateStore, ASnapshotThatDoesNotFitChangesNothing) {
  StateStore store;
  store.create({declare("a", {3}, kNormal), declare("b", {2}, kNormal)}, 1);
  const Snapshot snapshot = store.snapshot();
  store.remove("b");
  store.create({declare("c", {2})}, 1);
  store.write("a", initial_value(declare("a", {3}, kUniform), 9));
  const Tensor before = store.read("a");
  expect_error([&] { store.restore(snapshot); }, {"no state 'b'"});
  store.create({declare("b", {5})}, 1);
  expect_error([&] { store.restore(snapshot); }, {"'b'", "[5]", "[2]"});
  EXPECT_TRUE(same_bits(store.read("a"), before));
  EXPECT_TRUE(store.contains("c"));
}

TEST(StateStore, ContiguousStatesLieInOrder) {
  StateStore store;
  store.create_contiguous({declare("g1", {3}), declare("g2", {100}), declare("g3", {1})});
  const std::byte* first = store.get("g1").tensor.data();
  EXPECT_EQ(store.get("g2").tensor.data() - first, 64);
  EXPECT_EQ(store.get("g3").tensor.data() - first, 64 + 448);
  const Tensor second = store.read("g2");
  for (const float value : second.as<float>()) EXPECT_EQ(value, 0);
  expect_error([&] { store.create_contiguous({declare("g1", {3})}); }, {"'g1'", "already"});
}

TEST(StateStore, AdoptsContentsWithoutCopyingThem) {
  StateStore store;
  const Tensor contents = tensor_of<float>(std::vector<float>{1, 2, 3}, {3});
  const StateDeclaration weight{.name = "w", .desc = {DType::f32, {3}}, .group = "g", .trainable = true};
  store.adopt(weight, contents);
  EXPECT_EQ(store.get("w").tensor.data(), contents.data());
  EXPECT_EQ(store.get("w").group, "g");
  EXPECT_TRUE(store.get("w").trainable);
  EXPECT_EQ(store.names(), std::vector<std::string>{"w"});
  EXPECT_THROW(store.adopt(weight, contents), Error) << "it is there already";
  EXPECT_THROW(store.adopt({.name = "v", .desc = {DType::f32, {4}}}, contents), Error);
  EXPECT_FALSE(store.contains("v"));
}

TEST(StateStore, WritesMakePreparedCopiesStale) {
  StateStore store;
  store.create({declare("w", {4}, kNormal)}, 1);
  const auto copy = store.prepared("w", "blocked", 32);
  EXPECT_NE(copy->version, store.get("w").version) << "a fresh copy holds nothing yet";
  copy->version = store.get("w").version;
  store.write("w", initial_value(declare("w", {4}, kUniform), 2));
  EXPECT_NE(copy->version, store.get("w").version);
  copy->version = store.get("w").version;
  store.restore(store.snapshot());
  EXPECT_NE(copy->version, store.get("w").version);
}

TEST(StateStore, PreparedCopiesAreSharedByLayout) {
  StateStore store;
  store.create({declare("w", {4}, kNormal)}, 1);
  EXPECT_EQ(store.prepared("w", "blocked", 32), store.prepared("w", "blocked", 32));
  EXPECT_NE(store.prepared("w", "blocked", 32), store.prepared("w", "plain", 16));
  EXPECT_EQ(store.prepared_bytes(), 48u);
  EXPECT_EQ(store.bytes(), 16u);
  expect_error([&] { store.prepared("w", "blocked", 64); }, {"blocked", "32", "64"});
}

TEST(StateStore, RefusesContentsOfAnotherShape) {
  StateStore store;
  store.create({declare("w", {4})}, 1);
  expect_error([&] { store.write("w", Tensor({DType::f32, {2, 2}})); }, {"'w'", "[4]", "[2, 2]"});
}

}  // namespace
}  // namespace dermatome
