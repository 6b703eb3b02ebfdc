// Charts in files.
#include "tools/report/svg_file.h"

#include <fmt/format.h>

#include "tools/report/markup.h"

namespace dermatome::report {
namespace {

// The page's style sheet names colours by variables, which few viewers but browsers resolve.
constexpr std::string_view kStyle = R"css(
text { font: 12px "Helvetica Neue", "Noto Sans", Arial, sans-serif; fill: #5b626c; }
.stage-name { font-size: 11px; }
.grid-line { stroke: #e2e2dd; } .axis-line { stroke: #a9adb2; }
.stage-band { fill: #f4f4f1; opacity: 0.55; } .stage-band.odd { opacity: 1; }
.stage-line, .drop-line { stroke: #a9adb2; stroke-dasharray: 2 3; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.line.pale { stroke-width: 1; opacity: 0.45; }
.ringed { stroke: #ffffff; stroke-width: 1.5; }
.mark-text { font-weight: 600; stroke: #ffffff; stroke-width: 4px; paint-order: stroke; stroke-linejoin: round; }
.legend { font-weight: 600; } .heading { font-size: 15px; font-weight: 600; fill: #15181c; }
.probe > g, .hit { opacity: 0; } .area { opacity: 0.1; }
.line.train { stroke: #c8741a; } .dot.train, .area.train, text.train { fill: #c8741a; }
.line.validation, .line.found { stroke: #2253c4; } .dot.validation, .area.validation, text.validation { fill: #2253c4; }
.line.thresholded { stroke: #6f95e6; stroke-dasharray: 5 4; }
.line.rate, .line.speed { stroke: #56606d; } .area.rate, .area.speed { fill: #56606d; } .line.missed { stroke: #c2452d; }
.bar.found, .point.found { fill: #2253c4; } .bar.missed, .point.missed { fill: #c2452d; } .point { fill-opacity: 0.5; }
.mean-line, .quarter, .zero-line { stroke: #15181c; } .quarter { stroke-width: 3; stroke-linecap: round; }
.threshold-line { stroke: #c2452d; stroke-dasharray: 4 4; }
.line.run-1 { stroke: #2253c4; } text.run-1, .dot.run-1 { fill: #2253c4; }
.line.run-2 { stroke: #c25a00; } text.run-2, .dot.run-2 { fill: #c25a00; }
.line.run-3 { stroke: #00805f; } text.run-3, .dot.run-3 { fill: #00805f; }
.line.run-4 { stroke: #a8327d; } text.run-4, .dot.run-4 { fill: #a8327d; }
.line.run-5 { stroke: #7a6a00; } text.run-5, .dot.run-5 { fill: #7a6a00; }
.line.run-6 { stroke: #4a4f57; } text.run-6, .dot.run-6 { fill: #4a4f57; }
)css";

constexpr double kCharacterWidth = 7.2;  // of bold type, generously

}  // namespace

std::string svg_file(std::string_view title, const std::vector<Panel>& panels) {
  double height = 0;
  std::string content;
  for (const auto& panel : panels) {
    content += fmt::format("<g transform=\"translate(0 {})\">{}</g>\n", coordinate(height), panel.content);
    height += panel.frame.height;
  }
  const std::string width = coordinate(panels.front().frame.width + 16);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"-8 -4 {0} {1}\">\n"
      "<title>{2}</title>\n<style>{3}</style>\n"
      "<rect x=\"-8\" y=\"-4\" width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n{4}</svg>\n",
      width, coordinate(height + 8), escape(title), kStyle, content);
}

std::string draw_legend(const Frame& frame, const std::vector<NamedColour>& entries) {
  std::string svg;
  double right = frame.width - frame.right;
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    svg += draw_text(right, 12, "end", "legend " + entry->css, entry->name);
    right -= kCharacterWidth * static_cast<double>(entry->name.size()) + 14;
  }
  return svg;
}

}  // namespace dermatome::report
