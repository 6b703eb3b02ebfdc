// Schedules of a recipe step by step.
#include "tools/training/schedule_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace dermatome::training {

ScheduleTable schedule_table(const Recipe& recipe, const std::vector<std::string>& groups,
                             const std::vector<std::int64_t>& steps) {
  ScheduleTable table{.groups = groups, .rows = {}};
  if (groups.empty()) table.groups = {"lr"};
  for (std::size_t s = 0; s < recipe.stages.size(); ++s) {
    const StageSettings& stage = recipe.stages[s];
    std::vector<double> largest;
    for (const auto& group : table.groups) {
      const bool frozen = std::find(stage.frozen.begin(), stage.frozen.end(), group) != stage.frozen.end();
      largest.push_back(frozen ? 0 : stage.rate_of(group));
    }
    for (std::int64_t step = 0; step < steps[s]; ++step) {
      const SchedulePoint at = schedule_at(stage.schedule, step, steps[s]);
      ScheduleTable::Row row{
          .stage = static_cast<int>(s) + 1, .beta1 = at.beta1.value_or(stage.beta1), .rates = largest};
      for (double& rate : row.rates) rate *= at.factor;
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

std::string to_csv(const ScheduleTable& table) {
  std::string text = fmt::format("step,stage,momentum,{}\n", fmt::join(table.groups, ","));
  for (std::size_t step = 0; step < table.rows.size(); ++step) {
    const auto& row = table.rows[step];
    text += fmt::format("{},{},{:.9g}", step, row.stage, row.beta1);
    for (const double rate : row.rates) text += fmt::format(",{:.9g}", rate);
    text += "\n";
  }
  return text;
}

}  // namespace dermatome::training
