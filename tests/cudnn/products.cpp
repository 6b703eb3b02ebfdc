// Convolutions as matrix products by cuBLASLt: where they are offered, how cuBLASLt is told, and that its algorithms
// can be kept.
#include "kernels/vendor/cudnn_products.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "kernels/vendor/cudnn_convolution.h"
#include "kernels/vendor/cudnn_plan_cache.h"
#include "tests/data/support.h"

namespace dermatome::cudnn {
namespace {

// Windows side by side.
Convolution windows(Direction direction, std::int64_t kernel) {
  return {.direction = direction,
          .n = 2,
          .height = 4 * kernel,
          .width = 6 * kernel,
          .in = 8,
          .out_height = 4,
          .out_width = 6,
          .out = 16,
          .kernel = kernel,
          .stride = kernel};
}

std::vector<Convolution> products_among(const std::vector<Convolution>& candidates) {
  std::vector<Convolution> products;
  std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(products),
               [](const Convolution& candidate) { return candidate.product; });
  return products;
}

std::size_t products_of_candidates(const Convolution& wanted) {
  return products_among(candidates_for(wanted)).size();
}

constexpr Direction kDirections[] = {Direction::forward, Direction::data_gradient, Direction::weight_gradient};

TEST(ProductCandidates, AreOfferedWhereAConvolutionIsAProduct) {
  for (const Direction direction : kDirections) {
    Convolution pointwise = windows(direction, 1);
    EXPECT_EQ(products_of_candidates(pointwise), 1u);
    pointwise.x_pitch = 24;
    pointwise.y_pitch = 32;
    EXPECT_EQ(products_of_candidates(pointwise), 1u) << "slices have a leading dimension";
  }
  for (const std::int64_t kernel : {2, 3}) {
    EXPECT_EQ(products_of_candidates(windows(Direction::data_gradient, kernel)), 1u);
  }
}

TEST(ProductCandidates, AreNotOfferedElsewhere) {
  for (const Direction direction : {Direction::forward, Direction::weight_gradient}) {
    EXPECT_EQ(products_of_candidates(windows(direction, 2)), 0u) << "sums over rows of a window";
  }
  for (const Direction direction : kDirections) {
    Convolution padded = windows(direction, 1);
    padded.pad = 1;
    padded.out_height += 2;
    padded.out_width += 2;
    Convolution gaps = windows(direction, 1);
    gaps.stride = 2;
    gaps.out_height /= 2;
    gaps.out_width /= 2;
    Convolution overlapping = windows(direction, 3);
    overlapping.stride = 1;
    overlapping.pad = 1;
    overlapping.out_height = overlapping.height;
    overlapping.out_width = overlapping.width;
    Convolution border = windows(direction, 2);
    border.height += 1;
    for (const Convolution& none : {padded, gaps, overlapping, border}) {
      EXPECT_EQ(products_of_candidates(none), 0u) << to_string(none);
    }
  }
}

TEST(ProductCandidates, HaveTheEpiloguesThatCublasltHas) {
  Convolution wanted = windows(Direction::forward, 1);
  wanted.epilogue.bias = true;
  auto products = products_among(candidates_for(wanted));
  ASSERT_EQ(products.size(), 2u);
  EXPECT_EQ(products[0].epilogue, wanted.epilogue);
  EXPECT_EQ(products[1].epilogue, Epilogue{});
  wanted.epilogue.relu = true;
  EXPECT_EQ(products_of_candidates(wanted), 2u);
  wanted.epilogue.residual = true;
  products = products_among(candidates_for(wanted));
  ASSERT_EQ(products.size(), 1u);
  EXPECT_EQ(products[0].epilogue, Epilogue{});

  Convolution doubling = windows(Direction::data_gradient, 2);
  doubling.epilogue.bias = true;
  EXPECT_EQ(products_of_candidates(doubling), 1u) << "a row of the result is a channel of one tap of two";
  Convolution bf16 = windows(Direction::forward, 1);
  bf16.type = bf16.result = DType::bf16;
  bf16.epilogue.bias = true;
  EXPECT_EQ(products_of_candidates(bf16), 1u) << "the bias is f32";
}

TEST(ProductCandidates, StandBeforeAGradientThatIsRounded) {
  Convolution wanted = windows(Direction::weight_gradient, 1);
  wanted.type = DType::bf16;
  wanted.y_pitch = 32;
  const auto candidates = candidates_for(wanted);
  ASSERT_EQ(candidates.size(), 2u);
  EXPECT_TRUE(candidates[0].product);
  EXPECT_EQ(candidates[0].result, DType::f32);
  EXPECT_EQ(candidates[1].result, DType::bf16);
}

TEST(ProductCandidates, AreToldByTheKeyOfTheCache) {
  Convolution c = windows(Direction::forward, 1);
  const std::string graph = to_string(c);
  c.product = true;
  EXPECT_EQ(to_string(c), graph + " product");
}

// A tap of a slice begins where its channels do, which algorithms that read 16 bytes at once may not bear.
TEST(Products, AreAlignedAsTheirPartsAre) {
  EXPECT_EQ(products_of(windows(Direction::data_gradient, 2)).each.alignment, 16);
  Convolution odd = windows(Direction::data_gradient, 2);
  odd.type = odd.result = DType::bf16;
  odd.in = 3;
  EXPECT_EQ(products_of(odd).each.alignment, 4) << "the second row of the kernel begins behind six elements";
  odd.x_pitch = 8;
  EXPECT_EQ(products_of(odd).each.alignment, 2) << "the second tap behind three";
  EXPECT_EQ(products_of(odd).parts.size(), 4u);
}

constexpr cublaslt::Algorithm kAlgorithm{1, 0xfedcba9876543210, 0, ~std::uint64_t{0}, 5, 6, 7, 0x100000000};

TEST(Algorithms, SurviveTheCache) {
  const data::testing::TemporaryFolder folder;
  const std::string name = cublaslt::name_of(kAlgorithm, 130100);
  EXPECT_TRUE(name.starts_with("cublaslt 130100 0000000000000001fedcba9876543210")) << name;
  PlanCache(folder / "plans.json").put("key", {.candidate = 2, .plan = name, .seconds = 1});
  const auto known = PlanCache(folder / "plans.json").find("key");
  ASSERT_TRUE(known.has_value());
  EXPECT_EQ(known->candidate, 2u);
  EXPECT_EQ(cublaslt::algorithm_named(known->plan, 130100), kAlgorithm);
}

TEST(Algorithms, OfAnotherVersionOrDamagedAreNone) {
  const std::string name = cublaslt::name_of(kAlgorithm, 130100);
  EXPECT_FALSE(cublaslt::algorithm_named(name, 130101).has_value());
  EXPECT_FALSE(cublaslt::algorithm_named(name.substr(0, name.size() - 1), 130100).has_value());
  EXPECT_FALSE(cublaslt::algorithm_named(name + "0", 130100).has_value());
  EXPECT_FALSE(cublaslt::algorithm_named("", 130100).has_value());
  for (const char wrong : {'x', ' ', '-'}) {
    std::string damaged = name;
    damaged[name.size() - 16] = wrong;
    EXPECT_FALSE(cublaslt::algorithm_named(damaged, 130100).has_value());
  }
}

// Descriptors need no device.
class CublasltLoaded : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = cublaslt::why_absent(); !why.empty()) GTEST_SKIP() << why;
  }
};

TEST_F(CublasltLoaded, HasAVersion) {
  EXPECT_GE(cublaslt::version(), 100000);
}

TEST_F(CublasltLoaded, DescribesWhatItIsTold) {
  Convolution c = windows(Direction::forward, 1);
  c.epilogue = {.bias = true, .relu = true};
  c.y_pitch = 32;
  EXPECT_EQ(cublaslt::descriptors_of(products_of(c).each),
            "a f32 8x16 leading 8 batch 1 stride 0 transposed; b f32 8x48 leading 8 batch 1 stride 0; "
            "d f32 16x48 leading 32 batch 1 stride 0 bias relu");
  c = windows(Direction::weight_gradient, 1);
  c.type = DType::bf16;
  EXPECT_EQ(cublaslt::descriptors_of(products_of(c).each),
            "a bf16 8x48 leading 8 batch 1 stride 0; b bf16 16x48 leading 16 batch 1 stride 0 transposed; "
            "d f32 8x16 leading 8 batch 1 stride 0");
  c = windows(Direction::data_gradient, 2);
  c.tf32 = true;
  EXPECT_EQ(cublaslt::descriptors_of(products_of(c).each),
            "a f32 16x16 leading 32 batch 8 stride 0; b f32 16x6 leading 16 batch 8 stride 96; "
            "d f32 16x6 leading 16 batch 8 stride 192 tf32");
}

// In a process of its own, since a library is looked for once.
TEST(CublasltDeathTest, IsNotMissedWhereItIsNot) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  ::setenv("DERMATOME_CUBLASLT", "/proc/nowhere", 1);
  const Convolution c = windows(Direction::forward, 1);
  EXPECT_EXIT(
      {
        const bool absent = !cublaslt::why_absent().empty() && cublaslt::version() == 0;
        const bool no_plan =
            product_plans(c, 0).empty() && make_product_plan(c, cublaslt::name_of(kAlgorithm, 0), 0) == nullptr;
        std::_Exit(absent && no_plan ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
  ::unsetenv("DERMATOME_CUBLASLT");
}

}  // namespace
}  // namespace dermatome::cudnn
