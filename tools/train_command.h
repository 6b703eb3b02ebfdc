// What `dermatome train` was asked for, and the ways in which it trains: one run, or one a fold.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tools/command.h"
#include "tools/data_options.h"
#include "tools/recipe_options.h"
#include "tools/split_options.h"
#include "tools/training/recipe.h"

namespace dermatome {

struct TrainCommand {
  std::string run, weights;
  std::shared_ptr<RecipeOptions> recipe;
  std::uint64_t seed = 0;
  bool seed_given = false;
  bool overwrite = false;
  bool dry_run = false;
  bool resume = false;
  int steps_per_launch = 1;
  std::string photographs = "auto";  // --photographs, as parse_residence takes it
  int folds = 0;                     // --folds: 0 is one run
  int fold = 0;                      // --fold: only this one, from 1; 0: all
  std::shared_ptr<DataOptions> data;
  std::shared_ptr<SplitOptions> split;
  std::shared_ptr<RunOptions> options;
};

// `base` with the recipe file and the assignments of the command line applied.
training::Recipe recipe_of(const TrainCommand& command, const training::Recipe& base);

// One run in command.run, all told on the terminal; the exit code is set where a signal ended it. `split`: instead of
// what the command's options would give.
void start_run(const TrainCommand& command, const SplitData* split = nullptr);
void resume_run(const TrainCommand& command);
void plan_run(const TrainCommand& command, const SplitData* split = nullptr);

// The photographs that a run or folds began with, unless `given` names where they are now.
std::shared_ptr<DataOptions> data_of_run(const DataOptions& given, const nlohmann::json& info);

// What started a run, for its run.json.
nlohmann::json environment_json(const TrainCommand& command);

// The same over folds, each a run in a folder of its own below command.run.
void train_folds(const TrainCommand& command);

}  // namespace dermatome
