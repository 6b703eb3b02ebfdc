// RunLog: what a run writes while it trains: log.csv with a row an epoch, steps.csv with a row a step, and
// TensorBoard's event files, which hold both.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/training/append_file.h"
#include "tools/training/checkpoint.h"
#include "tools/training/event_file.h"
#include "tools/training/log.h"

namespace dermatome::training {

class RunLog {
 public:
  // Empty logs but for their headers.
  explicit RunLog(const std::filesystem::path& run);
  // Goes on from a checkpoint at that position: rows behind it are cut off. Throws Error where a log is of another
  // version.
  RunLog(const std::filesystem::path& run, const Position& position);

  // Rows that the checkpoint's position lets expect and that are not there, one sentence a file.
  const std::vector<std::string>& gaps() const { return gaps_; }

  void step(const StepRow& row, double jaccard);
  void epoch(const EpochResult& row);
  void sync();

 private:
  std::vector<std::string> gaps_;
  AppendFile epochs_, steps_;
  EventFile events_;
};

}  // namespace dermatome::training
