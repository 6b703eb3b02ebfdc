// Recipes: what is printed reads back, every key can be set, and mistakes are named with their place.
#include "tools/training/recipe.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/data/support.h"

namespace dermatome::training {
namespace {

using data::testing::expect_error;

// Every setting differs from its default.
Recipe unusual() {
  Recipe recipe;
  recipe.model = "a \"b\\c\".graph";
  recipe.seed = 9007199254740993;
  recipe.checkpoint_every = {.steps = 0, .minutes = 2.5};
  recipe.resize = data::Resize::pad;
  recipe.colour_constancy = data::ColourConstancy::shades_of_gray;
  recipe.mask_resize = data::MaskResize::nearest;
  recipe.stages.resize(2);
  StageSettings& first = recipe.stages[0];
  first.size = 64;
  first.batch = 3;
  first.accumulate = 2;
  first.epochs = 5;
  first.frozen = {"encoder.early", "decoder"};
  first.batch_norm = "frozen";
  first.schedule.name = "constant";
  first.schedule.div = 7.5;
  first.schedule.cut_div = 3;
  first.schedule.pct = 30;
  first.schedule.momentum_high = 0.9;
  first.schedule.momentum_low = 0.7;
  first.lr = 0.1;
  first.group_lr = {{"encoder.late", 1e-7}, {"decoder", 2}};
  first.beta1 = 0.5;
  first.beta2 = 0.25;
  first.eps = 1e-3;
  first.weight_decay = 0;
  first.loss = {.bce = 0.3,
                .focal = 2,
                .jaccard = 0,
                .log_jaccard = 1e-3,
                .dice = 1,
                .over_batch = true,
                .epsilon = 0.5,
                .focal_gamma = 1,
                .focal_alpha = 0.75};
  first.optimizer_state = "kept";
  first.clip_norm = 1.5;
  first.ema = 0.99;
  first.augmentation = {.dihedral = false,
                        .flip_probability = 0.1f,
                        .rotate_degrees = 3,
                        .rotate_probability = 0.2f,
                        .zoom = 2,
                        .zoom_probability = 0.3f,
                        .lighting = 0.4f,
                        .reflect_mask = false,
                        .rotate_about_whole_pixel = true,
                        .zoom_crop = false};
  recipe.stages[1].size = 96;
  recipe.stages[1].schedule.name = "stlr";
  recipe.stages[1].lr = 1;
  recipe.stages[1].find_lr = true;
  recipe.stages[1].find = {.linear = true, .validation_loss = true, .start = 1e-4, .end = 0.5, .steps = 30};
  recipe.stages[1].lr_scale = {{"encoder.early", 0.01}, {"*", 0.5}};
  return recipe;
}

TEST(Recipe, PrintsAsItIsReadBack) {
  for (const Recipe& recipe : {Recipe{}, unusual()}) {
    const std::string text = to_toml(recipe, false);
    EXPECT_EQ(to_toml(parse_recipe(text, "r.toml"), false), text);
    EXPECT_EQ(to_toml(parse_recipe(to_toml(recipe, true), "r.toml"), false), text);
    EXPECT_EQ(text.find('#'), std::string::npos) << text;
  }
  const Recipe again = parse_recipe(to_toml(unusual(), false), "r.toml");
  EXPECT_EQ(again.model, unusual().model);
  EXPECT_EQ(again.preparation(again.stages[0]),
            data::Preparation(64, data::Resize::pad, data::ColourConstancy::shades_of_gray, data::MaskResize::nearest));
  EXPECT_EQ(again.seed, unusual().seed);
  ASSERT_EQ(again.stages.size(), 2u);
  EXPECT_EQ(again.stages[0].frozen, unusual().stages[0].frozen);
  EXPECT_EQ(again.stages[0].augmentation.lighting, 0.4f);
  EXPECT_EQ(again.stages[0].loss, unusual().stages[0].loss);
  EXPECT_TRUE(again.stages[1].find_lr);
  EXPECT_EQ(again.stages[1].find.steps, 30);
  EXPECT_EQ(again.stages[1].lr_scale, unusual().stages[1].lr_scale);
}

TEST(Recipe, ATableOfRatesKeepsTheRateOfTheOtherGroups) {
  Recipe recipe;
  apply_override(recipe, "lr=1e-4");
  apply_override(recipe, "lr.encoder.early=1e-6");
  apply_override(recipe, "lr={decoder = 1e-2}");
  const StageSettings stage = parse_recipe(to_toml(recipe, false), "r.toml").stages[0];
  EXPECT_EQ(stage.rate_of("encoder.early"), 1e-6);
  EXPECT_EQ(stage.rate_of("encoder.late"), 1e-4);
  EXPECT_EQ(stage.rate_of("decoder"), 1e-2);
  apply_override(recipe, "lr=0.5");
  EXPECT_EQ(recipe.stages[0].rate_of("decoder"), 0.5);
}

TEST(Recipe, ScalesMultiplyTheRateOfTheirGroups) {
  Recipe recipe;
  apply_override(recipe, "lr=2");
  apply_override(recipe, "lr_scale.encoder.early=0.01");
  EXPECT_EQ(recipe.stages[0].rate_of("encoder.early"), 0.02);
  EXPECT_EQ(recipe.stages[0].rate_of("decoder"), 2);
  apply_override(recipe, "lr_scale={\"*\" = 0.5}");
  EXPECT_EQ(recipe.stages[0].rate_of("encoder.early"), 0.02);
  EXPECT_EQ(recipe.stages[0].rate_of("decoder"), 1);
  EXPECT_EQ(recipe.stages[0].rate_of(""), 1);
}

TEST(Recipe, ARateThatIsFoundIsOneUntilThen) {
  Recipe recipe;
  apply_override(recipe, "lr=find");
  EXPECT_TRUE(recipe.stages[0].find_lr);
  EXPECT_EQ(recipe.stages[0].lr, 1);
  apply_override(recipe, "lr.decoder=0.25");
  EXPECT_FALSE(recipe.stages[0].find_lr);
  EXPECT_EQ(recipe.stages[0].lr, StageSettings{}.lr);
}

// Names before " = " of a text's lines.
std::set<std::string> keys_of(const std::string& toml) {
  std::set<std::string> keys;
  std::stringstream lines(toml);
  for (std::string line; std::getline(lines, line);) {
    if (const auto equals = line.find(" = "); equals != std::string::npos) keys.insert(line.substr(0, equals));
  }
  return keys;
}

TEST(Recipe, EveryKeyCanBeSetOnTheCommandLine) {
  const std::vector<std::pair<std::string, std::string>> settings{
      {"model=x.graph", "model = \"x.graph\""},
      {"seed=7", "seed = 7"},
      {"checkpoint_every=5", "checkpoint_every = 5"},
      {"resize=pad", "resize = \"pad\""},
      {"colour_constancy=max-rgb", "colour_constancy = \"max-rgb\""},
      {"mask_resize=nearest", "mask_resize = \"nearest\""},
      {"best_by=dice", "best_by = \"dice\""},
      {"size=64", "size = 64"},
      {"batch=3", "batch = 3"},
      {"accumulate=2", "accumulate = 2"},
      {"epochs=9", "epochs = 9"},
      {"frozen=[\"decoder\"]", "frozen = [\"decoder\"]"},
      {"batch_norm=frozen", "batch_norm = \"frozen\""},
      {"schedule=stlr", "schedule = \"stlr\""},
      {"div=4", "div = 4.0"},
      {"cut_div=5", "cut_div = 5"},
      {"pct=20", "pct = 20.0"},
      {"momentum_high=0.8", "momentum_high = 0.8"},
      {"momentum_low=0.7", "momentum_low = 0.7"},
      {"lr=0.25", "lr = 0.25"},
      {"lr_scale={decoder = 2}", "lr_scale = { \"decoder\" = 2.0 }"},
      {"find_sweep=linear", "find_sweep = \"linear\""},
      {"find_loss=validation", "find_loss = \"validation\""},
      {"find_steps=30", "find_steps = 30"},
      {"find_start=0.5", "find_start = 0.5"},
      {"find_end=2", "find_end = 2.0"},
      {"beta1=0.5", "beta1 = 0.5"},
      {"beta2=0.5", "beta2 = 0.5"},
      {"eps=0.5", "eps = 0.5"},
      {"weight_decay=0", "weight_decay = 0.0"},
      {"loss=bce + 0.5 jaccard", "loss = \"bce + 0.5 jaccard\""},
      {"loss_over=batch", "loss_over = \"batch\""},
      {"loss_epsilon=0.5", "loss_epsilon = 0.5"},
      {"focal_gamma=1", "focal_gamma = 1.0"},
      {"focal_alpha=0.5", "focal_alpha = 0.5"},
      {"optimizer_state=kept", "optimizer_state = \"kept\""},
      {"clip_norm=2", "clip_norm = 2.0"},
      {"ema=0.5", "ema = 0.5"},
      {"augmentation=none", "augmentation = { dihedral = false, flip_probability = 0.0, rotate_degrees = 0.0"},
  };
  std::set<std::string> tried;
  for (const auto& [assignment, line] : settings) {
    Recipe recipe;
    recipe.stages.resize(2);
    EXPECT_EQ(to_toml(recipe, false).find(line), std::string::npos) << line;
    apply_override(recipe, assignment);
    const std::string text = to_toml(recipe, false);
    const auto first = text.find(line);
    ASSERT_NE(first, std::string::npos) << line << " not in " << text;
    const bool of_stage = first > text.find("[[stage]]");
    EXPECT_EQ(text.find(line, first + 1) != std::string::npos, of_stage) << line << " is not in both stages";
    tried.insert(assignment.substr(0, assignment.find('=')));
  }
  EXPECT_EQ(tried, keys_of(to_toml(Recipe{}, false)));
}

TEST(Recipe, EveryAugmentationKeyCanBeSetOnTheCommandLine) {
  Recipe recipe;
  for (const char* assignment :
       {"augmentation.dihedral=false", "augmentation.flip_probability=0.1", "augmentation.rotate_degrees=3",
        "augmentation.rotate_probability=0.2", "augmentation.zoom=2", "augmentation.zoom_probability=0.3",
        "augmentation.lighting=0.4", "augmentation.reflect_mask=false", "augmentation.rotate_about_whole_pixel=true",
        "augmentation.zoom_crop=false"}) {
    const std::string before = to_toml(recipe, false);
    apply_override(recipe, assignment);
    EXPECT_NE(to_toml(recipe, false), before) << assignment;
  }
  Recipe other;
  other.stages[0].augmentation = unusual().stages[0].augmentation;
  EXPECT_EQ(to_toml(recipe, false), to_toml(other, false));
}

TEST(Recipe, ACheckpointIsWrittenEverySoManyStepsOrMinutes) {
  Recipe recipe;
  for (const auto& [assignment, steps, minutes] :
       std::vector<std::tuple<std::string, std::int64_t, double>>{{"checkpoint_every=0", 0, 0},
                                                                  {"checkpoint_every=200", 200, 0},
                                                                  {"checkpoint_every=2.5 minutes", 0, 2.5},
                                                                  {"checkpoint_every=\"1 minute\"", 0, 1},
                                                                  {"checkpoint_every=3 min", 0, 3}}) {
    apply_override(recipe, assignment);
    EXPECT_EQ(recipe.checkpoint_every.steps, steps) << assignment;
    EXPECT_EQ(recipe.checkpoint_every.minutes, minutes) << assignment;
    EXPECT_EQ(to_toml(parse_recipe(to_toml(recipe, true), "r.toml"), false), to_toml(recipe, false));
  }
  for (const char* value :
       {"-1", "1.5", "soon", "-2 minutes", "0 minutes", "3 hours", "nan minutes", "10 minutes or so", "true"}) {
    expect_error([&] { apply_override(recipe, fmt::format("checkpoint_every={}", value)); },
                 {"checkpoint_every must be a whole number of steps (0: only at the ends of epochs) or a time such as "
                  "\"10 minutes\""});
  }
}

TEST(Recipe, DifferencesNameStageKeyAndBothValues) {
  Recipe a;
  Recipe b;
  EXPECT_TRUE(differences(a, b).empty());
  b.seed = 7;
  a.stages.resize(2);
  b.stages.resize(3);
  b.stages[1].lr = 0.5;
  const auto found = differences(a, b);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].stage, 0);
  EXPECT_EQ(found[0].key, "seed");
  EXPECT_EQ(found[0].b, "7");
  EXPECT_EQ(found[1].stage, 2);
  EXPECT_EQ(found[1].key, "lr");
  EXPECT_EQ(found[1].a, "0.001");
  EXPECT_EQ(found[1].b, "0.5");
}

TEST(Recipe, MisspeltKeysAreNamedWithFileLineAndTheNearest) {
  expect_error([] { parse_recipe("seed = 1\nmodell = \"x\"\n", "my.toml"); },
               {"my.toml:2: ", "'modell'", "did you mean 'model'?"});
  expect_error([] { parse_recipe("[[stage]]\nsize = 64\nepoch = 1\n", "my.toml"); },
               {"my.toml:3: ", "'epoch'", "did you mean 'epochs'?"});
  expect_error([] { parse_recipe("[[stage]]\naugmentation = { zom = 2 }\n", "my.toml"); },
               {"my.toml:2: ", "did you mean 'zoom'?"});
  Recipe recipe;
  expect_error([&] { apply_override(recipe, "epoch=1"); }, {"'epoch'", "did you mean 'epochs'?"});
  expect_error([&] { apply_override(recipe, "augmentation.zom=1"); }, {"'augmentation.zom'", "did you mean 'zoom'?"});
}

TEST(Recipe, ValuesOfTheWrongKindOrOutOfRangeAreNamed) {
  const auto in_stage = [](const std::string& line) {
    return [line] { parse_recipe("[[stage]]\n" + line + "\n", "r.toml"); };
  };
  expect_error(in_stage("size = 0"), {"r.toml:2: ", "size must be a whole number from 1 to 8192"});
  expect_error(in_stage("size = 64.5"), {"size must be a whole number"});
  expect_error(in_stage("size = \"64\""), {"size must be a whole number"});
  expect_error(in_stage("batch = -1"), {"batch must be"});
  expect_error(in_stage("lr = -1"), {"lr must be \"find\", a rate"});
  expect_error(in_stage("lr = nan"), {"lr must be \"find\", a rate"});
  expect_error(in_stage("lr_scale = 2"), {"lr_scale must be a table of factors by group"});
  expect_error(in_stage("lr_scale = { decoder = -2 }"), {"lr_scale.decoder must be a rate from 0 to 100"});
  expect_error(in_stage("lr = { decoder = \"x\" }"), {"lr.decoder must be a rate"});
  expect_error(in_stage("find_sweep = \"linaer\""), {"find_sweep must be one of exponential, linear"});
  expect_error(in_stage("find_loss = \"test\""), {"find_loss must be one of training, validation"});
  expect_error(in_stage("find_steps = -1"), {"find_steps must be a whole number from 0 to 1000000"});
  expect_error(in_stage("find_start = 0"), {"find_start must be a number from 1e-12 to 100"});
  expect_error(in_stage("find_end = 1001"), {"find_end must be a number from 0 to 1000"});
  expect_error(in_stage("beta1 = 1.0"), {"beta1 must be"});
  expect_error(in_stage("ema = 1"), {"ema must be a number from 0 to below 1"});
  expect_error(in_stage("optimizer_state = \"keep\""), {"optimizer_state must be one of fresh, kept"});
  expect_error(in_stage("pct = 100"), {"pct must be a number from 0 to below 100"});
  expect_error(in_stage("momentum_high = 1"), {"momentum_high must be a number from 0 to below 1"});
  expect_error(in_stage("frozen = \"decoder\""), {"frozen must be a list of words"});
  expect_error(in_stage("frozen = [1]"), {"frozen must be a list of words"});
  expect_error(in_stage("batch_norm = \"forzen\""), {"batch_norm must be one of live, frozen"});
  expect_error(in_stage("augmentation = \"some\""), {"augmentation must be"});
  expect_error(in_stage("loss = 1"), {"r.toml:2: ", "loss must be a sum of bce, focal, jaccard, log_jaccard, dice"});
  expect_error(in_stage("loss = \"bce + jacard\""),
               {"r.toml:2: ", "loss = \"bce + jacard\"", "no loss 'jacard'", "did you mean 'jaccard'?"});
  expect_error(in_stage("loss_epsilon = 0"), {"loss_epsilon must be"});
  expect_error(in_stage("focal_alpha = 2"), {"focal_alpha must be"});
  expect_error(in_stage("augmentation = { dihedral = 1 }"), {"augmentation.dihedral must be true or false"});
  expect_error([] { parse_recipe("seed = -1\n", "r.toml"); }, {"r.toml:1: ", "seed must be"});
  expect_error([] { parse_recipe("colour_constancy = \"grey-world\"\n", "r.toml"); },
               {"r.toml:1: ", "colour_constancy must be one of none, gray-world, shades-of-gray, max-rgb",
                "did you mean 'gray-world'?"});
  expect_error([] { parse_recipe("seed = \n", "r.toml"); }, {"r.toml:1: "});
}

TEST(Recipe, AnOverridesMistakeNamesNoFile) {
  Recipe recipe;
  try {
    apply_override(recipe, "size=0");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with("size must be")) << error.what();
  }
  expect_error([&] { apply_override(recipe, "size"); },
               {"'size' is neither a recipe file (.toml) nor an assignment key=value"});
  expect_error([&] { apply_override(recipe, "=1"); }, {"neither"});
}

TEST(Recipe, AStagesKeyBelongsBelowStage) {
  expect_error([] { parse_recipe("seed = 1\nsize = 64\n", "r.toml"); },
               {"r.toml:2: ", "'size' belongs to a stage", "[[stage]]"});
  expect_error([] { parse_recipe("[stage]\nsize = 64\n", "r.toml"); }, {"r.toml:1: ", "[[stage]]"});
}

TEST(Recipe, StagesComeInTheOrderOfTheFile) {
  const Recipe recipe = parse_recipe("[[stage]]\nsize = 64\n[[stage]]\nsize = 96\nepochs = 2\n", "r.toml");
  ASSERT_EQ(recipe.stages.size(), 2u);
  EXPECT_EQ(recipe.stages[0].size, 64);
  EXPECT_EQ(recipe.stages[0].epochs, StageSettings{}.epochs);
  EXPECT_EQ(recipe.stages[1].size, 96);
  EXPECT_EQ(recipe.stages[1].epochs, 2);
}

TEST(Recipe, GroupsMustBeThoseOfTheModel) {
  const std::vector<std::string> groups{"encoder.early", "encoder.late", "decoder"};
  const auto check = [&](const std::string& stage) {
    check_groups(parse_recipe("[[stage]]\n" + stage, "r.toml"), groups);
  };
  EXPECT_NO_THROW(check("frozen = [\"encoder.early\", \"encoder.late\"]\nlr = { decoder = 1e-3 }"));
  expect_error([&] { check("frozen = [\"decoderr\"]"); }, {"unet34", "'decoderr'", "did you mean 'decoder'?"});
  expect_error([&] { check("lr = { decodr = 1e-3 }"); }, {"'decodr'", "did you mean 'decoder'?"});
  expect_error([&] { check("lr_scale = { decodr = 2, \"*\" = 1 }"); }, {"'decodr'", "did you mean 'decoder'?"});
  expect_error([&] { check("frozen = [\"decoder\", \"encoder.early\", \"encoder.late\"]"); },
               {"freezes every parameter group"});
}

// A fuzzer wrote one: TOML takes "\r" in a name, and a bare carriage return nowhere.
TEST(Recipe, PrintsControlCharactersThatItReadsBack) {
  Recipe recipe;
  recipe.model = "a\x01\r\n\t\"\\\x7f\u00e4.graph";
  EXPECT_EQ(parse_recipe(to_toml(recipe, true), "r.toml").model, recipe.model);
}

// As well: a library that converts a real for us has no answer to this one.
TEST(Recipe, TakesNoRealForAWholeNumber) {
  for (const char* value : {"128.0", "12E80", "-1e300", "inf", "nan"})
    EXPECT_THROW(parse_recipe(std::string("[[stage]]\nsize = ") + value + "\n", "r.toml"), UsageError) << value;
}

}  // namespace
}  // namespace dermatome::training
