// The charts of the page. A figure without a chart has nothing to show, and its caption says so.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/report/report_data.h"
#include "tools/report/svg_chart.h"

namespace dermatome::report {

// Photographs below this Jaccard count as 0 in the thresholded index (ISIC 2018, task 1).
inline constexpr double kJaccardThreshold = 0.65;

struct LegendEntry {
  std::string css;  // gives the swatch its colour
  std::string text;
};

struct Figure {
  std::string heading;
  std::vector<LegendEntry> legend;
  std::string svg;      // empty: nothing to show
  std::string caption;  // plain text, may be empty
};

// Over the epochs, with lines where stages begin. `wide` charts span the page.
Figure loss_figure(const ReportData& data, bool wide = false);
Figure jaccard_figure(const ReportData& data, bool wide = false);
// Over the steps; over the epochs where no steps are known.
Figure learning_rate_figure(const ReportData& data, bool wide = false);
Figure speed_figure(const ReportData& data, bool wide = false);

// Over the photographs.
Figure jaccard_histogram(const std::vector<ReportImage>& images);
Figure area_scatter(const std::vector<ReportImage>& images);

// The row with the highest score of data.best_by, the earliest of equals; null where there is none.
const EpochRow* best_epoch(const ReportData& data);
// "Jaccard", "thresholded Jaccard" or "Dice": what data.best_by is called.
std::string best_by_name(const ReportData& data);

// The axis on which all metrics between 0 and 1 can be drawn: from a multiple of 0.1 to 1.
Axis metric_axis(const std::vector<Metric>& metrics);

// A small drawing of a mean and its interval on `axis`, width x height units; empty where the mean is off the axis.
// Decoration beside the printed numbers, and hidden from screen readers.
std::string interval_drawing(const Metric& metric, const Axis& axis, double width, double height);

// A bar from 0 to the mean of a metric between 0 and 1, its interval paler; empty for other metrics.
std::string gauge_drawing(const Metric& metric, double width, double height);

// The ticks of `axis` and their labels, to stand above interval drawings of that width.
std::string interval_scale(const Axis& axis, double width);

}  // namespace dermatome::report
