// The live line and the lines of epochs, on standard error.
#include "tools/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "engine/core/threads.h"

namespace dermatome {
namespace {

std::string bar(double share) {
  constexpr int kWidth = 20;
  const int full = static_cast<int>(share * kWidth + 0.5);
  std::string text;
  for (int i = 0; i < kWidth; ++i) text += i < full ? "█" : "·";
  return text;
}

}  // namespace

std::string duration_text(double seconds) {
  const auto s = static_cast<long>(seconds + 0.5);
  if (s >= 3600) return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
  if (s >= 60) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} s", s);
}

Progress::Progress() : terminal_(isatty(fileno(stderr)) != 0) {}

Progress::~Progress() {
  clear();
}

void Progress::clear() {
  if (live_shown_) fmt::print(stderr, "\r\x1b[K");
  live_shown_ = false;
}

void Progress::live(const std::string& text) {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  fmt::print(stderr, "\r\x1b[K{}", text);
  std::fflush(stderr);
  live_shown_ = true;
}

void Progress::message(const std::string& text) {
  clear();
  fmt::print(stderr, "{}\n", text);
}

void Progress::count(const char* what, std::size_t done, std::size_t total) {
  const auto now = std::chrono::steady_clock::now();
  if (counting_ != what || done < counted_last_) {
    counting_ = what;
    counted_first_ = done;
    counting_since_ = counted_at_ = now;
  }
  counted_last_ = done;
  std::string left;
  if (done > counted_first_) {
    const double seconds = std::chrono::duration<double>(now - counting_since_).count();
    left = fmt::format(", {} left", duration_text(seconds * static_cast<double>(total - done) /
                                                  static_cast<double>(done - counted_first_)));
  }
  live(fmt::format("{} {} {}/{}{}", what, bar(static_cast<double>(done) / static_cast<double>(total)), done, total,
                   left));
  if (terminal_ || now - counted_at_ < std::chrono::seconds(10)) return;
  counted_at_ = now;
  message(fmt::format("{} {}/{}{}", what, done, total, left));
}

void Progress::step(const training::StepResult& r) {
  live(fmt::format("epoch {}/{} {} {}/{}  loss {:.4f}  Jaccard {:.3f}  {:.1f} images/s  {} left", r.epoch, r.epochs,
                   bar(static_cast<double>(r.images_done) / static_cast<double>(r.images)), r.images_done, r.images,
                   r.loss, r.jaccard, r.images_per_second, duration_text(r.seconds_left)));
}

void Progress::epoch(const training::EpochResult& r) {
  clear();
  if (!header_shown_) {
    fmt::print(stderr, "{:>7} {:>6} {:>9} | {:>8} {:>8} | {:>8} {:>8} | {:>8} {:>8}\n", "epoch", "px", "rate", "loss",
               "Jaccard", "val loss", "Jaccard", "images/s", "memory");
    header_shown_ = true;
  }
  fmt::print(stderr, "{:>3}/{:<3} {:>6} {:>9.2e} | {:>8.4f} {:>8.4f} | {:>8.4f} {:>8.4f} | {:>8.1f} {:>4} MiB{}\n",
             r.epoch, r.epochs, r.size, r.learning_rate, r.train_loss, r.train_jaccard, r.validation_loss,
             r.validation_jaccard, r.images_per_second, peak_resident_bytes() >> 20, r.best ? "  best" : "");
}

}  // namespace dermatome
