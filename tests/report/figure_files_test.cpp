// Charts as files: whole pictures that need nothing of the page they were taken from.
#include "tools/report/figure_files.h"

#include <gtest/gtest.h>

#include <regex>

#include "data/codec.h"
#include "engine/core/error.h"
#include "tests/report/support.h"

namespace dermatome::report {
namespace {

using testing::occurrences;
using testing::Page;
using testing::typical_data;

std::vector<std::string> names_of(const std::vector<FigureFile>& files) {
  std::vector<std::string> names;
  for (const auto& file : files) names.push_back(file.name);
  return names;
}

// Classes of words, which all texts look alike by, and of what only a pointer shows.
const std::set<std::string> kPlain{"chart", "tick",  "axis-title", "y-title", "readout",
                                   "probe", "cross", "found",      "missed"};

void expect_styled(const FigureFile& file) {
  const std::string style = file.bytes.substr(0, file.bytes.find("</style>"));
  const std::regex word("class=\"([^\"]+)\"");
  for (std::sregex_iterator it(file.bytes.begin(), file.bytes.end(), word), end; it != end; ++it) {
    std::istringstream classes((*it)[1]);
    for (std::string name; classes >> name;)
      EXPECT_TRUE(kPlain.contains(name) || style.find("." + name) != std::string::npos) << file.name << ": " << name;
  }
}

TEST(FigureFiles, OfARunAreItsChartsAndPhotographs) {
  const auto files = figure_files(typical_data(12, 9));
  const std::vector<std::string> charts{"loss.svg",  "jaccard.svg",   "learning_rate.svg",
                                        "speed.svg", "histogram.svg", "area.svg"};
  ASSERT_GE(files.size(), charts.size());
  for (std::size_t i = 0; i < charts.size(); ++i) {
    const FigureFile& file = files[i];
    EXPECT_EQ(file.name, charts[i]);
    EXPECT_EQ(Page(file.bytes).problem, "") << file.name;
    EXPECT_TRUE(file.bytes.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"")) << file.name;
    EXPECT_EQ(occurrences(file.bytes, "var(--"), 0u) << file.name << ": few viewers but browsers know variables";
    expect_styled(file);
  }
  for (std::size_t i = charts.size(); i < files.size(); ++i) {
    EXPECT_TRUE(files[i].name.starts_with("best_") || files[i].name.starts_with("worst_")) << files[i].name;
    EXPECT_TRUE(files[i].bytes.starts_with("\xff\xd8")) << files[i].name;
  }
}

TEST(FigureFiles, HaveTheirHeadingAndLegendAbove) {
  const std::string svg = figure_svg(jaccard_figure(typical_data(12, 0)));
  for (const char* part : {">Jaccard index</text>", ">validation</text>", ">thresholded</text>", ">training</text>"})
    EXPECT_EQ(occurrences(svg, part), 1u) << part;
  Figure none{.heading = "Nothing"};
  EXPECT_THROW(figure_svg(none), Error);
}

TEST(FigureFiles, WithoutAnythingToShowAreLeftOut) {
  ReportData data = typical_data(12, 0);
  data.epochs.clear();
  data.learning_rates.clear();
  EXPECT_TRUE(figure_files(data).empty());
}

TEST(FigureFiles, OfSeveralRunsLayThemBesideEachOther) {
  std::vector<ReportData> runs(3, typical_data(12, 30));
  for (std::size_t i = 0; i < runs.size(); ++i) runs[i].run = "run" + std::to_string(i);
  const auto files = figure_files(runs);
  EXPECT_EQ(names_of(files), (std::vector<std::string>{"jaccard.svg", "loss.svg", "train_loss.svg", "learning_rate.svg",
                                                       "reached.svg", "sizes.svg"}));
  for (const auto& file : files) {
    EXPECT_EQ(Page(file.bytes).problem, "") << file.name;
    expect_styled(file);
  }
  runs.pop_back();
  EXPECT_EQ(names_of(figure_files(runs)).back(), "pairs.svg");
}

}  // namespace
}  // namespace dermatome::report
