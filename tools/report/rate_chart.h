// The picture of a learning-rate finder's curve.
#pragma once

#include <cstddef>
#include <string>

#include "tools/report/charts.h"
#include "tools/report/report_data.h"

namespace dermatome::report {

// As wide as the page. Losses far above the first ones are cut off: what explodes would flatten what falls. `number`
// tells the figures of a page apart.
Figure rate_figure(const RateChart& chart, std::size_t number);

// The same as a whole SVG file.
std::string rate_picture(const RateChart& chart);

}  // namespace dermatome::report
