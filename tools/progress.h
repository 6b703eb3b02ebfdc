// What a person sees while a command works: a live view in a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "engine/core/warning.h"
#include "tools/training/live_view.h"
#include "tools/training/trainer.h"

namespace dermatome {

using training::duration_text;

class Progress {
 public:
  // As long as it lives, warnings are messages.
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void message(const std::string& text);  // a line of its own
  // "reading 12/850, 34 s left"; a line every ten seconds where there is no terminal.
  void count(const char* what, std::size_t done, std::size_t total);
  // A line every minute where there is no terminal.
  void step(const training::StepResult& result);
  void epoch(const training::EpochResult& result);
  void best(const training::BestEpoch& epoch);  // of the part of the run that is not told here

  void clear();  // takes the live view away, so that something else can be printed

 private:
  using Clock = std::chrono::steady_clock;

  bool is_due(bool last) const;  // whether a live view drawn now is not too soon after the one before
  void draw(std::vector<std::string> lines);

  bool terminal_;              // that moves its cursor
  training::ViewStyle style_;  // as wide as the terminal was at the last look
  std::vector<int> shown_;     // columns of the live view's lines
  std::string header_;         // of the table, as it was printed last
  training::BestEpoch best_;
  Clock::time_point drawn_;
  Clock::time_point step_told_ = Clock::now();
  std::string counting_;  // what count() was last asked to count
  std::size_t counted_first_ = 0;
  std::size_t counted_last_ = 0;
  Clock::time_point counting_since_;
  Clock::time_point counted_at_;
  WarningSink sink_before_;
};

}  // namespace dermatome
