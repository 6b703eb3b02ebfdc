// A photograph with the outlines of its masks.
#pragma once

#include "data/image/image.h"
#include "tools/report/report_data.h"

namespace dermatome::report {

// Green and magenta add up to white, and white is a line that both masks share.
inline constexpr data::Rgb kTruthColour = {40, 230, 120};
inline constexpr data::Rgb kPredictionColour = {255, 50, 190};
inline constexpr data::Rgb kSharedColour = {255, 255, 255};

// The photograph, which must be there, at twice its size, so that lines are crisp, but no side longer than 640 pixels;
// the outlines of the masks that are there, with a dark rim. Throws Error, naming the photograph, where a mask is not
// of its size.
data::Image outlined(const ReportImage& image);

}  // namespace dermatome::report
