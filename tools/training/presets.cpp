// The recipes of Guth & de Campos 2018 and of fastai 0.7, on which it was built.
#include "tools/training/presets.h"

#include <fmt/format.h>

#include "engine/core/error.h"
#include "engine/core/suggest.h"

namespace dermatome::training {
namespace {

// Batches at both sizes hold as many pixels.
constexpr int kSizes[] = {128, 256};
constexpr int kPaperBatch[] = {64, 16};
constexpr int kBatch[] = {32, 8};

StageSettings stage_of(int size, int batch, int epochs, const ScheduleSettings& schedule) {
  StageSettings stage{.size = size, .batch = batch, .epochs = epochs, .schedule = schedule};
  stage.lr = 1;
  stage.find_lr = true;
  return stage;
}

// A stage with the first group frozen, then one with batch norm frozen everywhere, at each size.
struct FineTuning {
  const int* batches;
  ScheduleSettings frozen, unfrozen;
  data::AugmentationSettings augmentation;
};

void add_fine_tuning(Preset& preset, const FineTuning& how) {
  for (int i = 0; i < 2; ++i) {
    StageSettings frozen = stage_of(kSizes[i], how.batches[i], 10, how.frozen);
    frozen.frozen = {"encoder.early"};
    StageSettings unfrozen = stage_of(kSizes[i], how.batches[i], 20, how.unfrozen);
    unfrozen.batch_norm = "frozen";
    unfrozen.lr_scale = {{"encoder.early", 0.01}, {"encoder.late", 0.1}};
    for (StageSettings* stage : {&frozen, &unfrozen}) {
      stage->augmentation = how.augmentation;
      preset.recipe.stages.push_back(*stage);
    }
    preset.comments.stages.push_back(
        fmt::format("{} px, the encoder's first half frozen, its batch norm in eval mode{}", kSizes[i],
                    i == 0 ? "" : "; from the weights of the stages at 128 px"));
    preset.comments.stages.push_back(fmt::format(
        "{} px, everything learns but the statistics of batch norm; early layers a hundredth as fast", kSizes[i]));
  }
}

Preset paper() {
  Preset preset{.recipe = {.stages = {}}, .comments = {}};
  data::AugmentationSettings augmentation;
  augmentation.reflect_mask = false;
  augmentation.rotate_about_whole_pixel = true;
  augmentation.zoom_crop = false;
  preset.recipe.mask_resize = data::MaskResize::nearest;
  preset.recipe.best_by = BestBy::dice;
  add_fine_tuning(preset, {.batches = kPaperBatch,
                           .frozen = {.name = "use_clr", .div = 5, .cut_div = 8},
                           .unfrozen = {.name = "use_clr", .div = 20, .cut_div = 10},
                           .augmentation = augmentation});
  preset.comments.head = {
      "Guth & de Campos 2018 as far as the paper says it, and fastai 0.7, on which it was built, where it does not:",
      "the encoder's first half frozen, a finder, a cycle; then unfrozen, finder and cycle again; then larger.",
      "For trained weights (--weights FILE); docs/recipes.md says why not for random ones.",
      "The paper's optional third size: the last two stages once more with size = 512, batch = 4.",
      "fastai's notebook for comparison: lr = 4e-2 at 128 px, a quarter of it with everything unfrozen.",
      "Rates are swept by equal factors and by the training loss: by equal amounts and the validation loss, as in the",
      "paper's figure, a sweep of 100 steps suggests nothing on few photographs (docs/paper.md).",
      "Quirks of fastai 0.7 that are kept: mask_resize, and reflect_mask, rotate_about_whole_pixel and zoom_crop of "
      "the",
      "augmentation."};
  return preset;
}

Preset fine_tuned() {
  Preset preset{.recipe = {.stages = {}}, .comments = {}};
  const ScheduleSettings schedule{.name = "stlr"};
  add_fine_tuning(preset, {.batches = kBatch, .frozen = schedule, .unfrozen = schedule, .augmentation = {}});
  preset.comments.head = {
      "For a run that starts from trained weights: the paper's stages without the quirks of its library,",
      "slanted triangular rates, rates from the finder. Without weights: `dermatome config --preset default`."};
  return preset;
}

Preset from_random_weights() {
  Preset preset{.recipe = {.stages = {}}, .comments = {}};
  for (int i = 0; i < 2; ++i) {
    preset.recipe.stages.push_back(stage_of(kSizes[i], kBatch[i], 30, {.name = "stlr"}));
    preset.comments.stages.push_back(fmt::format("{} px, everything learns at one rate, batch norm is live{}",
                                                 kSizes[i], i == 0 ? "" : "; from the weights of the stage at 128 px"));
  }
  preset.comments.head = {
      "For a run from random weights: nothing is frozen, since random layers have nothing to keep, and running",
      "statistics that never saw a photograph are no statistics. From trained weights:",
      "`dermatome config --preset default --pretrained`."};
  return preset;
}

}  // namespace

std::vector<std::string> preset_names() {
  return {"paper", "default"};
}

Preset find_preset(const std::string& name, bool trained_weights) {
  if (name == "paper") return paper();
  if (name == "default") return trained_weights ? fine_tuned() : from_random_weights();
  fail_usage("there is no preset '{}'{}", name, did_you_mean(name, preset_names()));
}

std::string preset_warning(const std::string& name, bool trained_weights) {
  if (name != "paper" || trained_weights) return "";
  return "WARNING: the preset paper is for trained weights, and this run starts from random ones: layers that learnt "
         "nothing are frozen, and batch norm keeps statistics of nothing. Give --weights FILE (docs/weights.md), or "
         "take "
         "--preset default";
}

}  // namespace dermatome::training
