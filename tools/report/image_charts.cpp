// Charts of the scored photographs and of the metrics: histogram, scatter, intervals.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "tools/report/charts.h"
#include "tools/report/markup.h"

namespace dermatome::report {
namespace {

constexpr int kBins = 20;
constexpr std::size_t kQuartersFrom = 24;  // fewer photographs than this have no quarters worth a mean

const char* class_of(double jaccard) {
  return jaccard < kJaccardThreshold ? "missed" : "found";
}

std::vector<LegendEntry> threshold_legend() {
  return {{"found", fmt::format("{} and above", kJaccardThreshold)},
          {"missed", fmt::format("below {}: 0 in the thresholded index", kJaccardThreshold)}};
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::string left_out(std::size_t missing, const char* why) {
  if (missing == 0) return {};
  return fmt::format("{} {} {} left out.", count(missing), missing == 1 ? "photograph" : "photographs", why);
}

std::string photographs(std::size_t number) {
  return number == 1 ? "1 photograph" : count(number) + " photographs";
}

struct Dot {
  double share;
  double jaccard;
  const ReportImage* image;
};

// Photographs with a place on the logarithmic axis, the smallest lesion first.
std::vector<Dot> dots_of(const std::vector<ReportImage>& images) {
  std::vector<Dot> dots;
  for (const auto& image : images) {
    const bool known = std::isfinite(image.jaccard) && std::isfinite(image.lesion_area_share);
    if (known && image.lesion_area_share > 0) dots.push_back({image.lesion_area_share, image.jaccard, &image});
  }
  std::stable_sort(dots.begin(), dots.end(), [](const Dot& a, const Dot& b) { return a.share < b.share; });
  return dots;
}

struct Quarter {
  double from;
  double to;
  double mean;
};

std::vector<Quarter> quarters_of(const std::vector<Dot>& dots) {
  std::vector<Quarter> quarters;
  if (dots.size() < kQuartersFrom) return quarters;
  for (std::size_t q = 0; q < 4; ++q) {
    const std::size_t first = q * dots.size() / 4;
    const std::size_t end = (q + 1) * dots.size() / 4;
    std::vector<double> values;
    for (std::size_t i = first; i < end; ++i) values.push_back(dots[i].jaccard);
    quarters.push_back({dots[first].share, dots[end - 1].share, mean_of(values)});
  }
  return quarters;
}

std::string draw_quarter(const Frame& frame, const Quarter& quarter) {
  const double from = frame.x_of(quarter.from);
  const double to = frame.x_of(quarter.to);
  const std::string y = coordinate(frame.y_of(quarter.mean));
  return fmt::format("<line class=\"quarter\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", coordinate(from), y,
                     coordinate(to), y);
}

}  // namespace

Figure jaccard_histogram(const std::vector<ReportImage>& images) {
  Figure figure{.heading = "Jaccard index by photograph"};
  std::array<std::size_t, kBins> bins{};
  std::vector<double> values;
  for (const auto& image : images) {
    if (!std::isfinite(image.jaccard)) continue;
    values.push_back(image.jaccard);
    const int bin = static_cast<int>(std::floor(image.jaccard * kBins));
    ++bins[static_cast<std::size_t>(std::clamp(bin, 0, kBins - 1))];
  }
  if (values.empty()) {
    figure.caption = "No photograph has been scored.";
    return figure;
  }
  const double tallest = static_cast<double>(*std::max_element(bins.begin(), bins.end()));
  Frame frame;
  frame.x = {.range = {0, 1}, .ticks = linear_ticks({0, 1}, 10), .title = "Jaccard index"};
  frame.x.labels = tick_labels(frame.x.ticks);
  frame.y = {.range = rounded_range({0, tallest}, 5), .title = "photographs"};
  frame.y.range.high = std::max(frame.y.range.high, 1.0);
  frame.y.ticks = whole_ticks(frame.y.range, 5);
  frame.y.labels = tick_labels(frame.y.ticks);

  const auto below = static_cast<std::size_t>(
      std::count_if(values.begin(), values.end(), [](double value) { return value < kJaccardThreshold; }));
  const double mean = mean_of(values);
  figure.svg = open_svg(frame, "histogram", "Histogram of the Jaccard index of the photographs",
                        fmt::format("{} with a mean of {}; {} below {}.", photographs(values.size()), fixed(mean, 3),
                                    count(below), kJaccardThreshold));
  figure.svg += draw_axes(frame);
  for (int bin = 0; bin < kBins; ++bin) {
    const std::size_t number = bins[static_cast<std::size_t>(bin)];
    const double low = static_cast<double>(bin) / kBins;
    const double left = frame.x_of(low);
    const double width = frame.x_of(low + 1.0 / kBins) - left;
    const double y = frame.y_of(static_cast<double>(number));
    const double floor = frame.height - frame.bottom;
    figure.svg +=
        fmt::format("<g class=\"probe\"><rect class=\"hit\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                    coordinate(left), coordinate(frame.top), coordinate(width), coordinate(floor - frame.top));
    if (number > 0) {
      figure.svg +=
          fmt::format("<rect class=\"bar {}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>", class_of(low + 1e-9),
                      coordinate(left + 1), coordinate(y), coordinate(width - 2), coordinate(floor - y));
    }
    figure.svg += fmt::format(
        "<g><text class=\"readout\" x=\"{}\" y=\"12\" text-anchor=\"end\">{:.2f} to {:.2f}: {}</text></g></g>",
        coordinate(frame.width - frame.right), low, low + 1.0 / kBins, photographs(number));
  }
  const double x = frame.x_of(std::clamp(mean, 0.0, 1.0));
  figure.svg += fmt::format("<line class=\"mean-line\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", coordinate(x),
                            coordinate(frame.top - 8), coordinate(x), coordinate(frame.height - frame.bottom));
  figure.svg += draw_text(std::clamp(x, frame.left + 36, frame.width - frame.right - 36), frame.top - 13, "middle",
                          "mark-text", "mean " + fixed(mean, 3));
  figure.svg += "</svg>";
  figure.legend = threshold_legend();
  figure.caption = fmt::format("Below {}: {} of {}.", kJaccardThreshold, count(below), photographs(values.size()));
  if (values.size() < images.size()) figure.caption += " " + left_out(images.size() - values.size(), "without a score");
  return figure;
}

Figure area_scatter(const std::vector<ReportImage>& images) {
  Figure figure{.heading = "Jaccard index against lesion size"};
  const std::vector<Dot> dots = dots_of(images);
  if (dots.empty()) {
    figure.caption = "No photograph with a lesion has been scored.";
    return figure;
  }
  Frame frame;
  frame.x = rounded_log_axis({std::min(dots.front().share, 0.1), std::max(1.0, dots.back().share)},
                             "lesion, share of the photograph (log scale)");
  for (std::size_t i = 0; i < frame.x.ticks.size(); ++i) {
    frame.x.labels[i] = tick_labels({frame.x.ticks[i] * 100})[0] + "\u202f%";
  }
  frame.y = rounded_axis({0, 1}, "1 where the outlines agree");

  const auto quarters = quarters_of(dots);
  std::string description = fmt::format("{}, lesions from {} to {} of the photograph.", photographs(dots.size()),
                                        percent(dots.front().share), percent(dots.back().share));
  if (!quarters.empty()) {
    figure.caption = "Bars: mean of each quarter of the photographs by lesion size, from the smallest";
    for (std::size_t q = 0; q < quarters.size(); ++q) {
      figure.caption += fmt::format("{}{}", q == 0 ? ": " : ", ", fixed(quarters[q].mean, 2));
    }
    figure.caption += ".";
  }
  figure.svg = open_svg(frame, "scatter", "Jaccard index of each photograph against the size of its lesion",
                        description + " " + figure.caption);
  figure.svg += draw_axes(frame);
  const std::string threshold = coordinate(frame.y_of(kJaccardThreshold));
  figure.svg += fmt::format("<line class=\"threshold-line\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
                            coordinate(frame.left), threshold, coordinate(frame.width - frame.right), threshold);
  for (const Dot& dot : dots) {
    figure.svg +=
        fmt::format("<circle class=\"point {}\" cx=\"{}\" cy=\"{}\" r=\"3\"><title>{}: {}, lesion {}</title></circle>",
                    class_of(dot.jaccard), coordinate(frame.x_of(dot.share)), coordinate(frame.y_of(dot.jaccard)),
                    escape(dot.image->id), fixed(dot.jaccard, 3), percent(dot.share));
  }
  for (const auto& quarter : quarters) figure.svg += draw_quarter(frame, quarter);
  figure.svg += "</svg>";
  figure.legend = threshold_legend();
  if (dots.size() < images.size()) {
    if (!figure.caption.empty()) figure.caption += " ";
    figure.caption += left_out(images.size() - dots.size(), "without a lesion or a score");
  }
  return figure;
}

Axis metric_axis(const std::vector<Metric>& metrics) {
  double low = 0.9;
  for (const auto& metric : metrics) {
    if (!std::isfinite(metric.mean) || metric.mean < 0 || metric.mean > 1) continue;
    low = std::min({low, metric.mean, metric.low.value_or(1), metric.high.value_or(1)});
  }
  low = std::max(0.0, std::floor(low * 10 + 1e-9) / 10);
  Axis axis{.range = {low, 1}, .ticks = linear_ticks({low, 1}, 5)};
  axis.labels = tick_labels(axis.ticks);
  return axis;
}

std::string interval_drawing(const Metric& metric, const Axis& axis, double width, double height) {
  const double pad = 5;
  const auto x_of = [&](double value) { return pad + std::clamp(axis.share(value), 0.0, 1.0) * (width - 2 * pad); };
  if (!std::isfinite(metric.mean) || axis.share(metric.mean) < 0 || axis.share(metric.mean) > 1) return {};
  const double y = height / 2;
  std::string svg =
      fmt::format("<svg class=\"interval\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" aria-hidden=\"true\">",
                  coordinate(width), coordinate(height));
  svg += fmt::format("<line class=\"track\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", pad, coordinate(y),
                     coordinate(width - pad), coordinate(y));
  for (const double tick : axis.ticks) {
    svg += fmt::format("<line class=\"track\" x1=\"{0}\" y1=\"{1}\" x2=\"{0}\" y2=\"{2}\"/>", coordinate(x_of(tick)),
                       coordinate(y - 3), coordinate(y + 3));
  }
  if (metric.low && metric.high && std::isfinite(*metric.low) && std::isfinite(*metric.high)) {
    svg += fmt::format("<line class=\"whisker\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
                       coordinate(x_of(*metric.low)), coordinate(y), coordinate(x_of(*metric.high)), coordinate(y));
  }
  svg += fmt::format("<circle class=\"dot validation ringed\" cx=\"{}\" cy=\"{}\" r=\"4\"/></svg>",
                     coordinate(x_of(metric.mean)), coordinate(y));
  return svg;
}

std::string gauge_drawing(const Metric& metric, double width, double height) {
  if (!(metric.mean >= 0 && metric.mean <= 1)) return {};
  const bool has_interval = metric.low && metric.high && std::isfinite(*metric.low) && std::isfinite(*metric.high);
  const double low = has_interval ? std::clamp(*metric.low, 0.0, 1.0) : metric.mean;
  const double high = has_interval ? std::clamp(*metric.high, low, 1.0) : metric.mean;
  const auto bar = [&](const char* css, double from, double to, double thickness) {
    return fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>", css,
                       coordinate(from * width), coordinate((height - thickness) / 2), coordinate((to - from) * width),
                       coordinate(thickness));
  };
  return fmt::format(
      "<svg class=\"gauge\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" aria-hidden=\"true\">{2}{3}{4}{5}"
      "</svg>",
      coordinate(width), coordinate(height), bar("gauge-track", 0, 1, 6), bar("gauge-fill", 0, low, 6),
      bar("gauge-interval", low, high, 6), bar("gauge-mean", metric.mean, metric.mean + 2 / width, height));
}

std::string interval_scale(const Axis& axis, double width) {
  const double pad = 5;
  std::string svg =
      fmt::format("<svg class=\"interval\" viewBox=\"0 0 {0} 16\" width=\"{0}\" height=\"16\" aria-hidden=\"true\">",
                  coordinate(width));
  for (std::size_t i = 0; i < axis.ticks.size(); ++i) {
    const double share = axis.share(axis.ticks[i]);
    const char* anchor = share < 0.01 ? "start" : share > 0.99 ? "end" : "middle";
    const double nudge = share < 0.01 ? -pad : share > 0.99 ? pad : 0;
    svg += draw_text(pad + share * (width - 2 * pad) + nudge, 12, anchor, "tick", axis.labels[i]);
  }
  return svg + "</svg>";
}

}  // namespace dermatome::report
