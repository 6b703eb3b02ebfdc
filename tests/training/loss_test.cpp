// Losses as a recipe writes them, and what a step of several batches makes of them.
#include "tools/training/loss.h"

#include <gtest/gtest.h>

#include "engine/compile/program.h"
#include "engine/graph/autograd.h"
#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;

LossSettings loss_of(std::string_view text) {
  LossSettings loss;
  set_loss_terms(loss, text);
  return loss;
}

TEST(Loss, IsASumOfTermsWithWeights) {
  EXPECT_EQ(loss_of("bce"), LossSettings{});
  EXPECT_EQ(loss_of(" 0.5*jaccard+bce "), (LossSettings{.bce = 1, .jaccard = 0.5}));
  EXPECT_EQ(loss_of("1e-2 log_jaccard + 2 * focal + 1e+1 dice"),
            (LossSettings{.bce = 0, .focal = 2, .log_jaccard = 0.01, .dice = 10}));
  for (const char* text :
       {"bce", "jaccard", "bce + 0.5 jaccard", "0.3 bce + focal + 2 jaccard + 1e-05 log_jaccard + dice"})
    EXPECT_EQ(loss_text(loss_of(text)), text);
}

TEST(Loss, MistakesAreOneSentence) {
  for (const auto& [text, sentence] : std::vector<std::pair<std::string, std::string>>{
           {"", "a term is missing"},
           {"bce +", "a term is missing"},
           {"+ bce", "a term is missing"},
           {"0.5", "a term is missing"},
           {"bce + 0.5 jacard", "there is no loss 'jacard'; did you mean 'jaccard'?"},
           {"tversky", "there is no loss 'tversky' (known: bce, focal, jaccard, log_jaccard, dice)"},
           {"bce + bce", "bce is named twice"},
           {"0 bce", "the weight of bce must be above 0 and at most 1e+06"},
           {"nan bce", "the weight of bce must be above 0"},
           {"1e999 dice", "the weight of dice must be above 0"},
           {"bce - log_jaccard", "terms are added, never subtracted"},
           {"bce 0.5 jaccard", "a + is missing in front of '0.5'"},
           {"bce, jaccard", "there is no loss 'bce,'; did you mean 'bce'?"}}) {
    expect_error([&, text = text] { loss_of(text); }, {sentence});
  }
}

TEST(Loss, AMistakeLeavesTheOldTerms) {
  LossSettings loss = loss_of("dice");
  EXPECT_THROW(set_loss_terms(loss, "bce + nothing"), Error);
  EXPECT_EQ(loss_text(loss), "dice");
}

// Loss and gradient of images `first` to `first + count` of four, as part of a step over all four.
struct Part {
  double loss = 0;
  std::vector<float> gradient;
};
Part part_of_step(const LossSettings& loss, std::int64_t first, std::int64_t count) {
  constexpr std::int64_t kSide = 8;
  const Shape shape{count, kSide, kSide, 1};
  Graph graph;
  Builder builder(graph);
  const Value logits = graph.add_input("logits", {DType::f32, shape});
  const Value target = graph.add_input("target", {DType::f32, shape});
  const Value value = add_loss(builder, loss, logits, target, graph.add_input("divisor", {DType::f32, {1}}))[0];
  graph.mark_output("loss", value);
  graph.mark_output("gradient", differentiate(graph, value, {logits})[0]);
  StateStore store(kCpuDevice);
  Program program(std::move(graph), kCpuDevice, store, {});
  Philox random(7);
  for (std::int64_t i = 0; i < 4 * kSide * kSide; ++i) {
    const float x = random.uniform(-3, 3);
    const float t =
        random.uniform() < 0.1f * static_cast<float>(i / (kSide * kSide)) ? 1.0f : 0.0f;  // none in the first
    const std::int64_t at = i - first * kSide * kSide;
    if (at < 0 || at >= shape.elements()) continue;
    program.input("logits").as<float>()[static_cast<std::size_t>(at)] = x;
    program.input("target").as<float>()[static_cast<std::size_t>(at)] = t;
  }
  program.input("divisor").as<float>()[0] = static_cast<float>(4 * kSide * kSide);
  program.run();
  const auto gradient = program.output("gradient").as<float>();
  return {static_cast<double>(program.output("loss").as<float>()[0]), {gradient.begin(), gradient.end()}};
}

TEST(Loss, OfPhotographsIsThatOfTheStepHoweverTheyAreBatched) {
  for (const char* text : {"bce", "focal", "jaccard", "log_jaccard", "dice", "bce + 0.5 jaccard + dice"}) {
    const LossSettings loss = loss_of(text);
    const Part whole = part_of_step(loss, 0, 4);
    const Part three = part_of_step(loss, 0, 3);
    const Part one = part_of_step(loss, 3, 1);
    EXPECT_NEAR(three.loss + one.loss, whole.loss, 1e-6 * whole.loss) << text;
    EXPECT_GT(one.loss, 0.02 * whole.loss) << text;
    std::vector<float> joined = three.gradient;
    joined.insert(joined.end(), one.gradient.begin(), one.gradient.end());
    EXPECT_EQ(joined, whole.gradient) << text;
  }
}

TEST(Loss, PooledOverABatchIsWeightedByItsPhotographs) {
  LossSettings loss = loss_of("jaccard");
  loss.over_batch = true;
  const Part whole = part_of_step(loss, 0, 4);
  const Part three = part_of_step(loss, 0, 3);
  EXPECT_GT(std::abs(three.loss + part_of_step(loss, 3, 1).loss - whole.loss), 1e-4);  // two pools are not one
  LossSettings of_images = loss_of("jaccard");
  EXPECT_NEAR(part_of_step(loss, 3, 1).loss, part_of_step(of_images, 3, 1).loss, 1e-7);
}

class TrainingWithALoss : public TrainingTest {
 protected:
  Recipe recipe(const std::string& loss) const {
    StageSettings stage{.size = 32, .batch = 2, .epochs = 2, .frozen = {}, .schedule = {}, .lr = 1e-2, .group_lr = {}};
    set_loss_terms(stage.loss, loss);
    stage.augmentation = data::AugmentationSettings::none();
    return {.model = (folder_ / "tiny.graph").string(), .seed = 3, .stages = {stage}};
  }
};

TEST_F(TrainingWithALoss, ValidationReportsTheSameLoss) {
  data_.validation = data_.train;
  for (const char* loss : {"bce", "jaccard", "bce + 0.5 log_jaccard"}) {
    Recipe still = recipe(loss);
    still.stages[0].lr = 0;
    still.stages[0].batch_norm = "frozen";
    still.stages[0].epochs = 1;
    still.stages[0].accumulate = 3;
    const auto result = start(loss, still);
    EXPECT_GT(result.epochs[0].train_loss, 0.1) << loss;
    EXPECT_NEAR(result.epochs[0].train_loss, result.epochs[0].validation_loss, 1e-6) << loss;
  }
}

TEST_F(TrainingWithALoss, IsInTheCheckpointAndMakesOtherWeights) {
  start("a", recipe("bce"));
  start("b", recipe("bce + 0.5 jaccard"));
  const Checkpoint a = read_checkpoint(folder_ / "a" / "last.safetensors");
  const Checkpoint b = read_checkpoint(folder_ / "b" / "last.safetensors");
  EXPECT_NE(bytes_of(a.states[0].second), bytes_of(b.states[0].second));
  EXPECT_EQ(losses_text(parse_recipe(b.info.recipe, "b")), "bce + 0.5 jaccard");
}

TEST_F(TrainingWithALoss, EveryTermLearnsTheDarkDiscs) {
  for (const char* loss : {"focal", "jaccard", "log_jaccard", "dice"}) {
    Recipe longer = recipe(loss);
    longer.stages[0].epochs = 20;
    longer.stages[0].loss.focal_alpha = 0.75;  // with 0.25 a few epochs find no lesion yet
    const auto result = start(loss, longer);
    EXPECT_LT(result.epochs.back().train_loss, 0.85 * result.epochs.front().train_loss) << loss;
    EXPECT_GT(result.epochs.back().train_jaccard, result.epochs.front().train_jaccard) << loss;
  }
}

TEST(Loss, OfStagesIsNamedOnceWhereItIsTheSame) {
  Recipe recipe;
  recipe.stages.resize(2);
  EXPECT_EQ(losses_text(recipe), "bce");
  set_loss_terms(recipe.stages[1].loss, "dice");
  EXPECT_EQ(losses_text(recipe), "bce (stage 1), dice (stage 2)");
}

}  // namespace
}  // namespace dermatome::training
