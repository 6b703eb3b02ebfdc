// Weights as bf16 tiles (kernels/conv2d/cpu_tiles.cpp): where each number lies, made as a whole and row by row. Needs
// bf16 instructions, and no matrix unit.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include "engine/compile/kernel.h"
#include "engine/core/threads.h"

namespace dermatome {

extern const FunctionEntry cpu_table_conv2d_tiles_v4_bf16[];

namespace {

constexpr std::int64_t kColumns = 16;
constexpr std::int64_t kTerms = 32;

struct Weight {
  std::int64_t out, in, kernel;
};

// Tiles of 16 columns by 32 terms in pairs, one behind the other by column, tap and term.
std::int64_t place_of(std::int64_t column, std::int64_t term, std::int64_t terms, std::int64_t tap, std::int64_t taps) {
  const std::int64_t tile = (column / kColumns * taps + tap) * (terms / kTerms) + term / kTerms;
  return tile * kColumns * kTerms + term % kTerms / 2 * 2 * kColumns + column % kColumns * 2 + term % 2;
}

class WeightTiles : public ::testing::TestWithParam<Weight> {
 protected:
  void SetUp() override {
    if (!has_bf16_products()) GTEST_SKIP() << "this processor has no bf16 instructions";
    const auto [out, in, kernel] = GetParam();
    const TensorDesc desc{DType::f32, {out, in, kernel, kernel}};
    weight_ = Tensor(desc, Device{});
    const auto values = weight_.as<float>();
    // Whole numbers below 256 are their own bf16.
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 37 % 251);
  }

  // What `fill` leaves of bytes that no number consists of.
  template <typename Fill>
  std::vector<std::uint16_t> filled(const Fill& fill) {
    const auto [out, in, kernel] = GetParam();
    const Tensor copy({DType::bf16, {out, in, kernel, kernel}}, Device{});
    std::fill_n(copy.data(), copy.bytes(), std::byte{0xff});
    const Operand from = operand_of(weight_.desc(), weight_.data());
    const Operand to = operand_of(weight_.desc(), copy.data());
    fill(Call{.inputs = &from,
              .outputs = &to,
              .input_count = 1,
              .output_count = 1,
              .attributes = nullptr,
              .workspace = nullptr,
              .stream = nullptr});
    const auto* numbers = reinterpret_cast<const std::uint16_t*>(copy.data());
    return {numbers, numbers + weight_.desc().shape.elements()};
  }

  Tensor weight_;
};

TEST_P(WeightTiles, LieWhereProductsReadThemAsAWholeAndByRows) {
  const auto [out, in, kernel] = GetParam();
  const std::int64_t taps = kernel * kernel;
  int checked = 0;
  for (const FunctionEntry* entry = cpu_table_conv2d_tiles_v4_bf16; entry->op != nullptr; ++entry) {
    const FunctionPreparation& preparation = *entry->preparation;
    const bool forward = std::string(entry->op) != "conv2d_data_gradient";
    EXPECT_EQ(preparation.bytes(operand_of(weight_.desc(), weight_.data())), 2 * weight_.desc().shape.elements());
    const auto whole = filled(preparation.run);
    const auto by_rows = filled([&](const Call& call) {
      for (std::int64_t first = 0; first < out; first += preparation.rows_at_a_time) {
        preparation.run_rows(call, first, std::min(preparation.rows_at_a_time, out - first));
      }
    });
    EXPECT_EQ(whole, by_rows) << entry->op;
    for (std::int64_t o = 0; o < out; ++o) {
      for (std::int64_t i = 0; i < in; ++i) {
        for (std::int64_t tap = 0; tap < taps; ++tap) {
          const std::int64_t place = forward ? place_of(o, i, in, tap, taps) : place_of(i, o, out, tap, taps);
          const float number = weight_.as<float>()[static_cast<std::size_t>((o * in + i) * taps + tap)];
          ASSERT_EQ(whole[static_cast<std::size_t>(place)], std::bit_cast<std::uint32_t>(number) >> 16)
              << entry->op << " " << o << " " << i << " " << tap;
        }
      }
    }
    ++checked;
  }
  EXPECT_EQ(checked, 3);
}

INSTANTIATE_TEST_SUITE_P(Shapes, WeightTiles,
                         ::testing::Values(Weight{32, 32, 1}, Weight{64, 32, 3}, Weight{32, 96, 3}, Weight{96, 64, 1}));

}  // namespace
}  // namespace dermatome
