// The charts and photographs of a report as files of their own: what `dermatome report --figures` writes.
#pragma once

#include <string>
#include <vector>

#include "tools/report/charts.h"
#include "tools/report/report_data.h"

namespace dermatome::report {

struct FigureFile {
  std::string name;   // "loss.svg", "worst_1.jpg"
  std::string bytes;  // of the whole file
};

// A figure with its heading and legend above the chart, in fixed colours on white. `figure` must have a chart.
std::string figure_svg(const Figure& figure);

// Those of one run: loss, jaccard, learning_rate, speed, histogram and area as SVG, and the best and worst photographs
// with their outlines as JPEG, the first of each group as _1. A chart that has nothing to show is left out.
std::vector<FigureFile> figure_files(const ReportData& data);
// Those that lay several runs beside each other: jaccard, loss, train_loss, learning_rate, reached, sizes, and of two
// pairs.
std::vector<FigureFile> figure_files(const std::vector<ReportData>& runs);

}  // namespace dermatome::report
