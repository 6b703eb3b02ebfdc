// The sections of the page, each a string of well-formed HTML; empty where there is nothing to show.
#pragma once

#include <string>

#include "tools/report/charts.h"
#include "tools/report/report_data.h"

namespace dermatome::report {

// A chart with its heading, legend and caption.
std::string figure_html(const Figure& figure, bool wide = false);

std::string training_section(const ReportData& data);  // charts and the table of stages
std::string quality_section(const ReportData& data);   // metrics with intervals, histogram, scatter
// The photograph whose Jaccard is closest to the median, with its outlines.
std::string median_picture(const ReportData& data);
// Photographs with outlines: best, worst, and a spread of the others.
// Both throw Error, naming the photograph, where a mask is not of its size.
std::string pictures_section(const ReportData& data);
std::string run_section(const ReportData& data);     // settings and timing
std::string epochs_section(const ReportData& data);  // the table of all epochs

}  // namespace dermatome::report
