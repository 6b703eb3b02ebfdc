// RunLog: what a run writes while it trains: log.csv with a row an epoch and steps.csv with a row a step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tools/training/checkpoint.h"
#include "tools/training/log.h"

namespace dermatome::training {

// A file that grows by whole records: one that does not fit on the disk leaves nothing of itself behind.
class AppendFile {
 public:
  // Goes on behind what the file holds; `anew` empties it first. Throws Error naming the file and the cause, as all do.
  AppendFile(const std::filesystem::path& path, bool anew);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void append(std::string_view record);
  void sync();  // brings everything to the disk

 private:
  std::filesystem::path path_;
  int handle_ = -1;
  std::int64_t size_ = 0;
};

class RunLog {
 public:
  // Empty logs but for their headers.
  explicit RunLog(const std::filesystem::path& run);
  // Goes on from a checkpoint at that position: rows behind it are cut off. Throws Error where a log is of another
  // version.
  RunLog(const std::filesystem::path& run, const Position& position);

  // Rows that the checkpoint's position lets expect and that are not there, one sentence a file.
  const std::vector<std::string>& gaps() const { return gaps_; }

  void step(const StepRow& row);
  void epoch(const EpochResult& row);
  void sync();

 private:
  std::vector<std::string> gaps_;
  AppendFile epochs_, steps_;
};

}  // namespace dermatome::training
