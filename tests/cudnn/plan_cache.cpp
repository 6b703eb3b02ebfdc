// The plan cache on disk: found again by the next process, whole after a damaged file, and never in the way.
#include <gtest/gtest.h>

#include <fstream>

#include "kernels/vendor/cudnn_plan_cache.h"
#include "tests/data/support.h"

namespace dermatome::cudnn {
namespace {

TEST(PlanCache, IsFoundAgain) {
  const data::testing::TemporaryFolder folder;
  const auto file = folder / "deep" / "plans.json";
  PlanCache(file).put("H200 | conv", {.candidate = 1, .plan = "eng3_k1=2", .seconds = 1e-4});
  const auto known = PlanCache(file).find("H200 | conv");
  ASSERT_TRUE(known);
  EXPECT_EQ(known->candidate, 1u);
  EXPECT_EQ(known->plan, "eng3_k1=2");
  EXPECT_FALSE(PlanCache(file).find("A100 | conv"));
}

TEST(PlanCache, KeepsWhatAnotherProcessWroteMeanwhile) {
  const data::testing::TemporaryFolder folder;
  PlanCache first(folder / "plans.json");
  PlanCache second(folder / "plans.json");
  first.put("a", {.candidate = 0, .plan = "p", .seconds = 1});
  second.put("b", {.candidate = 0, .plan = "q", .seconds = 1});
  EXPECT_TRUE(PlanCache(folder / "plans.json").find("a"));
  EXPECT_TRUE(PlanCache(folder / "plans.json").find("b"));
}

TEST(PlanCache, OfADamagedFileIsEmptyAndWritesAWholeOne) {
  const data::testing::TemporaryFolder folder;
  std::ofstream(folder / "plans.json") << R"({"format": 1, "plans": {"a": {"plan": "p)";
  PlanCache cache(folder / "plans.json");
  EXPECT_FALSE(cache.find("a"));
  cache.put("b", {.candidate = 0, .plan = "q", .seconds = 1});
  EXPECT_TRUE(PlanCache(folder / "plans.json").find("b"));
}

// A run goes on with its own choices, and a new choice is everybody's.
TEST(PlanCache, OfARunComesBeforeTheUsers) {
  const data::testing::TemporaryFolder folder;
  ::setenv("DERMATOME_PLANS", (folder / "user.json").c_str(), 1);
  const auto run = folder / "run" / "plans.json";
  const KnownPlan older{.candidate = 0, .plan = "older", .seconds = 2},
      newer{.candidate = 1, .plan = "newer", .seconds = 1};
  keep_plan("OfARun", older, run);
  EXPECT_EQ(find_plan("OfARun", {})->plan, "older");
  keep_plan("OfARun", newer, {});
  EXPECT_EQ(find_plan("OfARun", run)->plan, "older");
  EXPECT_EQ(find_plan("OfARun", folder / "other.json")->plan, "newer");
  EXPECT_EQ(PlanCache(folder / "other.json").find("OfARun")->plan, "newer") << "it is that run's from now on";
  EXPECT_FALSE(find_plan("OfNoRun", run));
}

TEST(PlanCache, ThatCannotBeWrittenStillRemembers) {
  PlanCache cache("/proc/nowhere/plans.json");
  cache.put("a", {.candidate = 0, .plan = "p", .seconds = 1});
  EXPECT_TRUE(cache.find("a"));
}

}  // namespace
}  // namespace dermatome::cudnn
