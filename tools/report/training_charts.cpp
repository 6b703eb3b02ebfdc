// Charts of the training: loss, Jaccard, learning rate and speed.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "tools/report/charts.h"

namespace dermatome::report {
namespace {

constexpr std::size_t kMostProbes = 300;
constexpr double kLogarithmicRatio = 50;  // a loss that spans more is drawn on a logarithmic axis

using Column = std::function<double(const EpochRow&)>;

struct Curve {
  std::string css;
  std::string name;
  Column column;
  bool filled = false;
};

std::optional<Range> extent(const std::vector<double>& values) {
  std::optional<Range> range;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    if (!range) range = Range{value, value};
    range->low = std::min(range->low, value);
    range->high = std::max(range->high, value);
  }
  return range;
}

std::vector<double> values_of(const std::vector<EpochRow>& epochs, const std::vector<Curve>& curves) {
  std::vector<double> values;
  for (const auto& curve : curves) {
    for (const auto& row : epochs) values.push_back(curve.column(row));
  }
  return values;
}

Frame frame_of(bool wide) {
  Frame frame;
  if (wide) frame.width = 1160;
  return frame;
}

Axis epoch_axis(const std::vector<EpochRow>& epochs, bool wide) {
  std::vector<double> numbers;
  for (const auto& row : epochs) numbers.push_back(row.epoch);
  const Range range = extent(numbers).value_or(Range{1, 1});
  Axis axis;
  axis.range = {range.low - 0.5, range.high + 0.5};
  axis.ticks = whole_ticks(axis.range, wide ? 20 : 10);
  // The first epoch is 1, not 0: it gets a label even where steps of 5 begin at 5.
  if (!axis.ticks.empty() && axis.ticks.front() > range.low + 2) axis.ticks.insert(axis.ticks.begin(), range.low);
  axis.labels = tick_labels(axis.ticks);
  axis.title = "epoch";
  return axis;
}

std::vector<Stretch> epoch_stretches(const std::vector<Stage>& stages) {
  std::vector<Stretch> stretches;
  for (const auto& stage : stages) stretches.push_back({stage.first_epoch - 0.5, stage.name});
  return stretches;
}

// Up to the first stage whose step is not known: in a run that goes on, the later ones have not begun.
std::vector<Stretch> step_stretches(const std::vector<Stage>& stages) {
  std::vector<Stretch> stretches;
  for (const auto& stage : stages) {
    if (!stage.first_step || !std::isfinite(*stage.first_step)) break;
    stretches.push_back({*stage.first_step, stage.name});
  }
  return stretches;
}

std::vector<Probe> epoch_probes(const std::vector<EpochRow>& epochs, const std::vector<Curve>& curves,
                                const std::function<std::string(double)>& print) {
  std::vector<Probe> probes;
  const std::size_t stride = epochs.size() / kMostProbes + 1;
  for (std::size_t i = 0; i < epochs.size(); i += stride) {
    Probe probe{.x = static_cast<double>(epochs[i].epoch), .text = fmt::format("epoch {}", epochs[i].epoch)};
    for (const auto& curve : curves) {
      const double value = curve.column(epochs[i]);
      probe.values.push_back({curve.css, fmt::format("{} {}", curve.name, print(value)), value});
    }
    probes.push_back(std::move(probe));
  }
  return probes;
}

// Curves that have at least one value.
std::vector<Curve> known(const std::vector<EpochRow>& epochs, std::vector<Curve> curves) {
  std::erase_if(curves, [&](const Curve& curve) { return !extent(values_of(epochs, {curve})); });
  return curves;
}

std::vector<LegendEntry> legend_of(const std::vector<Curve>& curves) {
  std::vector<LegendEntry> legend;
  for (const auto& curve : curves) legend.push_back({curve.css, curve.name});
  return legend;
}

// What a screen reader says of a curve: where it begins and ends.
std::string described(const std::vector<EpochRow>& epochs, const std::vector<Curve>& curves,
                      const std::function<std::string(double)>& print) {
  std::string text;
  for (const auto& curve : curves) {
    text += fmt::format("{}{}: {} in epoch {}, {} in epoch {}.", text.empty() ? "" : " ", curve.name,
                        print(curve.column(epochs.front())), epochs.front().epoch, print(curve.column(epochs.back())),
                        epochs.back().epoch);
  }
  return text;
}

struct EpochChart {
  std::string id;
  std::string title;
  std::vector<Curve> curves;
  std::function<std::string(double)> print;
  std::vector<Mark> marks;
};

std::string draw(const ReportData& data, const Frame& frame, const EpochChart& chart) {
  std::string svg = open_svg(frame, chart.id, chart.title, described(data.epochs, chart.curves, chart.print));
  svg += draw_stretches(frame, epoch_stretches(data.stages));
  svg += draw_axes(frame);
  for (const auto& curve : chart.curves) {
    Line line{.css = curve.css, .filled = curve.filled};
    for (const auto& row : data.epochs) line.points.push_back({static_cast<double>(row.epoch), curve.column(row)});
    svg += draw_line(frame, line);
  }
  for (const auto& mark : chart.marks) svg += draw_mark(frame, mark);
  svg += draw_probes(frame, epoch_probes(data.epochs, chart.curves, chart.print));
  return svg + "</svg>";
}

std::string three_decimals(double value) {
  return fixed(value, 3);
}

// Linear from 0, or logarithmic where the first epochs dwarf the last.
Axis loss_axis(const std::vector<double>& values, const std::string& title) {
  const Range range = *extent(values);
  if (range.low > 0 && range.high > kLogarithmicRatio * range.low)
    return rounded_log_axis(range, title + " (log scale)");
  return rounded_axis({std::min(0.0, range.low), std::max(0.0, range.high)}, title);
}

Figure learning_rates_by_epoch(const ReportData& data, bool wide) {
  Figure figure{.heading = "Learning rate"};
  const std::vector<Curve> curves =
      known(data.epochs, {{"rate", "rate", [](const EpochRow& r) { return r.learning_rate; }, true}});
  if (curves.empty()) {
    figure.caption = "No step has been taken.";
    return figure;
  }
  Frame frame = frame_of(wide);
  frame.x = epoch_axis(data.epochs, wide);
  frame.y = rounded_axis({0, extent(values_of(data.epochs, curves))->high}, "");
  figure.svg = draw(data, frame, {"rate", "Learning rate by epoch", curves, significant, {}});
  return figure;
}

}  // namespace

const EpochRow* best_epoch(const ReportData& data) {
  const EpochRow* best = nullptr;
  for (const auto& row : data.epochs) {
    if (!std::isfinite(row.*data.best_by)) continue;
    if (!best || row.*data.best_by > best->*data.best_by) best = &row;
  }
  return best;
}

std::string best_by_name(const ReportData& data) {
  if (data.best_by == &EpochRow::validation_dice) return "Dice";
  return data.best_by == &EpochRow::validation_jaccard ? "Jaccard" : "thresholded Jaccard";
}

Figure loss_figure(const ReportData& data, bool wide) {
  Figure figure{.heading = "Loss"};
  const std::vector<Curve> curves =
      known(data.epochs, {{"train", "training", [](const EpochRow& r) { return r.train_loss; }},
                          {"validation", "validation", [](const EpochRow& r) { return r.validation_loss; }}});
  if (curves.empty()) {
    figure.caption = "No epoch with a loss has been finished.";
    return figure;
  }
  Frame frame = frame_of(wide);
  frame.x = epoch_axis(data.epochs, wide);
  frame.y = loss_axis(values_of(data.epochs, curves), data.loss_name);
  figure.legend = legend_of(curves);
  figure.svg = draw(data, frame, {"loss", "Loss by epoch", curves, three_decimals, {}});
  return figure;
}

Figure jaccard_figure(const ReportData& data, bool wide) {
  Figure figure{.heading = "Jaccard index"};
  const std::vector<Curve> curves = known(
      data.epochs, {{"train", "training", [](const EpochRow& r) { return r.train_jaccard; }},
                    {"thresholded", "thresholded", [](const EpochRow& r) { return r.validation_thresholded_jaccard; }},
                    {"validation", "validation", [](const EpochRow& r) { return r.validation_jaccard; }}});
  if (curves.empty()) {
    figure.caption = "No epoch with a Jaccard index has been finished.";
    return figure;
  }
  Frame frame = frame_of(wide);
  frame.x = epoch_axis(data.epochs, wide);
  const Range range = *extent(values_of(data.epochs, curves));
  frame.y = rounded_axis({std::min(range.low, 0.8), std::max(range.high, 1.0)}, "1 where the outlines agree");
  EpochChart chart{"jaccard", "Jaccard index by epoch", curves, three_decimals, {}};
  if (const EpochRow* best = best_epoch(data)) {
    chart.marks.push_back(
        {{static_cast<double>(best->epoch), best->validation_jaccard},
         "validation",
         fmt::format("{} {}, epoch {}", data.best_by == &EpochRow::validation_jaccard ? "highest" : "best epoch",
                     fixed(best->validation_jaccard, 3), best->epoch)});
  }
  figure.legend = legend_of(curves);
  figure.svg = draw(data, frame, chart);
  return figure;
}

Figure learning_rate_figure(const ReportData& data, bool wide) {
  Line line{.css = "rate", .filled = true};
  std::vector<double> steps;
  std::vector<double> rates;
  for (const auto& point : data.learning_rates) {
    if (!std::isfinite(point.step)) continue;
    line.points.push_back({point.step, point.learning_rate});
    steps.push_back(point.step);
    rates.push_back(point.learning_rate);
  }
  const auto rate_range = extent(rates);
  if (!rate_range) return learning_rates_by_epoch(data, wide);

  Range step_range = *extent(steps);
  if (step_range.low == step_range.high) step_range = {step_range.low - 0.5, step_range.high + 0.5};
  Frame frame = frame_of(wide);
  frame.x = {.range = step_range, .ticks = whole_ticks(step_range, wide ? 12 : 6), .title = "step"};
  frame.x.labels = tick_labels(frame.x.ticks);
  frame.y = rounded_axis({std::min(0.0, rate_range->low), std::max(0.0, rate_range->high)}, "");

  std::vector<Probe> probes;
  const std::size_t stride = line.points.size() / kMostProbes + 1;
  for (std::size_t i = 0; i < line.points.size(); i += stride) {
    const Point point = line.points[i];
    probes.push_back({point.x, fmt::format("step {}", fixed(point.x, 0)), {{"rate", significant(point.y), point.y}}});
  }
  Figure figure{.heading = "Learning rate"};
  figure.svg = open_svg(frame, "rate", "Learning rate by step",
                        fmt::format("Between {} and {} over {} steps.", significant(rate_range->low),
                                    significant(rate_range->high), count(line.points.size()))) +
               draw_stretches(frame, step_stretches(data.stages)) + draw_axes(frame) + draw_line(frame, line) +
               draw_probes(frame, probes) + "</svg>";
  return figure;
}

Figure speed_figure(const ReportData& data, bool wide) {
  Figure figure{.heading = "Speed"};
  const std::vector<Curve> curves =
      known(data.epochs, {{"speed", "images per second", [](const EpochRow& r) { return r.images_per_second; }, true}});
  if (curves.empty()) {
    figure.caption = "No speed was measured.";
    return figure;
  }
  Frame frame = frame_of(wide);
  frame.x = epoch_axis(data.epochs, wide);
  frame.y = rounded_axis({0, extent(values_of(data.epochs, curves))->high}, "images per second");
  figure.svg = draw(data, frame, {"speed", "Images per second by epoch", curves, significant, {}});
  return figure;
}

}  // namespace dermatome::report
