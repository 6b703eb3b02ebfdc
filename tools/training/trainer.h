// Trainer: runs the stages of a recipe over a data set and leaves a run folder.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/cache.h"
#include "data/dataset.h"
#include "data/split.h"
#include "engine/compile/options.h"
#include "engine/core/device.h"
#include "tools/training/checkpoint.h"
#include "tools/training/photographs.h"
#include "tools/training/rate_curve.h"
#include "tools/training/recipe.h"

namespace dermatome::training {

struct TrainingData {
  std::vector<data::Sample> train;
  std::vector<data::Sample> validation;  // may be empty: then there is no best checkpoint but the last
};

struct EpochResult {
  int epoch = 0;  // from 1, over all stages
  int epochs = 0;
  int stage = 0;  // from 1
  int size = 0;
  double learning_rate = 0;  // of the last step, largest group
  double train_loss = 0, train_jaccard = 0;
  double validation_loss = 0, validation_jaccard = 0, validation_thresholded_jaccard = 0, validation_dice = 0;
  double seconds = 0, images_per_second = 0;
  std::int64_t last_step = 0;  // from 0, over all stages
  bool validated = false;      // else there is no validation part
  bool best = false;
};

struct StepResult {
  int epoch = 0;  // from 1, over all stages
  int epochs = 0;
  std::int64_t images_done = 0;  // in this epoch
  std::int64_t images = 0;
  double loss = 0, jaccard = 0;  // means so far in this epoch
  double images_per_second = 0;
  double share_done = 0;    // of the whole run, by pixels
  double seconds_left = 0;  // of the whole run, estimated
};

// Told what happens; every member may be empty.
struct TrainingObserver {
  std::function<void(const std::string&)> message;
  std::function<void(std::size_t done, std::size_t total)> loading;
  // Called once, when the data are read and the first stage's programs fit into memory: before it, nothing is written
  // to the run folder.
  std::function<void()> ready;
  std::function<void(std::size_t done, std::size_t total)> finding;  // steps of a learning-rate finder
  std::function<void(const StepResult&)> step;
  std::function<void(std::int64_t done, std::int64_t total)> validating;  // photographs of the validation part
  std::function<void(const EpochResult&)> epoch;
  std::function<bool()>
      stop_requested;  // asked between photographs that are read, programs, and steps; from any thread
};

struct TrainingResult {
  std::vector<EpochResult> epochs;  // that ended here
  Position position;                // where training stands
  bool stopped = false;             // by stop_requested
  bool saved = false;               // last.safetensors holds this position
};

struct TrainOptions {
  Recipe recipe;
  std::filesystem::path run;  // an existing folder
  Device device;
  CompileOptions compile;
  data::Cache* cache = nullptr;                         // of prepared pairs; none: they are decoded for every stage
  bool skip_bad = false;                                // train without the photographs and masks that cannot be used
  Residence residence = Residence::automatic;           // of the photographs
  int steps_per_launch = 1;                             // on a GPU that records; what is told of them comes together
  std::vector<std::pair<std::string, Tensor>> weights;  // to start from, by state; the others start at random
  Checkpoint* resume =
      nullptr;  // of this run and recipe; its states are released when they are restored; null: from the start
};

// What the environment contributes to a checkpoint's description: versions, processor, device, threads, switches.
CheckpointInfo environment(Device device, const CompileOptions& compile);

// Writes log.csv, steps.csv (rate of every step), lr_find_stageN.csv (the curve of each stage whose rate is found),
// TensorBoard's event files, last.safetensors, best.safetensors into
// the run folder. With `resume`, goes on to the bits of a run that was never stopped, and cuts the logs back to the
// checkpoint first. Throws Error when the loss or a weight is no number any more (naming step and rate; no such weights
// are saved), when a stage, be it the last, does not fit into memory (before the first step, naming the batch that
// would), when the data are not those of the run, and when a file cannot be written (the last checkpoint stays).
TrainingResult train(const TrainOptions& options, const TrainingData& data, const TrainingObserver& observer);

// Sweeps the rates of a stage (from 1) of the recipe from the given weights; writes nothing. Stops where the observer
// asks for it, with no point at all.
RateCurve find_rate(const TrainOptions& options, const TrainingData& data, const TrainingObserver& observer, int stage,
                    const RateSweep& sweep);

}  // namespace dermatome::training
