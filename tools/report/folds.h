// The page about cross-validation: the folds beside each other, and the
// ensemble of them on photographs that none saw.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/report/report_data.h"

namespace dermatome::report {

// What a fold's best epoch scored on its validation part; also for the means
// over the folds.
struct FoldRow {
  std::string name;
  int best_epoch = 0;  // 0: not of one epoch
  double loss = kMissing;
  double jaccard = kMissing;
  double thresholded_jaccard = kMissing;
  double dice = kMissing;
};

// A way of predicting the same photographs: one member, the ensemble, or what
// is added to it.
struct WayRow {
  std::string name;
  Metric jaccard;
  double thresholded_jaccard = kMissing;
  double dice = kMissing;
  Metric difference;  // of the Jaccard index to the ensemble's, photograph by
                      // photograph; missing for the ensemble
};

struct FoldsReport {
  ReportData ensemble;            // title, settings and notes; metrics and images of the
                                  // ensemble, where it was scored
  std::vector<ReportData> folds;  // their epochs
  std::vector<FoldRow> rows;      // of the folds that have one
  FoldRow mean, deviation;
  std::vector<WayRow> ways;  // empty where the ensemble was not scored
};

// As render_html.
std::string render_folds(const FoldsReport& report);

}  // namespace dermatome::report
