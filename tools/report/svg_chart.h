// The parts of a chart in SVG: a frame with axes, lines, stages, and values that appear under the pointer.
// Colours and type come from the page's style sheet by class, so that a chart follows its light and dark scheme.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/report/ticks.h"

namespace dermatome::report {

struct Point {
  double x = 0;
  double y = 0;
};

struct Axis {
  Range range;
  bool logarithmic = false;
  std::vector<double> ticks;
  std::vector<std::string> labels;  // one a tick
  std::string title;                // with the unit

  // 0 at range.low, 1 at range.high.
  double share(double value) const;
  // Whether `value` has a place on this axis at all; values <= 0 have none on a logarithmic one.
  bool holds(double value) const;
};

// An axis from the lowest to the highest value, both rounded outwards, with ticks and their labels.
Axis rounded_axis(Range range, std::string title, int most_ticks = 5);
Axis rounded_log_axis(Range range, std::string title);

// Where values lie in a picture of width x height units, margins left for labels.
struct Frame {
  double width = 560;
  double height = 290;
  double left = 50;
  double right = 22;
  double top = 46;
  double bottom = 46;
  Axis x;
  Axis y;

  double x_of(double value) const { return left + x.share(value) * (width - left - right); }
  double y_of(double value) const { return height - bottom - y.share(value) * (height - top - bottom); }
  bool holds(Point point) const { return x.holds(point.x) && y.holds(point.y); }
};

// `css` is the class that gives a thing its colour: train, validation, thresholded, rate, speed.
struct Line {
  std::string css;
  std::vector<Point> points;  // in rising x; those without a place on the axes break the line
  bool filled = false;        // the area below is shaded
};

// A dot with a line down to the axis, and its text beside the foot of that line, or rows of text higher.
struct Mark {
  Point at;
  std::string css;
  std::string text;
  int row = 0;
};

// A stretch of the x axis, up to the start of the next one.
struct Stretch {
  double from = 0;
  std::string name;
};

// Text that appears while the pointer is near `x`, with a dot on each of its values.
struct Probe {
  struct Value {
    std::string css;
    std::string text;
    double y = 0;
  };
  double x = 0;
  std::string text;
  std::vector<Value> values;
};

// The opening tag with title and description for screen readers; `id` is unique in the page. Close with "</svg>".
std::string open_svg(const Frame& frame, std::string_view id, std::string_view title, std::string_view description);

std::string draw_axes(const Frame& frame);
std::string draw_stretches(const Frame& frame, const std::vector<Stretch>& stretches);
std::string draw_line(const Frame& frame, const Line& line);
std::string draw_mark(const Frame& frame, const Mark& mark);
std::string draw_probes(const Frame& frame, const std::vector<Probe>& probes);

// A text element; `anchor` is start, middle or end.
std::string draw_text(double x, double y, std::string_view anchor, std::string_view css, std::string_view text);

// A coordinate with at most one digit after the point.
std::string coordinate(double value);

}  // namespace dermatome::report
