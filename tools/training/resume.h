// Going on with a run: what may differ from the time of its checkpoint, and what has to be said about it.
#pragma once

#include <string>
#include <vector>

#include "tools/training/checkpoint.h"
#include "tools/training/recipe.h"

namespace dermatome::training {

// The state that resuming starts from. Throws Error, naming the file, as read_checkpoint does and for a checkpoint of a
// format that does not hold enough.
Checkpoint read_resumable(const std::filesystem::path& last);

// The recipe that the checkpoint was made with. Throws Error when it has settings that this version does not know.
Recipe recipe_of_run(const Checkpoint& checkpoint, const std::filesystem::path& file);

// The recipe that a run, or a folder of folds, keeps as `file`. Where it has settings that this version does not know,
// throws Error naming both versions: the run's is what its checkpoint says, or else run.json.
Recipe read_recipe_of_run(const std::filesystem::path& file, const std::filesystem::path& run);

// The recipe to go on with where `wanted` is asked for: stages that are done keep their settings; the stage that has
// begun may change rates, schedule, augmentation and its number of epochs. Throws UsageError for a change that the
// state does not allow: model, seed, best_by, a begun stage's size, batch, accumulate, frozen or batch_norm, the sweep
// of a stage whose rate is among `found_rates` (by stage, from 0), fewer epochs than are done.
Recipe continued(const Recipe& of_run, const Recipe& wanted, const Position& position,
                 const std::map<int, double>& found_rates = {});

// Whether nothing is left to do.
bool is_finished(const Recipe& recipe, const Position& position);

// Sentences about what makes the rest of the run differ from one that was never stopped; empty when it does not. `now`
// holds this process's graph text and environment.
std::vector<std::string> differences_that_matter(const CheckpointInfo& then, const CheckpointInfo& now);
// The settings that change, in one sentence; empty when none does.
std::string settings_that_change(const Recipe& of_run, const Recipe& now);

// Throws Error, naming examples, when the photographs and masks are not those of the run, or not in their order.
void check_same_data(const DataFingerprint& then, const DataFingerprint& now);

}  // namespace dermatome::training
