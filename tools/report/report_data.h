// ReportData: everything that the page about one run shows, wherever it was read from.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "data/image/image.h"

namespace dermatome::report {

// A number that is not known; infinities count as not known as well. The page leaves them out or prints a dash.
inline constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

// One setting of the run. A value of several lines (the text of the stages) keeps its line breaks.
struct Setting {
  std::string name;
  std::string value;
};

struct Stage {
  std::string name;                  // short: it labels a stretch of every chart
  int first_epoch = 1;               // as counted in EpochRow
  std::optional<double> first_step;  // as counted in SchedulePoint; absent: the stage has not begun
  int size = 0;                      // side of the training images in pixels; 0: not known
  int batch = 0;                     // 0: not known
  double learning_rate = kMissing;   // the highest of the stage
  std::string detail;                // what is frozen, for example
};

// One finished epoch, in the order of training.
struct EpochRow {
  int epoch = 1;
  int stage = 0;  // index into ReportData::stages
  double learning_rate = kMissing;
  double train_loss = kMissing;
  double validation_loss = kMissing;
  double train_jaccard = kMissing;
  double validation_jaccard = kMissing;
  double validation_thresholded_jaccard = kMissing;
  double validation_dice = kMissing;
  double seconds = kMissing;
  double images_per_second = kMissing;
};

struct SchedulePoint {
  double step = 0;
  double learning_rate = 0;
};

struct RatePoint {
  double rate = 0;
  double loss = 0;
  double average = 0;
  double smoothed = kMissing;
};

// The curve of a learning-rate finder.
struct RateChart {
  std::string title;
  std::string loss_name;  // of the y axis
  bool logarithmic = true;
  std::vector<RatePoint> points;   // by rate, in rising order; at least one
  std::optional<double> steepest;  // the suggested rate
  double lowest = 0;               // the rate where the smoothed loss is smallest; 0: none
};

// A mean over the scored photographs, and the ends of its 95 % bootstrap interval where one was drawn.
// `detail` stands beside the name, for a metric that is something else: "over all pixels of the set".
struct Metric {
  std::string name;
  double mean = kMissing;
  std::optional<double> low;
  std::optional<double> high;
  std::string detail;
};

// One scored photograph. The pictures may be empty: the photograph then counts in the charts, and choose_pictures()
// (tools/report/selection.h) says which ones the page shows.
struct ReportImage {
  std::string id;
  double jaccard = kMissing;
  double dice = kMissing;
  double lesion_area_share = kMissing;  // of the true lesion in the photograph, 0 to 1
  data::Image photograph;               // RGB or grey; 256 to 320 pixels a side look best
  data::Image truth;                    // masks: one channel, 0 or 255, as large as the photograph
  data::Image prediction;
};

struct TimingRow {
  std::string phase;
  double seconds = kMissing;
};

struct ReportData {
  std::string title = "Segmentation report";
  std::string version;             // of Dermatome
  std::string run;                 // name of the run
  std::string date;                // as it shall be printed
  std::string loss_name = "loss";  // labels the axis, for example "binary cross-entropy"
  std::vector<Setting> settings;
  std::vector<Stage> stages;
  std::vector<EpochRow> epochs;
  std::vector<SchedulePoint> learning_rates;                  // one a step; empty: the epochs' rates are drawn
  std::vector<RateChart> rate_finders;                        // of the stages whose rate was found
  double EpochRow::*best_by = &EpochRow::validation_jaccard;  // what chose the best epoch
  std::vector<Metric> metrics;                                // the first three are shown large
  std::vector<ReportImage> images;                            // in any order
  std::vector<TimingRow> timing;
  std::vector<std::string> notes;  // whole sentences, warnings for example
};

}  // namespace dermatome::report
