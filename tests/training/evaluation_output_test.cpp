// The table, the CSV and the JSON of an evaluation.
#include "tools/training/evaluation_output.h"

#include <gtest/gtest.h>

#include "tests/training/support.h"

namespace dermatome::training {
namespace {

Evaluation graded(int images) {
  Evaluation evaluation;
  for (int i = 0; i < images; ++i) {
    const PixelCounts counts{
        .true_positive = 10 * i, .false_positive = 5, .false_negative = 10, .true_negative = 985 - 10 * i};
    evaluation.images.push_back(
        {.id = fmt::format("ISIC_{}", i), .scores = scores_of(counts), .counts = counts, .width = 40, .height = 25});
  }
  return evaluation;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(EvaluationOutput, TableGoesByLesionSize) {
  const auto lines = lines_of(summary_text(graded(8), 1));
  ASSERT_EQ(lines.size(), 14u);
  EXPECT_TRUE(lines[0].starts_with("jaccard              0.5948   (0.")) << lines[0];
  EXPECT_TRUE(lines[1].starts_with("thresholded jaccard ")) << lines[1];
  EXPECT_TRUE(lines[7].starts_with("by lesion size")) << lines[7];
  EXPECT_TRUE(lines[8].starts_with("smallest quarter             2       1.00 to 2.00")) << lines[8];
  EXPECT_TRUE(lines[11].starts_with("largest quarter              2       7.00 to 8.00")) << lines[11];
  EXPECT_TRUE(lines[13].starts_with("lowest jaccard: ISIC_0 0.0000, ISIC_1 0.4000, ISIC_2 ")) << lines[13];
}

TEST(EvaluationOutput, TableOfFewPhotographsHasNoQuarters) {
  const std::string text = summary_text(graded(3), 1);
  EXPECT_EQ(lines_of(text).size(), 6u) << text;
}

TEST(EvaluationOutput, TableNamesPhotographsWithoutALesion) {
  auto evaluation = graded(8);
  const PixelCounts empty{.true_negative = 1000};
  evaluation.images.push_back({.id = "empty", .scores = scores_of(empty), .counts = empty});
  EXPECT_NE(summary_text(evaluation, 1).find("no lesion                    1                  0    1.0000"),
            std::string::npos)
      << summary_text(evaluation, 1);
}

TEST(EvaluationOutput, CsvHasARowAPhotograph) {
  auto evaluation = graded(2);
  evaluation.images[0].id = "a, \"b\"";
  evaluation.images[1].trained_on = true;
  const auto lines = lines_of(to_csv(evaluation));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0],
            "image,jaccard,thresholded_jaccard,dice,accuracy,sensitivity,specificity,width,height,truth_share,"
            "predicted_share,"
            "true_positive,false_positive,false_negative,true_negative,trained_on");
  EXPECT_EQ(lines[1], "\"a, \"\"b\"\"\",0,0,0,0.985,0,0.994949495,40,25,0.01,0.005,0,5,10,985,0");
  EXPECT_EQ(lines[2], "ISIC_1,0.4,0,0.571428571,0.985,0.5,0.994897959,40,25,0.02,0.015,10,5,10,975,1");
}

TEST(EvaluationOutput, JsonHoldsMeansIntervalsQuartersAndPhotographs) {
  auto evaluation = graded(8);
  evaluation.truth.grey_edged = 3;
  evaluation.images[0].trained_on = true;
  const auto json = to_json(evaluation, 1);
  EXPECT_EQ(json.at("images"), 8);
  EXPECT_EQ(json.at("trained_on"), 1);
  EXPECT_DOUBLE_EQ(json.at("jaccard"), evaluation.means()[kJaccard]);
  EXPECT_LT(json.at("interval_95").at("jaccard")[0], json.at("jaccard"));
  ASSERT_EQ(json.at("lesion_size_quarters").size(), 4u);
  EXPECT_EQ(json.at("lesion_size_quarters")[0].at("images"), 2);
  EXPECT_DOUBLE_EQ(json.at("lesion_size_quarters")[0].at("jaccard"), 0.2);
  EXPECT_EQ(json.at("per_image")[1].at("true_positive"), 10);
  EXPECT_EQ(json.at("per_image")[0].at("trained_on"), true);
  EXPECT_EQ(json.at("notes").size(), 2u);
  EXPECT_FALSE(to_json(graded(3), 1).contains("lesion_size_quarters"));
}

TEST(EvaluationOutput, NotesSayWhatWasReadDifferentlyAndWhatWasSeenBefore) {
  auto evaluation = graded(4);
  EXPECT_TRUE(notes_on(evaluation).empty());
  evaluation.truth = {.zero_one = 1, .grey_edged = 2, .lossy = 3};
  evaluation.images[2].trained_on = true;
  EXPECT_EQ(notes_on(evaluation),
            (std::vector<std::string>{
                "1 of 4 true masks hold 0 and 1; they were read as 0 and 255",
                "2 of 4 true masks have grey values; what lies above 128 counts as lesion, as in the official scorer",
                "3 of 4 true masks are JPEGs, whose edges are not exact; what lies above 128 counts as lesion",
                "warning: 1 of these 4 photographs have names that the run was trained on, so the scores say little "
                "about new "
                "photographs"}));
}

}  // namespace
}  // namespace dermatome::training
