// Charts of several runs beside each other; each run has one colour throughout the page.
#pragma once

#include <string>
#include <vector>

#include "tools/report/charts.h"
#include "tools/report/report_data.h"

namespace dermatome::report {

// The class that gives the run's lines and swatches their colour.
std::string run_class(std::size_t run);

struct EpochsChart {
  std::string id, heading, axis;
  double EpochRow::*value;
  double from, to;  // what the axis holds at least
};
Figure epochs_figure(const std::vector<ReportData>& runs, const EpochsChart& chart);

// For each Jaccard index the share of the photographs that reach it.
Figure reached_figure(const std::vector<ReportData>& runs);

// The mean Jaccard index of each quarter of the photographs by lesion size.
Figure sizes_figure(const std::vector<ReportData>& runs);

// A dot a photograph that both runs were scored on.
Figure pairs_figure(const ReportData& first, const ReportData& other);

// All of them: what was learnt over the epochs, and what came of it. Names are short and fit for files.
struct NamedFigure {
  std::string name;
  Figure figure;
};
std::vector<NamedFigure> training_figures(const std::vector<ReportData>& runs);
std::vector<NamedFigure> quality_figures(const std::vector<ReportData>& runs);

// A mean difference and its interval on an axis from -reach to reach, with a line at 0.
std::string difference_drawing(double mean, double low, double high, double reach, double width, double height);

}  // namespace dermatome::report
