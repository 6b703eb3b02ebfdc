// Schedules of a whole recipe, step by step.
#include "tools/training/schedule_table.h"

#include <gtest/gtest.h>

namespace dermatome::training {
namespace {

TEST(ScheduleTable, FollowsEveryStageAndGroup) {
  Recipe recipe;
  recipe.stages.resize(2);
  recipe.stages[0].schedule = {.name = "use_clr", .div = 20, .cut_div = 8};
  recipe.stages[0].frozen = {"early"};
  recipe.stages[0].lr = 2;
  recipe.stages[1].schedule.name = "one_cycle";
  recipe.stages[1].group_lr = {{"early", 1e-2}};
  recipe.stages[1].lr = 1;
  const ScheduleTable table = schedule_table(recipe, {"early", "late"}, {1000, 100});
  ASSERT_EQ(table.rows.size(), 1100u);
  EXPECT_EQ(table.rows[126].stage, 1);
  EXPECT_EQ(table.rows[126].rates[0], 0) << "frozen";
  EXPECT_NEAR(table.rows[126].rates[1], 2 * .998914, 1e-6);
  EXPECT_EQ(table.rows[126].beta1, 0.9) << "the stage's own";
  EXPECT_EQ(table.rows[1045].stage, 2);
  EXPECT_NEAR(table.rows[1045].rates[0], 1e-2, 1e-12);
  EXPECT_NEAR(table.rows[1045].rates[1], 1, 1e-12);
  EXPECT_NEAR(table.rows[1045].beta1, .85, 1e-12);
  const std::string csv = to_csv(table);
  EXPECT_TRUE(csv.starts_with("step,stage,momentum,early,late\n0,1,0.9,0,0.1\n")) << csv.substr(0, 60);
  EXPECT_NE(csv.find("\n1045,2,0.85,0.01,1\n"), std::string::npos);
}

TEST(ScheduleTable, OfAModelWithoutGroupsHasOneRate) {
  const ScheduleTable table = schedule_table({}, {}, {3});
  EXPECT_TRUE(to_csv(table).starts_with("step,stage,momentum,lr\n0,1,0.9,5e-05\n")) << to_csv(table);
}

TEST(ScheduleTable, AnEpochsShortLastStepCounts) {
  const StageSettings stage{.batch = 4, .accumulate = 2};
  EXPECT_EQ(stage.steps_of_epoch(16), 2);
  EXPECT_EQ(stage.steps_of_epoch(17), 3);
  EXPECT_EQ(stage.steps_of_epoch(1), 1);
}

}  // namespace
}  // namespace dermatome::training
