// The gallery, and the photograph beside the key figures.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/codec.h"
#include "tools/report/charts.h"
#include "tools/report/markup.h"
#include "tools/report/outlined.h"
#include "tools/report/sections.h"
#include "tools/report/selection.h"

namespace dermatome::report {
namespace {

constexpr int kJpegQuality = 85;

constexpr const char* kLegend =
    "<ul class=\"outline-legend\"><li><span class=\"chip truth\"></span>true</li>"
    "<li><span class=\"chip prediction\"></span>predicted</li>"
    "<li><span class=\"chip shared\"></span>both</li></ul>\n";

bool is_empty(const data::Image& image) {
  return image.pixels.empty();
}

std::string alternative_text(const ReportImage& image) {
  std::string lines = "without outlines";
  if (!is_empty(image.truth)) lines = "with the true outline in green";
  if (!is_empty(image.prediction)) lines = "with the predicted outline in magenta";
  if (!is_empty(image.truth) && !is_empty(image.prediction)) {
    lines = "with the true outline in green and the predicted one in magenta";
  }
  return fmt::format("Photograph {} {}; Jaccard index {}", escape(image.id), lines, fixed(image.jaccard, 3));
}

std::string img_html(const ReportImage& image) {
  const data::Image picture = outlined(image);
  return fmt::format("<img src=\"{}\" width=\"{}\" height=\"{}\" alt=\"{}\">",
                     data_uri("image/jpeg", data::encode_jpeg(picture, kJpegQuality)), picture.width, picture.height,
                     alternative_text(image));
}

// A checkbox in a label: the style sheet shows the picture large while it is checked.
std::string photograph_html(const ReportImage& image) {
  if (is_empty(image.photograph)) return "<div class=\"no-photograph\">no photograph</div>";
  return fmt::format("<label><input type=\"checkbox\" aria-label=\"Enlarge photograph {}\">{}</label>",
                     escape(image.id), img_html(image));
}

std::string picture_html(const ReportImage& image) {
  const char* css = image.jaccard < kJaccardThreshold ? "score missed" : "score";
  std::string detail = "Dice " + fixed(image.dice, 3);
  if (std::isfinite(image.lesion_area_share)) detail += " · lesion " + percent(image.lesion_area_share);
  return fmt::format(
      "<figure class=\"picture\">{}<figcaption><div class=\"{}\">{}</div><span class=\"id\">{}</span>"
      "<span class=\"detail\">{}</span></figcaption></figure>",
      photograph_html(image), css, fixed(image.jaccard, 3), escape(image.id), detail);
}

std::string group_html(const ReportData& data, const std::vector<std::size_t>& chosen, const std::string& heading,
                       const std::string& order) {
  if (chosen.empty()) return {};
  std::string html =
      fmt::format("<div class=\"picture-group\"><h3>{} <span>{}</span></h3><div class=\"pictures\">", heading, order);
  for (const std::size_t i : chosen) html += picture_html(data.images[i]);
  return html + "</div></div>\n";
}

// Width over height that most photographs share, within what a grid can bear.
double common_aspect(const std::vector<ReportImage>& images) {
  std::vector<double> aspects;
  for (const auto& image : images) {
    if (!is_empty(image.photograph)) {
      aspects.push_back(static_cast<double>(image.photograph.width) / image.photograph.height);
    }
  }
  if (aspects.empty()) return 1;
  const auto middle = aspects.begin() + static_cast<std::ptrdiff_t>(aspects.size() / 2);
  std::nth_element(aspects.begin(), middle, aspects.end());
  return std::clamp(*middle, 0.5, 2.0);
}

// The photograph, of those that are at hand, whose Jaccard is closest to the median of all; null where none is.
const ReportImage* median_image(const std::vector<ReportImage>& images) {
  std::vector<double> values;
  for (const auto& image : images) {
    if (std::isfinite(image.jaccard)) values.push_back(image.jaccard);
  }
  if (values.empty()) return nullptr;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  const ReportImage* closest = nullptr;
  for (const auto& image : images) {
    if (is_empty(image.photograph) || !std::isfinite(image.jaccard)) continue;
    if (!closest || std::abs(image.jaccard - *middle) < std::abs(closest->jaccard - *middle)) closest = &image;
  }
  return closest;
}

}  // namespace

std::string median_picture(const ReportData& data) {
  const ReportImage* image = median_image(data.images);
  if (!image) return {};
  return fmt::format(
      "<figure class=\"median\">{}<figcaption>{}Near the median: <span class=\"id\">{}</span>, {}"
      "</figcaption></figure>\n",
      img_html(*image), kLegend, escape(image->id), fixed(image->jaccard, 3));
}

std::string pictures_section(const ReportData& data) {
  const PictureChoice choice = choose_pictures(data.images);
  if (data.images.empty()) return {};
  std::string html = "<section id=\"photographs\"><h2>Photographs</h2>\n";
  if (choice.best.empty()) return html + "<p class=\"empty\">No photograph has been scored.</p></section>\n";
  html +=
      "<p class=\"intro\">The number is the Jaccard index of the two outlines."
      "<span class=\"on-screen\"> Select a photograph to enlarge it.</span></p>";
  html += kLegend;
  html += fmt::format("<div style=\"--aspect: {:.3f}\">\n", common_aspect(data.images));
  html += group_html(data, choice.best, "Best", "highest Jaccard first");
  html += group_html(data, choice.worst, "Worst", "lowest Jaccard first");
  html += group_html(data, choice.others, "In between", "evenly spaced by rank");
  return html + "</div></section>\n";
}

}  // namespace dermatome::report
