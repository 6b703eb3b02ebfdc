// The curve of a learning-rate finder as the reports draw it.
#pragma once

#include <string>

#include "tools/report/report_data.h"
#include "tools/training/rate_curve.h"

namespace dermatome {

// `curve` has at least one point.
report::RateChart chart_of(const training::RateCurve& curve, const std::string& title);

}  // namespace dermatome
