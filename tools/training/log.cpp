// The CSV logs of a run.
#include "tools/training/log.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string>

#include "engine/core/error.h"

namespace dermatome::training {

std::vector<std::vector<double>> read_number_rows(const std::filesystem::path& path, std::size_t columns,
                                                  const char* what) {
  std::ifstream file(path);
  DERMATOME_CHECK(file.good(), "the log {} cannot be read", path.string());
  std::string line;
  std::getline(file, line);
  const auto header = static_cast<std::size_t>(std::count(line.begin(), line.end(), ',')) + 1;
  DERMATOME_CHECK(header == columns, "{} is not {} of this version", path.string(), what);
  std::vector<std::vector<double>> rows;
  for (int number = 2; std::getline(file, line); ++number) {
    if (file.eof()) break;  // without its line end: being written, or cut off by a crash
    std::vector<double> row;
    std::stringstream cells(line);
    for (std::string cell; std::getline(cells, cell, ',');) {
      double value = 0;
      const auto result = std::from_chars(cell.data(), cell.data() + cell.size(), value);
      DERMATOME_CHECK(result.ec == std::errc() && result.ptr == cell.data() + cell.size(),
                      "{}:{}: '{}' is not a number", path.string(), number, cell);
      row.push_back(value);
    }
    DERMATOME_CHECK(row.size() == columns, "{}:{}: has {} of {} columns", path.string(), number, row.size(), columns);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<EpochResult> read_epoch_log(const std::filesystem::path& path) {
  std::vector<EpochResult> epochs;
  for (const auto& row : read_number_rows(path, 12, "an epoch log")) {
    epochs.push_back({.epoch = static_cast<int>(row[0]),
                      .stage = static_cast<int>(row[1]),
                      .size = static_cast<int>(row[2]),
                      .learning_rate = row[3],
                      .train_loss = row[4],
                      .train_jaccard = row[5],
                      .validation_loss = row[6],
                      .validation_jaccard = row[7],
                      .validation_thresholded_jaccard = row[8],
                      .validation_dice = row[9],
                      .seconds = row[10],
                      .images_per_second = row[11]});
  }
  return epochs;
}

std::vector<StepRow> read_step_log(const std::filesystem::path& path) {
  std::vector<StepRow> steps;
  for (const auto& row : read_number_rows(path, 4, "a step log"))
    steps.push_back({.step = row[0], .epoch = static_cast<int>(row[1]), .learning_rate = row[2], .loss = row[3]});
  return steps;
}

}  // namespace dermatome::training
