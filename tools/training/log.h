// Reading back what the trainer logged.
#pragma once

#include <filesystem>
#include <utility>
#include <vector>

#include "tools/training/trainer.h"

namespace dermatome::training {

// Rows of log.csv. Throws Error naming file and line for a row that is not complete.
std::vector<EpochResult> read_epoch_log(const std::filesystem::path& path);

// Step (from 0) and learning rate of each row of steps.csv.
std::vector<std::pair<double, double>> read_step_rates(const std::filesystem::path& path);

}  // namespace dermatome::training
