// Shapes, tensors, devices and .npy files.
#include "engine/core/tensor.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "engine/core/npy.h"
#include "tests/engine/expect_error.h"

namespace dermatome {
namespace {

Tensor counting(const Shape& shape) {
  Tensor tensor({DType::f32, shape});
  float next = 0;
  for (float& value : tensor.as<float>()) value = next++;
  return tensor;
}

TEST(Shape, CountsItsElements) {
  EXPECT_EQ(Shape({2, 3, 4}).elements(), 24);
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_EQ(Shape({2, 0, 4}).elements(), 0);
}

TEST(Shape, NegativeAxesCountFromTheEnd) {
  const Shape shape{2, 3, 4};
  EXPECT_EQ(shape[-1], 4);
  EXPECT_EQ(shape[0], 2);
}

TEST(Shape, ErrorsNameTheShape) {
  const Shape shape{2, 3};
  expect_error([&] { (void)shape[2]; }, {"axis 2", "[2, 3]"});
  expect_error([&] { (void)shape[-3]; }, {"axis -3"});
  expect_error([] { Shape{1, -1}; }, {"negative", "-1"});
  expect_error([] { Shape{1, 1, 1, 1, 1, 1}; }, {"at most 5"});
}

TEST(Shape, EqualityIncludesTheRank) {
  EXPECT_NE(Shape({1}), Shape{});
  EXPECT_EQ(Shape({2, 3}), Shape({2, 3}));
}

TEST(TensorDesc, PrintsTypeAndShape) {
  EXPECT_EQ(to_string(TensorDesc{DType::bf16, {8, 16}}), "bf16[8, 16]");
  EXPECT_EQ((TensorDesc{DType::f64, {3, 2}}.bytes()), 48u);
}

TEST(TensorDesc, EveryTypeIsFoundByItsName) {
  for (const DType type : {DType::f32, DType::bf16, DType::f64, DType::u8, DType::i32}) {
    EXPECT_EQ(parse_dtype(name_of(type)), type);
  }
  expect_error<UsageError>([] { parse_dtype("f16"); }, {"f16", "bf16"});
}

TEST(Tensor, CopiesShareMemoryAndClonesDoNot) {
  const Tensor tensor = counting({4});
  const Tensor same = tensor;
  const Tensor clone = tensor.clone();
  tensor.as<float>()[0] = 9;
  EXPECT_EQ(same.as<float>()[0], 9);
  EXPECT_EQ(clone.as<float>()[0], 0);
}

TEST(Tensor, RefusesTheWrongElementType) {
  expect_error([] { (void)counting({4}).as<double>(); }, {"f32", "f64"});
  expect_error([] { (void)Tensor().as<float>(); }, {"undefined"});
}

TEST(Tensor, ViewsStayInside) {
  const Tensor tensor = counting({6});
  const Tensor part = tensor.view(8, {DType::f32, {2, 2}});
  EXPECT_EQ(part.as<float>()[3], 5);
  const Tensor nested = part.view(4, {DType::f32, {1}});
  EXPECT_EQ(nested.as<float>()[0], 3);
  expect_error([&] { tensor.view(12, {DType::f32, {4}}); }, {"byte 12", "f32[6]"});
  expect_error([&] { part.view(4, {DType::f32, {4}}); }, {"leaves"});
}

TEST(Tensor, CopiesOnlyItsLike) {
  expect_error([] { counting({2, 3}).copy_from(counting({3, 2})); }, {"[3, 2]", "[2, 3]"});
  expect_error([] { counting({2}).copy_from(Tensor()); }, {"cannot copy"});
}

TEST(Tensor, MemoryIsAlignedForVectors) {
  for (std::int64_t elements = 0; elements < 20; ++elements) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(Tensor({DType::u8, {elements}}).data()) % 64, 0u);
  }
}

TEST(Tensor, ZeroClearsEveryByte) {
  const Tensor tensor = counting({5});
  tensor.zero();
  for (const float value : tensor.as<float>()) EXPECT_EQ(value, 0);
}

TEST(Tensor, TakesExactlyAsManyValuesAsItHolds) {
  const std::array<float, 3> values{1, 2, 3};
  EXPECT_EQ(tensor_of(std::span<const float>(values), {3}).as<float>()[2], 3);
  expect_error([&] { tensor_of(std::span<const float>(values), {4}); }, {"3 values", "[4]"});
}

TEST(Device, IsFoundByItsName) {
  EXPECT_EQ(parse_device("reference").kind, DeviceKind::reference);
  EXPECT_EQ(to_string(parse_device("cpu")), "cpu");
  expect_error<UsageError>([] { parse_device("gpu"); }, {"gpu", "cuda"});
  expect_error<UsageError>([] { parse_device("cuda:"); }, {"cuda:"});
  if (!has_backend(DeviceKind::cuda)) {
    expect_error<UsageError>([] { parse_device("cuda:0"); }, {"no cuda device"});
  } else if (backend_of(DeviceKind::cuda).device_count() == 0) {
    expect_error<Error>([] { parse_device("cuda:0"); }, {"--device cuda:0", "--device cpu"});
  }
}

TEST(Npy, HoldsHeaderAndData) {
  const auto path = std::filesystem::temp_directory_path() / "dermatome_npy_test.npy";
  write_npy(path, counting({2, 3}));
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(text.substr(0, 6), "\x93NUMPY");
  EXPECT_NE(text.find("'descr': '<f4'"), std::string::npos);
  EXPECT_NE(text.find("'shape': (2, 3)"), std::string::npos);
  ASSERT_EQ(text.size() % 64, 6 * sizeof(float));
  float last = 0;
  std::memcpy(&last, text.data() + text.size() - sizeof(float), sizeof(float));
  EXPECT_EQ(last, 5);
  std::filesystem::remove(path);
  expect_error([] { write_npy("/nonexistent/folder/x.npy", counting({1})); }, {"/nonexistent/folder/x.npy"});
}

TEST(Buffers, CountTheMostThatWereHeldAtOnce) {
  const Device device{DeviceKind::reference, 3};  // nobody else's
  EXPECT_EQ(peak_buffer_bytes(device), 0u);
  {
    const Buffer first(device, 1000);
    Buffer moved = Buffer(device, 500);
    moved = Buffer(device, 200);
  }
  EXPECT_EQ(peak_buffer_bytes(device), 1700u) << "the new one is there before the old one goes";
  const Buffer later(device, 1600);
  EXPECT_EQ(peak_buffer_bytes(device), 1700u);
}

}  // namespace
}  // namespace dermatome
