// What a person sees while a command works: a live line in a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <string>

#include "tools/training/trainer.h"

namespace dermatome {

class Progress {
 public:
  Progress();
  ~Progress();

  void message(const std::string& text);  // a line of its own
  // "reading 12/850, 34 s left"; a line every ten seconds where there is no terminal.
  void count(const char* what, std::size_t done, std::size_t total);
  void step(const training::StepResult& result);
  void epoch(const training::EpochResult& result);

  void clear();  // takes the live line away, so that something else can be printed

 private:
  void live(const std::string& text);

  bool terminal_;
  bool live_shown_ = false;
  bool header_shown_ = false;
  std::chrono::steady_clock::time_point last_;
  std::string counting_;  // what count() was last asked to count
  std::size_t counted_first_ = 0;
  std::size_t counted_last_ = 0;
  std::chrono::steady_clock::time_point counting_since_;
  std::chrono::steady_clock::time_point counted_at_;
};

std::string duration_text(double seconds);  // "1 h 02 min", "3 min 20 s", "12 s"

}  // namespace dermatome
