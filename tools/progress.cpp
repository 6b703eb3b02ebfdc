// The live view and the lines of epochs, on standard error.
#include "tools/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "engine/core/threads.h"

namespace dermatome {
namespace {

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_terminal() {
  return isatty(fileno(stderr)) != 0 && !variable("TERM").empty() && variable("TERM") != "dumb";
}

// By the first of the variables that is set, as the C library has it.
bool writes_unicode() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string_view locale = variable(name);
    if (locale.empty()) continue;
    return locale.find("UTF-8") != locale.npos || locale.find("utf8") != locale.npos;
  }
  return false;
}

// One column stays free: some terminals break a line that is full.
int terminal_width() {
  winsize size{};
  if (::ioctl(fileno(stderr), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 79;
  return std::max(10, size.ws_col - 1);
}

constexpr int kUnlimited = 200;  // columns of lines that go to a file

}  // namespace

Progress::Progress()
    : terminal_(is_terminal()),
      style_{.width = terminal_ ? terminal_width() : kUnlimited,
             .colour = terminal_ && variable("NO_COLOR").empty(),
             .unicode = terminal_ && writes_unicode()},
      sink_before_(exchange_warning_sink([this](const std::string& sentence) { message(sentence); })) {}

Progress::~Progress() {
  exchange_warning_sink(std::move(sink_before_));
  clear();
}

// A terminal that became narrower has broken the lines in two, so the rows are counted at the width it has now.
void Progress::clear() {
  if (shown_.empty()) return;
  style_.width = terminal_width();
  int rows = 0;
  for (const int columns : shown_) rows += std::max(1, (columns + style_.width) / (style_.width + 1));
  if (rows > 1) fmt::print(stderr, "\x1b[{}A", rows - 1);
  fmt::print(stderr, "\r\x1b[J");
  shown_.clear();
}

bool Progress::is_due(bool last) const {
  return terminal_ && (last || Clock::now() - drawn_ >= std::chrono::milliseconds(100));
}

void Progress::draw(std::vector<std::string> lines) {
  clear();
  drawn_ = Clock::now();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    fmt::print(stderr, "{}{}", i > 0 ? "\n" : "", lines[i]);
    shown_.push_back(training::columns_of(lines[i]));
  }
  std::fflush(stderr);
}

void Progress::message(const std::string& text) {
  clear();
  fmt::print(stderr, "{}\n", text);
}

void Progress::count(const char* what, std::size_t done, std::size_t total) {
  const auto now = Clock::now();
  if (counting_ != what || done < counted_last_) {
    counting_ = what;
    counted_first_ = done;
    counting_since_ = counted_at_ = now;
  }
  counted_last_ = done;
  double left = -1;
  if (done > counted_first_) {
    const double seconds = std::chrono::duration<double>(now - counting_since_).count();
    left = seconds * static_cast<double>(total - done) / static_cast<double>(done - counted_first_);
  }
  if (is_due(false)) {
    style_.width = terminal_width();
    draw({training::count_line(what, done, total, left, style_)});
  }
  if (terminal_ || now - counted_at_ < std::chrono::seconds(10)) return;
  counted_at_ = now;
  message(fmt::format("{} {}/{}{}", what, done, total, left < 0 ? "" : fmt::format(", {} left", duration_text(left))));
}

void Progress::step(const training::StepResult& result) {
  if (is_due(result.images_done == result.images)) {
    style_.width = terminal_width();
    draw(training::step_lines(result, best_, peak_resident_bytes(), style_));
  }
  if (terminal_ || Clock::now() - step_told_ < std::chrono::minutes(1)) return;
  step_told_ = Clock::now();
  message(fmt::format("epoch {}/{}, {}/{} images: loss {:.4f}, Jaccard {:.3f}, {:.1f} images/s, {} left", result.epoch,
                      result.epochs, result.images_done, result.images, result.loss, result.jaccard,
                      result.images_per_second, duration_text(result.seconds_left)));
}

void Progress::epoch(const training::EpochResult& result) {
  clear();
  if (result.best && result.validated) best_ = {.epoch = result.epoch, .jaccard = result.validation_jaccard};
  if (terminal_) style_.width = terminal_width();
  if (const auto header = training::epoch_header(style_); header != header_) message(header_ = header);
  message(training::epoch_row(result, peak_resident_bytes(), style_));
  step_told_ = Clock::now();
}

void Progress::best(const training::BestEpoch& epoch) {
  best_ = epoch;
}

}  // namespace dermatome
