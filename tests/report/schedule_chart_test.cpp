// The picture of schedules: what is drawn, on which axis.
#include "tools/report/schedule_chart.h"

#include <gtest/gtest.h>

#include "tests/report/support.h"

namespace dermatome::report {
namespace {

using testing::occurrences;

ScheduleCurves curves(double early) {
  return {.groups = {{.name = "early", .rates = {early, early, 0, 0}}, {.name = "late", .rates = {0.1, 1, 0.5, 0.1}}},
          .momentum = {.95, .85, .9, .95},
          .stages = {{.from = 0, .name = "128 px"}, {.from = 2, .name = "256 px"}}};
}

TEST(ScheduleChart, DrawsALineForEachGroupAndOneForMomentum) {
  const std::string svg = schedule_picture(curves(0.5));
  EXPECT_TRUE(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"")) << svg.substr(0, 80);
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  for (const char* part : {"class=\"line run-1\"", "class=\"line run-2\"", "class=\"line run-6\"", ">early</text>",
                           ">late</text>", "momentum (beta1)"})
    EXPECT_EQ(occurrences(svg, part), 1u) << part;
  EXPECT_EQ(occurrences(svg, "class=\"stage-line\""), 2u) << "in both panels";
  EXPECT_EQ(occurrences(svg, "log scale"), 0u);
  EXPECT_EQ(occurrences(svg, "nan"), 0u);
}

TEST(ScheduleChart, RatesFarApartGetALogarithmicAxis) {
  EXPECT_EQ(occurrences(schedule_picture(curves(0.01)), "log scale"), 1u);
}

TEST(ScheduleChart, AFrozenGroupHasNoLine) {
  const std::string svg = schedule_picture(curves(0));
  EXPECT_EQ(occurrences(svg, "line run-1\""), 0u);
  EXPECT_EQ(occurrences(svg, "log scale"), 0u);
}

}  // namespace
}  // namespace dermatome::report
