// A chart as a picture file of its own: panels one below the other, with colours that every viewer of SVG understands.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/report/svg_chart.h"

namespace dermatome::report {

struct Panel {
  Frame frame;
  std::string content;  // drawn into that frame
};

// All panels are as wide as the first.
std::string svg_file(std::string_view title, const std::vector<Panel>& panels);

// Names in their colours, from the right end of the line above a frame.
struct NamedColour {
  std::string css;
  std::string name;
};
std::string draw_legend(const Frame& frame, const std::vector<NamedColour>& entries);

}  // namespace dermatome::report
