// Draws axes, lines, stages and probes as SVG elements.
#include "tools/report/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "tools/report/markup.h"

namespace dermatome::report {
namespace {

constexpr double kCharacterWidth = 6.6;  // of the small type in charts, generously

constexpr double kMarkRow = 16;  // of the texts of marks

double text_width(std::string_view text) {
  const auto characters = std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
  return kCharacterWidth * static_cast<double>(characters);
}

std::string tag_line(double x1, double y1, double x2, double y2, std::string_view css) {
  return fmt::format("<line class=\"{}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", css, coordinate(x1),
                     coordinate(y1), coordinate(x2), coordinate(y2));
}

std::string tag_dot(double x, double y, double radius, std::string_view css) {
  return fmt::format("<circle class=\"dot {}\" cx=\"{}\" cy=\"{}\" r=\"{}\"/>", css, coordinate(x), coordinate(y),
                     coordinate(radius));
}

// Runs of points that have a place on the axes.
std::vector<std::vector<Point>> unbroken_runs(const Frame& frame, const std::vector<Point>& points) {
  std::vector<std::vector<Point>> runs;
  bool open = false;
  for (const Point point : points) {
    const bool holds = frame.holds(point);
    if (holds && !open) runs.emplace_back();
    if (holds) runs.back().push_back({frame.x_of(point.x), frame.y_of(point.y)});
    open = holds;
  }
  return runs;
}

// Of the points in one half-unit column the first, the lowest, the highest and the last: what can be told apart.
std::vector<Point> thinned(const std::vector<Point>& points) {
  std::vector<Point> kept;
  for (auto first = points.begin(); first != points.end();) {
    const double column = std::floor(2 * first->x);
    const auto end = std::find_if(first, points.end(), [&](Point p) { return std::floor(2 * p.x) != column; });
    const auto [low, high] = std::minmax_element(first, end, [](Point a, Point b) { return a.y < b.y; });
    std::vector<std::vector<Point>::const_iterator> chosen = {first, low, high, std::prev(end)};
    std::sort(chosen.begin(), chosen.end());
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    for (const auto point : chosen) kept.push_back(*point);
    first = end;
  }
  return kept;
}

std::string path_of(const std::vector<Point>& points) {
  std::string path;
  for (const Point point : points) {
    path += fmt::format("{}{} {}", path.empty() ? 'M' : 'L', coordinate(point.x), coordinate(point.y));
  }
  return path;
}

}  // namespace

double Axis::share(double value) const {
  if (logarithmic) return std::log(value / range.low) / std::log(range.high / range.low);
  return (value - range.low) / (range.high - range.low);
}

bool Axis::holds(double value) const {
  return std::isfinite(value) && !(logarithmic && value <= 0);
}

Axis rounded_axis(Range range, std::string title, int most_ticks) {
  Axis axis;
  axis.range = rounded_range(range, most_ticks);
  axis.ticks = linear_ticks(axis.range, most_ticks);
  axis.labels = tick_labels(axis.ticks);
  axis.title = std::move(title);
  return axis;
}

Axis rounded_log_axis(Range range, std::string title) {
  Axis axis;
  axis.range = rounded_log_range(range);
  axis.logarithmic = true;
  axis.ticks = log_ticks(axis.range);
  axis.labels = tick_labels(axis.ticks);
  axis.title = std::move(title);
  return axis;
}

std::string coordinate(double value) {
  std::string text = fmt::format("{:.1f}", value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text == "-0" ? "0" : text;
}

std::string draw_text(double x, double y, std::string_view anchor, std::string_view css, std::string_view text) {
  return fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>", css, coordinate(x),
                     coordinate(y), anchor, escape(text));
}

std::string open_svg(const Frame& frame, std::string_view id, std::string_view title, std::string_view description) {
  return fmt::format(
      "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{}-title {}-text\">"
      "<title id=\"{}-title\">{}</title><desc id=\"{}-text\">{}</desc>",
      coordinate(frame.width), coordinate(frame.height), id, id, id, escape(title), id, escape(description));
}

std::string draw_axes(const Frame& frame) {
  const double right = frame.width - frame.right;
  const double floor = frame.height - frame.bottom;
  std::string svg;
  for (std::size_t i = 0; i < frame.y.ticks.size(); ++i) {
    const double y = frame.y_of(frame.y.ticks[i]);
    svg += tag_line(frame.left, y, right, y, "grid-line");
    svg += draw_text(frame.left - 8, y + 4, "end", "tick", frame.y.labels[i]);
  }
  svg += tag_line(frame.left, floor, right, floor, "axis-line");
  for (std::size_t i = 0; i < frame.x.ticks.size(); ++i) {
    const double x = frame.x_of(frame.x.ticks[i]);
    svg += tag_line(x, floor, x, floor + 5, "axis-line");
    svg += draw_text(x, floor + 19, "middle", "tick", frame.x.labels[i]);
  }
  svg += draw_text(right, frame.height - 6, "end", "axis-title", frame.x.title);
  if (!frame.y.title.empty()) svg += draw_text(0, 12, "start", "axis-title y-title", frame.y.title);
  return svg;
}

std::string draw_stretches(const Frame& frame, const std::vector<Stretch>& stretches) {
  if (stretches.size() < 2) return {};
  const double ceiling = frame.top - 16;
  std::vector<double> edges;
  for (const auto& stretch : stretches) {
    edges.push_back(frame.x_of(std::clamp(stretch.from, frame.x.range.low, frame.x.range.high)));
  }
  edges.push_back(frame.width - frame.right);
  // Names where there is room for all that have begun, else the numbers that the table of stages gives them.
  bool named = true;
  for (std::size_t i = 0; i < stretches.size(); ++i) {
    const double width = edges[i + 1] - edges[i];
    named = named && (width < 1 || text_width(stretches[i].name) + 8 <= width);
  }
  std::string svg;
  for (std::size_t i = 0; i < stretches.size(); ++i) {
    const double from = edges[i];
    const double to = edges[i + 1];
    if (to - from < 1) continue;
    svg += fmt::format("<rect class=\"stage-band{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                       i % 2 ? " odd" : "", coordinate(from), coordinate(ceiling), coordinate(to - from),
                       coordinate(frame.height - frame.bottom - ceiling));
    if (i > 0) svg += tag_line(from, ceiling, from, frame.height - frame.bottom, "stage-line");
    const std::string text = named ? stretches[i].name : std::to_string(i + 1);
    if (text_width(text) + 4 <= to - from) svg += draw_text(from + 5, ceiling + 12, "start", "stage-name", text);
  }
  return svg;
}

std::string draw_line(const Frame& frame, const Line& line) {
  std::string svg;
  for (const auto& run : unbroken_runs(frame, line.points)) {
    if (run.size() == 1) {
      svg += tag_dot(run[0].x, run[0].y, 3, line.css);
      continue;
    }
    const std::string path = path_of(thinned(run));
    const std::string floor = coordinate(frame.height - frame.bottom);
    if (line.filled) {
      svg += fmt::format("<path class=\"area {}\" d=\"{}L{} {}L{} {}Z\"/>", line.css, path, coordinate(run.back().x),
                         floor, coordinate(run.front().x), floor);
    }
    svg += fmt::format("<path class=\"line {}\" d=\"{}\"/>", line.css, path);
  }
  return svg;
}

std::string draw_mark(const Frame& frame, const Mark& mark) {
  if (!frame.holds(mark.at)) return {};
  const double x = frame.x_of(mark.at.x);
  const double y = frame.y_of(mark.at.y);
  const double floor = frame.height - frame.bottom;
  const bool to_the_left = x - text_width(mark.text) - 8 > frame.left;
  return tag_line(x, y, x, floor, "drop-line") + tag_dot(x, y, 4, mark.css + " ringed") +
         draw_text(to_the_left ? x - 8 : x + 8, floor - 9 - kMarkRow * mark.row, to_the_left ? "end" : "start",
                   "mark-text " + mark.css, mark.text);
}

std::string draw_probes(const Frame& frame, const std::vector<Probe>& probes) {
  const double floor = frame.height - frame.bottom;
  std::string svg;
  for (std::size_t i = 0; i < probes.size(); ++i) {
    const Probe& probe = probes[i];
    const double x = frame.x_of(probe.x);
    const double from = i == 0 ? frame.left : (x + frame.x_of(probes[i - 1].x)) / 2;
    const double to = i + 1 == probes.size() ? frame.width - frame.right : (x + frame.x_of(probes[i + 1].x)) / 2;
    svg += fmt::format("<g class=\"probe\"><rect class=\"hit\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/><g>",
                       coordinate(from), coordinate(frame.top - 16), coordinate(std::max(0.0, to - from)),
                       coordinate(floor - frame.top + 16));
    svg += tag_line(x, frame.top, x, floor, "cross");
    std::string text = fmt::format("<tspan>{}</tspan>", escape(probe.text));
    for (const auto& value : probe.values) {
      if (frame.holds({probe.x, value.y})) svg += tag_dot(x, frame.y_of(value.y), 3.5, value.css + " ringed");
      text += fmt::format("<tspan class=\"{}\" dx=\"10\">{}</tspan>", value.css, escape(value.text));
    }
    svg += fmt::format("<text class=\"readout\" x=\"{}\" y=\"12\" text-anchor=\"end\">{}</text></g></g>",
                       coordinate(frame.width - frame.right), text);
  }
  return svg;
}

}  // namespace dermatome::report
