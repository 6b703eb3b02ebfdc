// The whole page: well-formed, self-contained and readable for every kind of run.
#include "tools/report/html.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <ostream>
#include <regex>

#include "tests/report/support.h"

namespace dermatome::report {
namespace {

using testing::occurrences;
using testing::Page;
using testing::scored_image;
using testing::typical_data;

struct Case {
  const char* name;
  std::function<ReportData()> data;
};

void PrintTo(const Case& test_case, std::ostream* out) {
  *out << test_case.name;
}

ReportData with_everything_unknown() {
  ReportData data = typical_data(6, 3);
  for (auto& row : data.epochs) row = {.epoch = row.epoch, .stage = 99};
  for (auto& point : data.learning_rates) point = {kMissing, kMissing};
  for (auto& metric : data.metrics) metric = {metric.name, kMissing, kMissing, kMissing};
  for (auto& image : data.images) image.jaccard = image.dice = image.lesion_area_share = kMissing;
  for (auto& row : data.timing) row.seconds = kMissing;
  data.stages[0].first_step = kMissing;
  return data;
}

ReportData with_hostile_text() {
  const std::string text = "<script>alert(1)</script>\" onload='x' & \xFF\x01 --> ]]> {} %s";
  ReportData data = typical_data(4, 0);
  data.title = data.version = data.run = data.date = data.loss_name = text;
  for (auto& setting : data.settings) setting = {text, text + "\n" + text};
  for (auto& stage : data.stages) stage.name = stage.detail = text;
  for (auto& metric : data.metrics) metric.name = metric.detail = text;
  data.images = {scored_image(text, 0.7), scored_image("", 0.6)};
  data.timing = {{text, 1}};
  data.notes = {text};
  return data;
}

ReportData with_infinities() {
  ReportData data = typical_data(3, 2);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  data.epochs[1].train_loss = kInfinity;
  data.epochs[2].train_loss = 1e300;
  data.epochs[2].seconds = kInfinity;
  data.learning_rates[3].learning_rate = -kInfinity;
  data.learning_rates[4].step = kInfinity;
  data.metrics[0] = {"Jaccard index", 0.8, -kInfinity, kInfinity};
  data.timing[0].seconds = kInfinity;
  return data;
}

const Case kCases[] = {
    {"nothing", [] { return ReportData{}; }},
    {"typical", [] { return typical_data(12, 60); }},
    {"no_epochs", [] { return typical_data(0, 5); }},
    {"one_epoch", [] { return typical_data(1, 5); }},
    {"no_images", [] { return typical_data(5, 0); }},
    {"one_image", [] { return typical_data(5, 1); }},
    {"many_epochs", [] { return typical_data(2000, 0); }},
    {"everything_unknown", with_everything_unknown},
    {"hostile_text", with_hostile_text},
    {"infinities", with_infinities},
};

class ReportPage : public ::testing::TestWithParam<Case> {
 protected:
  const std::string html_ = render_html(GetParam().data());
  const Page page_{html_};
};

TEST_P(ReportPage, IsWellFormed) {
  EXPECT_EQ(page_.problem, "");
}

TEST_P(ReportPage, FetchesNothing) {
  for (const auto& address : page_.addresses) {
    EXPECT_TRUE(address.starts_with("data:") || address.starts_with("#")) << address.substr(0, 80);
  }
  for (const char* word : {"://", "url(", "@import", "src=\"//", "srcset", "<script", "<iframe", "<object", "<base"}) {
    EXPECT_EQ(occurrences(html_, word), 0u) << word;
  }
  EXPECT_NE(html_.find("default-src 'none'"), std::string::npos);
}

TEST_P(ReportPage, PrintsNoRawNumbersThatAreNone) {
  const std::string body = html_.substr(html_.find("<body>"));
  const std::string text = std::regex_replace(body, std::regex("src=\"data:[^\"]*\""), "");
  EXPECT_FALSE(std::regex_search(text, std::regex("[^a-z](nan|inf)[^a-z]"))) << GetParam().name;
}

TEST_P(ReportPage, SaysThatItIsNoMedicalDevice) {
  EXPECT_EQ(occurrences(html_, "Not a medical device."), 1u);
}

TEST_P(ReportPage, EveryPictureHasATextAndEveryChartATitle) {
  EXPECT_EQ(occurrences(html_, "<img "), occurrences(html_, " alt=\"Photograph "));
  EXPECT_EQ(occurrences(html_, "role=\"img\""), occurrences(html_, "<desc "));
}

TEST_P(ReportPage, IsTheSameEveryTime) {
  EXPECT_EQ(html_, render_html(GetParam().data()));
}

INSTANTIATE_TEST_SUITE_P(All, ReportPage, ::testing::ValuesIn(kCases), ::testing::PrintToStringParamName());

TEST(ReportHtml, CheckerFindsDamage) {
  for (const char* html : {"<p>", "<p></b></p>", "<p a=\"1\" a=\"2\"></p>", "<p a=1></p>", "a < b", "</p>",
                           "<p id=\"x\"></p><p id=\"x\"></p>", "<p title=\"<\"></p>"}) {
    EXPECT_NE(Page(html).problem, "") << html;
  }
  EXPECT_EQ(Page("<!DOCTYPE html><p>a &lt; <br> <i id=\"x\"/></p>").problem, "");
}

TEST(ReportHtml, ShowsTextAsItIsWritten) {
  const std::string html = render_html(with_hostile_text());
  EXPECT_GT(occurrences(html, "&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload=&#39;x&#39; &amp; \uFFFD\uFFFD"),
            10u);
}

TEST(ReportHtml, PlacesBestBeforeWorstBeforeOthers) {
  const std::string html = render_html(typical_data(3, 60));
  const auto at = [&](int i) {
    return html.find("<span class=\"id\">ISIC_" + std::to_string(i) + "</span><span class=\"detail\">");
  };
  for (int i = 59; i > 54; --i) EXPECT_LT(at(i), at(i - 1)) << "best: the highest first";
  EXPECT_LT(at(54), at(0));
  for (int i = 0; i < 5; ++i) EXPECT_LT(at(i), at(i + 1)) << "worst: the lowest first";
  EXPECT_EQ(occurrences(html, "<figure class=\"picture\">"), 24u);
}

TEST(ReportHtml, ThePictureAtTheTopIsNearestToTheMedian) {
  ReportData data = typical_data(1, 0);
  data.images = {scored_image("high", 0.95), scored_image("median", 0.9), scored_image("low", 0.1)};
  EXPECT_NE(render_html(data).find("Near the median: <span class=\"id\">median</span>"), std::string::npos);
  data.images[1].photograph = {};
  EXPECT_NE(render_html(data).find("Near the median: <span class=\"id\">high</span>"), std::string::npos)
      << "the nearest of those that are at hand";
}

TEST(ReportHtml, ShowsTheFirstThreeMetricsLarge) {
  ReportData data = typical_data(3, 0);
  data.metrics.push_back({"Accuracy", 0.9444, {}, {}});
  const std::string html = render_html(data);
  EXPECT_EQ(occurrences(html, "<div class=\"value\">"), 3u);
  EXPECT_EQ(occurrences(html, "<div class=\"value\">0.944"), 0u);
  EXPECT_EQ(occurrences(html, "95 % interval 0.790 to 0.830"), 1u);
}

TEST(ReportHtml, BeforeAnEvaluationTheBestEpochStandsIn) {
  ReportData data = typical_data(4, 0);
  data.metrics.clear();
  const std::string html = render_html(data);
  EXPECT_EQ(occurrences(html, "<div class=\"value\">0.825</div>"), 1u);
  EXPECT_NE(html.find("validation, epoch 4"), std::string::npos);
}

TEST(ReportHtml, PhotographsMayBeAbsent) {
  ReportData data = typical_data(2, 30);
  for (auto& image : data.images) image.photograph = image.truth = image.prediction = {};
  const std::string html = render_html(data);
  EXPECT_EQ(occurrences(html, "<img "), 0u);
  EXPECT_EQ(occurrences(html, "no photograph"), 24u);
}

TEST(ReportHtml, MasksMayBeAbsent) {
  ReportData data = typical_data(2, 1);
  data.images[0].prediction = {};
  EXPECT_NE(render_html(data).find("with the true outline in green; Jaccard"), std::string::npos);
  data.images[0].truth = {};
  EXPECT_NE(render_html(data).find("without outlines; Jaccard"), std::string::npos);
}

}  // namespace
}  // namespace dermatome::report
