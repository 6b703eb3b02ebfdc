// Recipes that come with the program.
#include "tools/training/presets.h"

#include <gtest/gtest.h>

#include "models/builtin.h"
#include "tests/data/support.h"
#include "tools/training/networks.h"

namespace dermatome::training {
namespace {

TEST(Presets, FitTheNetworkAndAreReadBackWithTheirComments) {
  for (const auto& name : preset_names()) {
    for (const bool trained : {false, true}) {
      const Preset preset = find_preset(name, trained);
      EXPECT_NO_THROW(check_model(preset.recipe, find_model(preset.recipe.model)));
      const std::string text = to_toml(preset.recipe, true, preset.comments);
      EXPECT_EQ(to_toml(parse_recipe(text, "r.toml"), false), to_toml(preset.recipe, false));
      EXPECT_EQ(preset.comments.stages.size(), preset.recipe.stages.size());
      for (const auto& comment : preset.comments.stages) EXPECT_NE(text.find("# " + comment), std::string::npos);
      for (const auto& stage : preset.recipe.stages) {
        EXPECT_TRUE(stage.find_lr);
        EXPECT_FALSE(stage.find.linear);
        EXPECT_FALSE(stage.find.validation_loss);
      }
    }
  }
}

TEST(Presets, PaperFreezesThenUnfreezesAtGrowingSizes) {
  const Recipe recipe = find_preset("paper", true).recipe;
  ASSERT_EQ(recipe.stages.size(), 4u);
  for (std::size_t s = 0; s < 4; ++s) {
    const StageSettings& stage = recipe.stages[s];
    EXPECT_EQ(stage.size, s < 2 ? 128 : 256);
    const bool first = s % 2 == 0;
    EXPECT_EQ(stage.frozen, first ? std::vector<std::string>{"encoder.early"} : std::vector<std::string>{});
    EXPECT_EQ(stage.batch_norm, first ? "live" : "frozen");
    EXPECT_EQ(stage.epochs, first ? 10 : 20);
    EXPECT_EQ(stage.schedule.name, "use_clr");
    EXPECT_EQ(stage.schedule.div, first ? 5 : 20);
    EXPECT_EQ(stage.schedule.cut_div, first ? 8 : 10);
    EXPECT_DOUBLE_EQ(stage.rate_of("encoder.early"), first ? 1 : 0.01);
    EXPECT_DOUBLE_EQ(stage.rate_of("encoder.late"), first ? 1 : 0.1);
    EXPECT_DOUBLE_EQ(stage.rate_of("decoder"), 1);
    EXPECT_FALSE(stage.augmentation.reflect_mask);
    EXPECT_TRUE(stage.augmentation.rotate_about_whole_pixel);
    EXPECT_FALSE(stage.augmentation.zoom_crop);
    EXPECT_EQ(stage.optimizer_state, "fresh");
  }
  EXPECT_EQ(recipe.mask_resize, data::MaskResize::nearest);
  EXPECT_EQ(to_toml(recipe, false), to_toml(find_preset("paper", false).recipe, false));
}

TEST(Presets, DefaultFreezesNothingFromRandomWeights) {
  const Recipe random = find_preset("default", false).recipe;
  ASSERT_EQ(random.stages.size(), 2u);
  for (const auto& stage : random.stages) {
    EXPECT_TRUE(stage.frozen.empty());
    EXPECT_EQ(stage.batch_norm, "live");
    EXPECT_TRUE(stage.lr_scale.empty());
    EXPECT_EQ(stage.schedule.name, "stlr");
    EXPECT_TRUE(stage.augmentation.reflect_mask);
  }
  const Recipe trained = find_preset("default", true).recipe;
  ASSERT_EQ(trained.stages.size(), 4u);
  EXPECT_EQ(trained.stages[0].frozen.size(), 1u);
  EXPECT_EQ(trained.stages[1].batch_norm, "frozen");
  EXPECT_EQ(trained.stages[0].schedule.name, "stlr");
  EXPECT_TRUE(trained.stages[0].augmentation.reflect_mask);
}

TEST(Presets, OnlyPaperWarnsAboutRandomWeights) {
  EXPECT_TRUE(preset_warning("paper", false).starts_with("WARNING: the preset paper is for trained weights"));
  EXPECT_EQ(preset_warning("paper", true), "");
  EXPECT_EQ(preset_warning("default", false), "");
  EXPECT_EQ(preset_warning("", false), "");
  data::testing::expect_error([] { find_preset("papr", true); }, {"'papr'", "did you mean 'paper'?"});
}

}  // namespace
}  // namespace dermatome::training
