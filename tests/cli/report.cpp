// `dermatome report` from the command line: one run, several, whatever became of them, and its refusals.
#include "data/codec.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

class Report : public CommandLine {
 protected:
  // The page about r, which must be written.
  std::string page() const {
    const Outcome outcome = run({"report", "r", "--threads", "1"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(outcome.err.ends_with("report in r/report.html\n")) << outcome.err;
    return text_of(folder_ / "r/report.html");
  }
  static void expect_note(const std::string& page, const std::string& note) {
    EXPECT_NE(page.find("<li>" + note + "</li>"), std::string::npos) << page.substr(page.find("<main>"), 4000);
  }
};

TEST_F(Report, RefusesWhatIsNoRun) {
  expect_exactly(2, {"report"},
                 "report needs RUN (Folder of the run, or of folds; of several runs, the first is what the others are "
                 "compared with); "
                 "`dermatome report --help` explains");
  expect_exactly(1, {"report", "data"}, "data is not the folder of a run: it holds no run.json");
  expect_exactly(1, {"report", "nowhere"}, "nowhere is not the folder of a run: it holds no run.json");
  folder_.add("r/run.json", std::string_view("{\"threads\": "));
  expect_exactly(1, {"report", "r"}, "r/run.json is damaged: it is no JSON object");
  expect_exactly(2, {"report", "r", "r/"}, "the run r/ was given twice");
  expect_exactly(2, {"report", "1", "2", "3", "4", "5", "6", "7"},
                 "7 runs were given, and 6 are the most that one page can tell apart");
}

TEST_F(Report, NamesAPageThatCannotBeWritten) {
  train("r");
  const Outcome outcome = run({"report", "r", "--threads", "1", "--out", "nowhere/page.html"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err, "dermatome: nowhere/page.html cannot be written (does its folder exist?)\n");
}

TEST_F(Report, OfOneEpochIsWhole) {
  train("r");
  const std::string html = page();
  EXPECT_NE(html.find("trained for</dt><dd>1 epoch</dd>"), std::string::npos);
  EXPECT_EQ(html.find("To bear in mind"), std::string::npos);
}

TEST_F(Report, OfARunWithoutValidationSaysSo) {
  ASSERT_EQ(run(training("r", {"epochs=2", "--validation-share", "0"})).code, 0);
  const std::string html = page();
  expect_note(html, "The run had no validation part, so no photograph was scored.");
  EXPECT_EQ(html.find("best validation Jaccard"), std::string::npos) << "zeros in the log are no results";
}

TEST_F(Report, OfARunThatWasCutOffSaysHowFarItCame) {
  ASSERT_EQ(run(training("r", {"epochs=3"})).code, 0);
  std::string log = text_of(folder_ / "r/log.csv");
  log.resize(log.rfind('\n', log.size() - 2) + 9);  // the last row is being written
  folder_.add("r/log.csv", std::string_view(log));
  expect_note(page(), "The run is not complete: 2 of 3 epochs are finished.");
}

TEST_F(Report, OfARunThatCrashedBeforeItsFirstCheckpoint) {
  train("r");
  for (const char* name : {"best.safetensors", "last.safetensors", "log.csv", "steps.csv"})
    fs::remove(folder_ / "r" / name);
  const std::string html = page();
  expect_note(html, "The run is not complete: 0 of 1 epochs are finished.");
  expect_note(html, "The run has written no checkpoint, so no photograph was scored.");
}

TEST_F(Report, OfARunWhosePhotographsWereMovedSaysWhere) {
  train("r");
  fs::rename(folder_ / "data", folder_ / "moved");
  EXPECT_NE(page().find("<li>The photographs were not scored: "), std::string::npos);
}

TEST_F(Report, ComparesSeveralRuns) {
  train("runs/a");
  ASSERT_EQ(run(training("runs/b", {"epochs=2", "lr=1e-2"})).code, 0);
  ASSERT_EQ(run(training("runs/c", {"epochs=1", "--validation-share", "0"})).code, 0);
  const Outcome outcome = run({"report", "runs/a", "runs/b/", "runs/c", "--threads", "1"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string html = text_of(folder_ / "runs/comparison.html");
  EXPECT_NE(html.find("<h1>3 runs compared</h1>"), std::string::npos);
  EXPECT_NE(html.find("<th scope=\"row\">stage 1: epochs</th><td>1</td><td>2</td><td>1</td>"), std::string::npos);
  EXPECT_NE(html.find("<li>c: The run had no validation part, so no photograph was scored.</li>"), std::string::npos);
  ASSERT_EQ(run({"report", "runs/a", "--threads", "1", "--figures", "figures/a"}).code, 0);
  for (const char* file : {"loss.svg", "area.svg", "best_1.jpg"})
    EXPECT_TRUE(fs::exists(folder_ / "figures/a" / file)) << file;
  fs::rename(folder_ / "runs/b", folder_ / "a");
  const Outcome named = run({"report", "runs/a", "a", "--threads", "1", "--out", "page.html"});
  ASSERT_EQ(named.code, 0) << named.err;
  EXPECT_NE(text_of(folder_ / "page.html").find("<span class=\"id\">runs/a</span>"), std::string::npos)
      << "runs of one name are told apart by their folders";
}

}  // namespace
}  // namespace dermatome::cli
