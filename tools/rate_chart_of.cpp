// What a report draws of a learning-rate finder's curve.
#include "tools/rate_chart_of.h"

namespace dermatome {

report::RateChart chart_of(const training::RateCurve& curve, const std::string& title) {
  report::RateChart chart{.title = title,
                          .loss_name = curve.sweep.validation_loss ? "validation loss" : "training loss",
                          .logarithmic = !curve.sweep.linear,
                          .points = {},
                          .steepest = curve.steepest,
                          .lowest = curve.lowest};
  for (const auto& point : curve.points)
    chart.points.push_back({point.rate, point.loss, point.average, point.smoothed});
  return chart;
}

}  // namespace dermatome
