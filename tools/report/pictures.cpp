// The gallery: photographs with the true and the predicted outline drawn on them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/codec.h"
#include "data/image/outline.h"
#include "data/image/resize.h"
#include "tools/report/charts.h"
#include "tools/report/markup.h"
#include "tools/report/sections.h"
#include "tools/report/selection.h"

namespace dermatome::report {
namespace {

constexpr data::Rgb kTruthColour = {40, 230, 120};
constexpr data::Rgb kPredictionColour = {255, 50, 190};
constexpr data::Rgb kSharedColour = {255, 255, 255};
constexpr double kRimBrightness = 0.3;  // of the photograph beside a line: keeps lines apart from bright skin
constexpr int kLongestSide = 640;
constexpr int kJpegQuality = 85;

constexpr const char* kLegend =
    "<ul class=\"outline-legend\"><li><span class=\"chip truth\"></span>true outline</li>"
    "<li><span class=\"chip prediction\"></span>predicted</li>"
    "<li><span class=\"chip shared\"></span>both</li></ul>\n";

bool is_empty(const data::Image& image) {
  return image.pixels.empty();
}

void check_mask_of(const ReportImage& image, const data::Image& mask, const char* which) {
  if (is_empty(mask)) return;
  DERMATOME_CHECK(
      mask.channels == 1 && mask.width == image.photograph.width && mask.height == image.photograph.height,
      "the {} mask of photograph '{}' has {}x{} pixels in {} channels; it must have the {}x{} pixels of the "
      "photograph in 1",
      which, image.id, mask.width, mask.height, mask.channels, image.photograph.width, image.photograph.height);
}

// Twice the size, so that outlines are crisp; large photographs are brought down to kLongestSide.
struct Size {
  int width;
  int height;
};

Size drawn_size(const data::Image& photograph) {
  const double longest = std::max(photograph.width, photograph.height);
  const double scale = std::min(2.0, kLongestSide / longest);
  const auto scaled = [scale](int side) { return std::max(1, static_cast<int>(std::lround(side * scale))); };
  return {scaled(photograph.width), scaled(photograph.height)};
}

// Marks the pixels of the mask's outline, none where there is no mask.
data::Image outline_of(const data::Image& mask, int width, int height, int thickness) {
  data::Image canvas = data::make_image(width, height, 3);
  if (is_empty(mask)) return canvas;
  data::draw_outline(canvas, data::resize_mask(mask, width, height), {255, 255, 255}, thickness);
  return canvas;
}

// Green and magenta add up to white, and white is a line that both masks share.
data::Image outlined(const ReportImage& image) {
  const auto [width, height] = drawn_size(image.photograph);
  data::Image picture = data::resize(data::to_rgb(image.photograph), width, height);
  const int pen = std::max(2, static_cast<int>(std::lround(std::max(width, height) / 128.0)));
  const data::Image truth = outline_of(image.truth, width, height, pen);
  const data::Image prediction = outline_of(image.prediction, width, height, pen);
  const data::Image truth_rim = outline_of(image.truth, width, height, pen + 4);
  const data::Image prediction_rim = outline_of(image.prediction, width, height, pen + 4);
  for (std::size_t i = 0; i < picture.pixels.size(); i += 3) {
    const bool is_true = truth.pixels[i] != 0;
    const bool is_predicted = prediction.pixels[i] != 0;
    std::uint8_t* pixel = picture.pixels.data() + i;
    if (is_true || is_predicted) {
      const data::Rgb colour = !is_predicted ? kTruthColour : !is_true ? kPredictionColour : kSharedColour;
      pixel[0] = colour.r;
      pixel[1] = colour.g;
      pixel[2] = colour.b;
    } else if (truth_rim.pixels[i] != 0 || prediction_rim.pixels[i] != 0) {
      for (int c = 0; c < 3; ++c) pixel[c] = static_cast<std::uint8_t>(pixel[c] * kRimBrightness);
    }
  }
  return picture;
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
  check_mask_of(image, image.truth, "true");
  check_mask_of(image, image.prediction, "predicted");
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
