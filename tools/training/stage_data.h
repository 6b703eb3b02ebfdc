// Reading the photographs of a stage, for training.
#pragma once

#include "tools/training/checkpoint.h"
#include "tools/training/photographs.h"
#include "tools/training/trainer.h"

namespace dermatome::training {

// Leaves the reading of photographs when the user wants to stop.
struct Interrupted {};
void leave_if_asked(const TrainingObserver& observer);  // throws Interrupted

struct StageData {
  PhotographSet training, validation;
  DataFingerprint fingerprint;
};

// Both parts in one go, so that every bad file is named at once. `known`: what earlier stages read, empty for the
// first; the observer is told of the files where `first_of_run`. Throws Interrupted; Error where nothing is left to
// train or validate on, or the files are others than those known.
StageData load_stage_data(const TrainOptions& options, const TrainingData& data, const TrainingObserver& observer,
                          const StageSettings& stage, const DataFingerprint& known, bool first_of_run);

}  // namespace dermatome::training
