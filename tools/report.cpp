// dermatome report: one self-contained HTML page about a run, or about several beside each other.
#include <filesystem>
#include <set>

#include "data/files.h"
#include "engine/core/error.h"
#include "tools/command.h"
#include "tools/fold_runs.h"
#include "tools/progress.h"
#include "tools/report/comparison.h"
#include "tools/report/figure_files.h"
#include "tools/report/html.h"
#include "tools/report_folds.h"
#include "tools/report_run.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

struct ReportCommand {
  std::vector<std::string> runs;
  std::string out, figures;
  std::shared_ptr<RunOptions> options;
};

void check_runs(const std::vector<std::string>& runs) {
  if (runs.size() > report::kMostRuns) {
    fail_usage("{} runs were given, and {} are the most that one page can tell apart", runs.size(), report::kMostRuns);
  }
  std::set<fs::path> seen;
  for (const auto& run : runs) {
    std::error_code ignored;
    if (!seen.insert(fs::weakly_canonical(fs::path(run) / "run.json", ignored)).second) {
      fail_usage("the run {} was given twice", run);
    }
  }
}

// Runs of one name in different folders are told apart by these.
void name_apart(std::vector<report::ReportData>& reports, const std::vector<std::string>& runs) {
  std::multiset<std::string> names;
  for (const auto& report : reports) names.insert(report.run);
  for (std::size_t i = 0; i < reports.size(); ++i) {
    if (names.count(reports[i].run) > 1) reports[i].run = (fs::path(runs[i]) / "").parent_path().string();
  }
}

fs::path page_of(const ReportCommand& command) {
  if (!command.out.empty()) return command.out;
  const fs::path first = fs::absolute(fs::path(command.runs.front()) / "").parent_path();
  return command.runs.size() == 1 ? fs::path(command.runs.front()) / "report.html"
                                  : first.parent_path() / "comparison.html";
}

void write_figures(const fs::path& folder, const std::vector<report::ReportData>& reports, Progress& progress) {
  const auto files = reports.size() == 1 ? report::figure_files(reports.front()) : report::figure_files(reports);
  std::error_code error;
  fs::create_directories(folder, error);
  DERMATOME_CHECK(!error, "the folder {} cannot be made: {}", folder.string(), error.message());
  for (const auto& file : files) data::write_file(folder / file.name, file.bytes);
  progress.message(fmt::format("{} figures in {}", files.size(), folder.string()));
}

void run_report(const ReportCommand& command) {
  command.options->apply();
  check_runs(command.runs);
  Progress progress;
  const std::string out = page_of(command).string();
  if (command.runs.size() == 1 && holds_folds(command.runs.front())) {
    if (!command.figures.empty())
      fail_usage("--figures takes those of runs: name one of the folds, such as {}/fold1, or several",
                 command.runs.front());
    write_text(out, report::render_folds(read_folds_report(command.runs.front(), command.options->device(),
                                                           command.options->compile, progress)));
    progress.message(fmt::format("report in {}", out));
    return;
  }
  std::vector<report::ReportData> reports;
  for (const auto& run : command.runs) {
    reports.push_back(read_run(run, command.options->device(), command.options->compile, progress));
  }
  name_apart(reports, command.runs);
  if (!command.figures.empty()) write_figures(command.figures, reports, progress);
  write_text(out, reports.size() == 1 ? report::render_html(reports.front()) : report::render_comparison(reports));
  progress.message(fmt::format("{} in {}", reports.size() == 1 ? "report" : "comparison", out));
}

}  // namespace

void add_report(CLI::App& app) {
  auto* sub = app.add_subcommand("report", "Write a self-contained HTML page about a run, or comparing several");
  auto command = std::make_shared<ReportCommand>();
  sub->add_option("run", command->runs,
                  "Folder of the run, or of folds; of several runs, the first is what the others are compared with")
      ->required();
  sub->add_option("--out", command->out,
                  "The page; by default report.html in the run's folder, or comparison.html beside the first run");
  sub->add_option("--figures", command->figures,
                  "Also write every chart (SVG) and the best and worst photographs (JPEG) into this folder");
  command->options = add_run_options(*sub);
  sub->callback([command] { run_report(*command); });
}

}  // namespace dermatome
