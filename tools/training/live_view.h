// The text of a running training, for a terminal of any width: values in, lines out.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tools/training/trainer.h"

namespace dermatome::training {

struct ViewStyle {
  int width = 80;        // columns; no line is longer
  bool colour = false;   // by escape sequences, which take no column
  bool unicode = false;  // the bar's characters
};

struct BestEpoch {
  int epoch = 0;  // 0: none yet
  double jaccard = 0;
};

std::string threads_text(int threads);      // "1 thread", "2 threads"
std::string duration_text(double seconds);  // "1 h 02 min", "3 min 20 s", "12 s"

// Epoch, bar and count; then loss and Jaccard so far, the best epoch, speed, memory and time left, in as many lines as
// they need.
std::vector<std::string> step_lines(const StepResult& result, const BestEpoch& best, std::size_t memory,
                                    const ViewStyle& style);

// "reading [bar] 12/850, 34 s left"; a negative time is not known yet.
std::string count_line(const std::string& what, std::size_t done, std::size_t total, double seconds_left,
                       const ViewStyle& style);

// Table of finished epochs. Where the width is short of all columns, those that tell least are left out.
std::string epoch_header(const ViewStyle& style);
std::string epoch_row(const EpochResult& result, std::size_t memory, const ViewStyle& style);

// Columns that the text takes: escape sequences none, other characters one each.
int columns_of(const std::string& text);

}  // namespace dermatome::training
