// Recipe: what to train and how, as a TOML file says it: a few settings of the run and a list of stages.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/augmentation.h"
#include "data/preparation.h"
#include "tools/training/loss.h"
#include "tools/training/rate_curve.h"
#include "tools/training/schedule.h"

namespace dermatome::training {

// One stage: a size, a batch, a schedule, and what is frozen.
struct StageSettings {
  int size = 128;      // side of the squared photographs, pixels
  int batch = 16;      // images a step and program
  int accumulate = 1;  // programs a step: the true batch is batch * accumulate
  int epochs = 12;
  std::vector<std::string> frozen;  // parameter groups without gradients, their batch norm in eval mode
  std::string batch_norm = "live";  // live, or frozen: running statistics normalise everywhere and never move
  ScheduleSettings schedule;
  double lr = 1e-3;                        // largest rate of every group
  bool find_lr = false;                    // find it at the start of the stage; until then lr is 1
  RateSweep find;                          // how
  std::map<std::string, double> group_lr;  // instead, for these groups
  std::map<std::string, double> lr_scale;  // rates are these times the above; "*": of the groups that are not named
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 1e-7;             // L2, added to the gradient
  std::string optimizer_state = "fresh";  // or kept: Adam goes on with the moments of the stage before
  double clip_norm = 0;                   // the largest norm of all gradients together; 0: any
  double ema = 0;                         // decay of the weights' moving average, which is validated; 0: none
  LossSettings loss;
  data::AugmentationSettings augmentation;

  double rate_of(const std::string& group) const;               // "" where the model declares none
  std::int64_t steps_of_epoch(std::int64_t photographs) const;  // a short last one included
};

// When a checkpoint is written besides the ends of epochs: after so many steps, or so many minutes; never where both
// are 0.
struct CheckpointInterval {
  std::int64_t steps = 0;
  double minutes = 10;
};

// The score on the validation part whose highest mean makes an epoch the best one.
enum class BestBy : std::uint8_t { jaccard, thresholded_jaccard, dice };
std::vector<std::string> best_by_names();  // in that order
std::string name_of(BestBy score);

struct Recipe {
  std::string model = "unet34";
  std::uint64_t seed = 42;
  CheckpointInterval checkpoint_every;
  data::Resize resize = data::Resize::squash;
  data::ColourConstancy colour_constancy = data::ColourConstancy::none;
  data::MaskResize mask_resize = data::MaskResize::area;
  BestBy best_by = BestBy::jaccard;  // the score on the validation part that chooses best.safetensors
  std::vector<StageSettings> stages = std::vector<StageSettings>(1);

  // Of the photographs and masks of a stage.
  data::Preparation preparation(const StageSettings& stage) const {
    return {stage.size, resize, colour_constancy, mask_resize};
  }
};

// Throws UsageError with file, line and the nearest key for a key that does not exist, a value of the wrong kind or out
// of range; Error when the file cannot be read.
Recipe read_recipe(const std::filesystem::path& path);
Recipe parse_recipe(std::string_view toml_text, const std::string& file_name);

// "lr=1e-4", "augmentation.zoom=1.1", "seed=1": a stage's key is set in all stages. Throws UsageError as above.
void apply_override(Recipe& recipe, std::string_view assignment);

// The recipe of a command line: one file (.toml) at most, or else `base`, then the assignments. Throws UsageError as
// above.
Recipe recipe_of(const std::vector<std::string>& settings, const Recipe& base = {});

// What a recipe says about itself besides what each key means: lines at the top, and one above each stage.
struct RecipeComments {
  std::vector<std::string> head;
  std::vector<std::string> stages;
};

// A TOML text that parse_recipe reads back to the same recipe; `commented` explains each key.
std::string to_toml(const Recipe& recipe, bool commented, const RecipeComments& comments = {});

// A stage's lr as TOML.
std::string rates_text(const StageSettings& stage);

// A key of the schema as the reference and completion show it.
struct SettingDescription {
  std::string table;  // "": of the run; "stage"; "augmentation": of a stage's table of that name
  std::string name;
  std::string values;                // "a whole number from 1 to 8192"
  std::vector<std::string> choices;  // the words, where there are but these
  std::string fallback;              // the default, as TOML
  std::string explanation;
};
std::vector<SettingDescription> describe_settings();

// A setting in which two recipes differ, as to_toml prints it.
struct SettingDifference {
  int stage = 0;  // from 1; 0: a setting of the run
  std::string key, a, b;
};

// Stage by stage as far as both have them, in the order of the keys.
std::vector<SettingDifference> differences(const Recipe& a, const Recipe& b);

// The loss of all stages, or where they differ "bce (stage 1), bce + jaccard (stage 2)".
std::string losses_text(const Recipe& recipe);

// Throws UsageError when a stage names a group that the model does not have.
void check_groups(const Recipe& recipe, const std::vector<std::string>& groups);

}  // namespace dermatome::training
