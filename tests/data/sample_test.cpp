// The sample that comes with the project is what its README says.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "data/resident_set.h"

namespace dermatome::data {
namespace {

const std::filesystem::path kSample = std::filesystem::path(DERMATOME_SOURCE_DIR) / "data/sample";

TEST(Sample, HoldsCleanPairsOfEverySize) {
  const auto samples = find_samples(kSample);
  ASSERT_EQ(samples.size(), 48u);
  const ResidentSet set = load_resident_set(samples, 64);
  EXPECT_EQ(set.report.grey_edged_masks + set.report.zero_one_masks + set.report.colour_masks + set.report.turned, 0u);
  std::vector<double> areas;
  for (std::size_t i = 0; i < set.count(); ++i) {
    EXPECT_EQ(set.stored[i].width, 256);
    EXPECT_EQ(set.stored[i].height, 256);
    const auto mask = set.mask(i);
    areas.push_back(static_cast<double>(std::count(mask.begin(), mask.end(), 255)) / static_cast<double>(mask.size()));
  }
  std::sort(areas.begin(), areas.end());
  EXPECT_GT(areas.front(), 0);
  EXPECT_LT(areas.front(), 0.01);
  EXPECT_NEAR(areas[24], 0.16, 0.04);
  EXPECT_GT(areas.back(), 0.6);
}

TEST(Sample, StaysSmall) {
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kSample)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  EXPECT_LT(bytes, 2'000'000u);
}

}  // namespace
}  // namespace dermatome::data
