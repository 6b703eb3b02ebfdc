// The schedules of a whole recipe, step by step: what `dermatome schedule` prints and draws.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/training/recipe.h"

namespace dermatome::training {

struct ScheduleTable {
  std::vector<std::string> groups;  // "lr" alone where the model declares none
  struct Row {
    int stage = 0;  // from 1
    double beta1 = 0;
    std::vector<double> rates;  // by group; 0 where it is frozen
  };
  std::vector<Row> rows;  // one a step, over all stages
};

// Of a model with these parameter groups whose stages take so many steps each.
ScheduleTable schedule_table(const Recipe& recipe, const std::vector<std::string>& groups,
                             const std::vector<std::int64_t>& steps);

// "step,stage,momentum,encoder.early,...", steps from 0 over all stages.
std::string to_csv(const ScheduleTable& table);

}  // namespace dermatome::training
