// Data for reports, and a checker that says what is wrong with a page.
#pragma once

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tools/report/report_data.h"

namespace dermatome::report::testing {

// Reads the tags of a page. `problem` is empty where every tag is closed in order, every attribute is quoted and
// stands once, no id comes twice, and no text holds a bare '<'.
class Page {
 public:
  explicit Page(const std::string& html) : html_(html) {
    while (problem.empty() && at_ < html_.size()) {
      if (html_.compare(at_, 9, "<!DOCTYPE") == 0) {
        at_ = html_.find('>') + 1;
      } else if (html_[at_] == '<') {
        read_tag();
      } else {
        ++at_;
      }
    }
    if (problem.empty() && !open_.empty()) problem = "not closed: " + open_.back();
  }

  std::string problem;
  std::map<std::string, int> tags;
  std::vector<std::string> addresses;  // values of src and href

 private:
  static bool is_void(const std::string& name) {
    static const std::set<std::string> kNames = {"meta", "link", "img", "input", "br", "hr"};
    return kNames.contains(name);
  }

  bool is_name_character(char c) const { return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == ':'; }

  std::string read_name() {
    const std::size_t first = at_;
    while (at_ < html_.size() && is_name_character(html_[at_])) ++at_;
    return html_.substr(first, at_ - first);
  }

  void fail_here(const std::string& what) {
    if (problem.empty()) problem = what + " near: " + html_.substr(at_ > 40 ? at_ - 40 : 0, 80);
  }

  void read_tag() {
    ++at_;
    const bool closing = at_ < html_.size() && html_[at_] == '/';
    if (closing) ++at_;
    const std::string name = read_name();
    if (name.empty()) return fail_here("a bare <");
    if (closing) return close(name);
    const bool self_closed = read_attributes();
    if (!problem.empty()) return;
    ++tags[name];
    if (self_closed || is_void(name)) return;
    open_.push_back(name);
    if (name == "style") at_ = html_.find("</style>", at_);
  }

  void close(const std::string& name) {
    if (open_.empty() || open_.back() != name) return fail_here("</" + name + "> without its start");
    open_.pop_back();
    if (at_ >= html_.size() || html_[at_] != '>') return fail_here("a damaged end tag");
    ++at_;
  }

  // Leaves at_ behind the '>'; whether the tag closes itself.
  bool read_attributes() {
    std::set<std::string> seen;
    while (true) {
      while (at_ < html_.size() && std::isspace(static_cast<unsigned char>(html_[at_]))) ++at_;
      if (html_.compare(at_, 2, "/>") == 0) return at_ += 2, true;
      if (at_ < html_.size() && html_[at_] == '>') return ++at_, false;
      const std::string name = read_name();
      if (name.empty() || html_.compare(at_, 2, "=\"") != 0) return fail_here("a damaged attribute"), false;
      at_ += 2;
      const std::size_t end = html_.find('"', at_);
      if (end == std::string::npos) return fail_here("an attribute without end"), false;
      const std::string value = html_.substr(at_, end - at_);
      at_ = end + 1;
      if (!seen.insert(name).second) return fail_here("attribute " + name + " comes twice"), false;
      if (value.find('<') != std::string::npos) return fail_here("a bare < in " + name), false;
      if (name == "id" && !ids_.insert(value).second) return fail_here("id " + value + " comes twice"), false;
      if (name == "src" || name == "href") addresses.push_back(value);
    }
  }

  const std::string& html_;
  std::size_t at_ = 0;
  std::vector<std::string> open_;
  std::set<std::string> ids_;
};

inline std::size_t occurrences(const std::string& text, std::string_view part) {
  std::size_t number = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++number;
  return number;
}

inline data::Image disc_mask(int side, double radius) {
  data::Image mask = data::make_image(side, side, 1);
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      const double distance = std::hypot(x + 0.5 - side / 2.0, y + 0.5 - side / 2.0);
      if (distance <= radius) mask.pixels[mask.offset(x, y)] = 255;
    }
  }
  return mask;
}

inline ReportImage scored_image(std::string id, double jaccard, int side = 24) {
  ReportImage image{.id = std::move(id), .jaccard = jaccard, .dice = 2 * jaccard / (1 + jaccard)};
  image.lesion_area_share = 0.2;
  image.photograph = data::make_image(side, side, 3, 180);
  image.truth = disc_mask(side, side / 3.0);
  image.prediction = disc_mask(side, side / 4.0);
  return image;
}

// A run of two stages and `epochs` epochs with `images` scored photographs.
inline ReportData typical_data(int epochs, int images) {
  ReportData data{.version = "0.1.0", .run = "trial", .date = "1 May 2025"};
  data.settings = {{"model", "unet34"}, {"stages", "size=128 epochs=3\nsize=256 epochs=9"}};
  data.stages = {{.name = "128 px", .first_epoch = 1, .first_step = 0, .size = 128, .batch = 16},
                 {.name = "256 px", .first_epoch = 4, .first_step = 30, .size = 256, .batch = 8}};
  for (int i = 1; i <= epochs; ++i) {
    EpochRow row{.epoch = i, .stage = i < 4 ? 0 : 1, .learning_rate = 1e-3 / i, .train_loss = 1.0 / i};
    row.validation_loss = 1.2 / i;
    row.train_jaccard = 1 - 0.6 / i;
    row.validation_jaccard = 1 - 0.7 / i;
    row.validation_thresholded_jaccard = 1 - 0.9 / i;
    row.seconds = 12.5;
    row.images_per_second = 80;
    data.epochs.push_back(row);
    for (int step = 0; step < 10; ++step) data.learning_rates.push_back({(i - 1) * 10.0 + step, 1e-3 / (1 + step)});
  }
  data.metrics = {
      {"Jaccard index", 0.8125, 0.79, 0.83}, {"Thresholded Jaccard", 0.75, 0.72, 0.78}, {"Dice", 0.88, {}, {}}};
  for (int i = 0; i < images; ++i) data.images.push_back(scored_image("ISIC_" + std::to_string(i), (i + 0.5) / images));
  data.timing = {{"training", 5400}, {"evaluation", 42}};
  data.notes = {"12 masks had grey edges."};
  return data;
}

}  // namespace dermatome::report::testing
