// The page about folds: sound whatever is missing, with the tables that it is
// for.
#include "tools/report/folds.h"

#include <gtest/gtest.h>

#include "tests/report/support.h"

namespace dermatome::report {
namespace {

using testing::occurrences;
using testing::Page;
using testing::typical_data;

FoldsReport three_folds() {
  FoldsReport report;
  report.ensemble = typical_data(0, 3);
  report.ensemble.stages.clear();
  report.ensemble.learning_rates.clear();
  for (int fold = 1; fold <= 3; ++fold) {
    report.folds.push_back(typical_data(4, 0));
    report.folds.back().run = fmt::format("fold {}", fold);
    report.rows.push_back({fmt::format("fold {}", fold), fold, 0.3, 0.7 + 0.01 * fold, 0.6, 0.8});
  }
  report.mean = {"mean", 0, 0.3, 0.72, 0.6, 0.8};
  report.deviation = {"standard deviation", 0, 0, 0.01, 0, 0};
  report.ways = {{"fold 1", {"Jaccard", 0.7, 0.65, 0.75}, 0.6, 0.8, {"difference", -0.03, -0.05, -0.01}},
                 {"ensemble", {"Jaccard", 0.73, 0.7, 0.76}, 0.65, 0.82}};
  return report;
}

TEST(FoldsPage, ShowsFoldsAndEnsemble) {
  const std::string html = render_folds(three_folds());
  EXPECT_EQ(Page(html).problem, "");
  for (const char* part : {"fold 3</th><td class=\"number\">3</td><td "
                           "class=\"number\">0.7300</td>",
                           "<tr class=\"total\"><th scope=\"row\">mean</th><td "
                           "class=\"number\"></td><td "
                           "class=\"number\">0.7200</td>",
                           "standard deviation</th>", "<section id=\"ensemble\">",
                           "<td class=\"number mean\">−0.0300</td><td class=\"number\">−0.0500 to "
                           "−0.0100</td>"}) {
    EXPECT_NE(html.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(html.find("No epoch has been finished"), std::string::npos) << "an ensemble has no epochs of its own";
  EXPECT_EQ(occurrences(html, "<section id=\"quality\">"), 1u);
}

TEST(FoldsPage, IsSoundWhereThereIsNothingToShow) {
  FoldsReport report = three_folds();
  report.ways.clear();
  report.ensemble.metrics.clear();
  report.ensemble.images.clear();
  std::string html = render_folds(report);
  EXPECT_EQ(Page(html).problem, "");
  EXPECT_EQ(html.find("<section id=\"ensemble\">"), std::string::npos);
  report.rows.clear();
  for (auto& fold : report.folds) fold = {};
  html = render_folds(report);
  EXPECT_EQ(Page(html).problem, "");
  EXPECT_NE(html.find("No fold has finished an epoch."), std::string::npos);
}

TEST(FoldsPage, DrawsAsManyFoldsAsCanBeToldApart) {
  FoldsReport report = three_folds();
  while (report.folds.size() < 8) report.folds.push_back(report.folds.back());
  const std::string html = render_folds(report);
  EXPECT_EQ(Page(html).problem, "");
  EXPECT_NE(html.find("The first 6 of 8 folds are drawn."), std::string::npos);
}

}  // namespace
}  // namespace dermatome::report
