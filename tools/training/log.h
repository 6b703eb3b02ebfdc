// Reading back what the trainer logged.
#pragma once

#include <filesystem>
#include <vector>

#include "tools/training/trainer.h"

namespace dermatome::training {

// Rows of log.csv. Throws Error naming file and line for a row that is not complete.
std::vector<EpochResult> read_epoch_log(const std::filesystem::path& path);

struct StepRow {
  double step = 0;  // from 0, over all stages
  int epoch = 0;    // from 1, over all stages
  double learning_rate = 0, loss = 0;
};

// Rows of steps.csv. Throws as read_epoch_log does.
std::vector<StepRow> read_step_log(const std::filesystem::path& path);

}  // namespace dermatome::training
