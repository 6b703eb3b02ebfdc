// Reading back what the trainer logged.
#pragma once

#include <filesystem>
#include <vector>

#include "tools/training/trainer.h"

namespace dermatome::training {

// The numbers of a CSV file's rows behind its header. Throws Error naming file and line for a row that is not complete,
// and for a file whose header has not so many columns, which is then no `what`.
std::vector<std::vector<double>> read_number_rows(const std::filesystem::path& path, std::size_t columns,
                                                  const char* what);

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
