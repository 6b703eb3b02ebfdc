// The choice of a plan, among plans that are made up, by times that are made up; and what plans are timed on.
#include "kernels/vendor/cudnn_plan_choice.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "engine/core/error.h"
#include "engine/core/warning.h"
#include "kernels/vendor/cudnn_convolution.h"
#include "kernels/vendor/cudnn_plan_cache.h"
#include "tests/data/support.h"

namespace dermatome::cudnn {
namespace {

class NamedPlan final : public Plan {
 public:
  explicit NamedPlan(std::string name) : name_(std::move(name)) {}
  std::int64_t workspace_bytes() const override { return 0; }
  void run(const Operands&, Stream&) override {}
  std::string describe() const override { return name_; }

 private:
  std::string name_;
};

struct MadeUpPlan {
  std::string name;
  std::optional<double> seconds;  // none: it cannot run
  bool builds = true;
};

class MadeUpPlans final : public PlanSource {
 public:
  explicit MadeUpPlans(std::map<std::string, std::vector<MadeUpPlan>> of) : plans(std::move(of)) {}

  std::vector<std::string> names_for(const Convolution& candidate) override {
    std::vector<std::string> names;
    for (const auto& plan : plans[to_string(candidate)]) names.push_back(plan.name);
    return names;
  }
  std::unique_ptr<Plan> build(const Convolution& candidate, const std::string& name) override {
    for (const auto& plan : plans[to_string(candidate)]) {
      if (plan.name == name && plan.builds) return std::make_unique<NamedPlan>(name);
    }
    return nullptr;
  }
  double seconds_of(const Convolution& candidate, std::unique_ptr<Plan> plan) override {
    timed.push_back(plan->describe());
    for (const auto& known : plans[to_string(candidate)]) {
      if (known.name == plan->describe() && known.seconds) return *known.seconds;
    }
    fail("{} does not run", plan->describe());
  }

  std::map<std::string, std::vector<MadeUpPlan>> plans;  // by the candidate's text
  std::vector<std::string> timed;
};

Convolution weight_gradient() {
  return {.direction = Direction::weight_gradient,
          .n = 2,
          .height = 8,
          .width = 8,
          .in = 16,
          .out_height = 8,
          .out_width = 8,
          .out = 16,
          .kernel = 3,
          .pad = 1,
          .type = DType::bf16,
          .result = DType::f32};
}

// As one with its epilogue, and as one without.
Convolution fused_convolution() {
  Convolution convolution = weight_gradient();
  convolution.direction = Direction::forward;
  convolution.result = DType::bf16;
  convolution.epilogue.relu = true;
  return convolution;
}

class PlanChoice : public testing::Test {
 protected:
  PlanChoice()
      : candidates_(candidates_for(fused_convolution())),
        place_(testing::UnitTest::GetInstance()->current_test_info()->name()),
        sink_before_(exchange_warning_sink([this](const std::string& sentence) { warnings_.push_back(sentence); })) {
    ::setenv("DERMATOME_PLANS", "/proc/nowhere/plans.json", 1);  // the user's cache is the process's memory
  }
  ~PlanChoice() override { exchange_warning_sink(sink_before_); }

  MadeUpPlans plans_of(std::vector<MadeUpPlan> first, std::vector<MadeUpPlan> second) const {
    return MadeUpPlans({{to_string(candidates_[0]), std::move(first)}, {to_string(candidates_[1]), std::move(second)}});
  }
  Choice choose(MadeUpPlans& source, const std::string& plans = {}) const {
    return choose_plan_from(source, place_, candidates_, plans);
  }

  std::vector<Convolution> candidates_;
  std::string place_;  // so that tests do not find each other's plans
  std::vector<std::string> warnings_;
  WarningSink sink_before_;
};

TEST_F(PlanChoice, IsTheFastestOfAllCandidates) {
  ASSERT_EQ(candidates_.size(), 2u);
  MadeUpPlans apart = plans_of({{"a", 3}, {"b", 2}}, {{"c", 4}, {"d", 1}});
  Choice choice = choose(apart);
  ASSERT_NE(choice.plan, nullptr);
  EXPECT_EQ(choice.candidate, 1u);
  EXPECT_EQ(choice.plan->describe(), "d");
  EXPECT_EQ(apart.timed, (std::vector<std::string>{"a", "b", "c", "d"}));
  place_ += " another";
  MadeUpPlans fused = plans_of({{"a", 3}, {"b", 1}}, {{"c", 2}});
  choice = choose(fused);
  EXPECT_EQ(choice.candidate, 0u);
  EXPECT_EQ(choice.plan->describe(), "b");
}

// Gradients of weights are f32, so the one that is rounded on the way is for where there is no other.
TEST_F(PlanChoice, RoundsAWeightGradientOnlyWhereNothingElseRuns) {
  candidates_ = candidates_for(weight_gradient());
  ASSERT_EQ(candidates_.size(), 2u);
  MadeUpPlans both = plans_of({{"a", 3}, {"b", 2}}, {{"c", 1}});
  EXPECT_EQ(choose(both).plan->describe(), "b");
  EXPECT_EQ(both.timed, (std::vector<std::string>{"a", "b"}));
  place_ += " another";
  MadeUpPlans rounded = plans_of({{"a", std::nullopt}}, {{"c", 4}, {"d", 1}});
  const Choice choice = choose(rounded);
  EXPECT_EQ(choice.candidate, 1u);
  EXPECT_EQ(choice.plan->describe(), "d");
}

// cuBLASLt's plans stand beside cuDNN's: the faster is kept, and where cuBLASLt has none, cuDNN serves.
TEST_F(PlanChoice, MayBeAProductsPlan) {
  Convolution pointwise = weight_gradient();
  pointwise.kernel = 1;
  pointwise.pad = 0;
  candidates_ = candidates_for(pointwise);
  ASSERT_GE(candidates_.size(), 2u);
  ASSERT_TRUE(candidates_[1].product);
  MadeUpPlans faster = plans_of({{"a", 3}}, {{"cublaslt", 2}});
  Choice choice = choose(faster);
  EXPECT_EQ(choice.candidate, 1u);
  EXPECT_EQ(choice.plan->describe(), "cublaslt");
  place_ += " another";
  MadeUpPlans slower = plans_of({{"a", 2}}, {{"cublaslt", 3}});
  EXPECT_EQ(choose(slower).plan->describe(), "a");
  place_ += " another";
  MadeUpPlans absent = plans_of({{"a", 2}}, {});
  EXPECT_EQ(choose(absent).plan->describe(), "a");
}

TEST_F(PlanChoice, OfEqualTimesIsTheBestGuess) {
  MadeUpPlans source = plans_of({{"a", 1}, {"b", 1}}, {{"c", 1}});
  const Choice choice = choose(source);
  EXPECT_EQ(choice.candidate, 0u);
  EXPECT_EQ(choice.plan->describe(), "a");
}

TEST_F(PlanChoice, PassesOverWhatCannotBeBuiltOrRun) {
  MadeUpPlans source = plans_of({{"a", 1, false}, {"b", std::nullopt}, {"c", 3}}, {});
  EXPECT_EQ(choose(source).plan->describe(), "c");
  EXPECT_EQ(source.timed, (std::vector<std::string>{"b", "c"}));
  place_ += " another";
  MadeUpPlans none = plans_of({{"a", 1, false}}, {});
  EXPECT_EQ(choose(none).plan, nullptr);
}

TEST_F(PlanChoice, TimesSoManyPlansOfEachCandidate) {
  std::vector<MadeUpPlan> many;
  for (int i = 0; i < kPlansTimed + 3; ++i) many.push_back({std::to_string(i), 10.0 - i, i != 2});
  MadeUpPlans source = plans_of(many, {{"last", 5}});
  EXPECT_EQ(choose(source).plan->describe(), std::to_string(kPlansTimed)) << "one of them could not be built";
  EXPECT_EQ(source.timed.size(), kPlansTimed + 1u);
}

TEST_F(PlanChoice, IsTimedOnceAndKnownFromThenOn) {
  const data::testing::TemporaryFolder folder;
  const std::string run = (folder / "plans.json").string();
  MadeUpPlans source = plans_of({{"a", 2}}, {{"b", 1}});
  choose(source, run);
  source.timed.clear();
  for (const std::string& plans : {run, std::string()}) {
    const Choice again = choose(source, plans);
    EXPECT_EQ(again.candidate, 1u);
    EXPECT_EQ(again.plan->describe(), "b");
  }
  EXPECT_TRUE(source.timed.empty());
  EXPECT_TRUE(warnings_.empty());
}

// A resumed run that another plan serves may have other bits.
TEST_F(PlanChoice, WarnsWhereARunsPlanCannotBeBuiltAnyMore) {
  const data::testing::TemporaryFolder folder;
  const std::string run = (folder / "plans.json").string();
  MadeUpPlans before = plans_of({{"a", 2}}, {{"b", 1}});
  choose(before, run);
  MadeUpPlans now = plans_of({{"a", 2}, {"c", 1}}, {});
  EXPECT_EQ(choose(now, run).plan->describe(), "c");
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_EQ(warnings_[0], "warning: " + run + " keeps the plan 'b' for " + to_string(candidates_[0]) +
                              ", which cannot be built here any more; plans are timed anew, so the run may not go on "
                              "to the same bits");
  EXPECT_EQ(choose(now, run).plan->describe(), "c");
  EXPECT_EQ(warnings_.size(), 1u) << "the new one is kept";
}

// What only the user's cache knew was no run's.
TEST_F(PlanChoice, IsSilentAboutAPlanThatNoRunHasUsed) {
  const data::testing::TemporaryFolder folder;
  MadeUpPlans before = plans_of({{"a", 2}}, {{"b", 1}});
  choose(before);
  MadeUpPlans now = plans_of({{"a", 2}}, {});
  EXPECT_EQ(choose(now, (folder / "plans.json").string()).plan->describe(), "a");
  EXPECT_TRUE(warnings_.empty());
}

TEST(Candidates, OfAnExactWeightGradientAreNeverRounded) {
  Convolution exact = weight_gradient();
  exact.exact = true;
  const auto candidates = candidates_for(exact);
  ASSERT_EQ(candidates.size(), 1u);
  EXPECT_EQ(candidates[0].result, DType::f32);
  EXPECT_TRUE(candidates[0].identity);
}

double f32_of(const std::byte* at, DType type) {
  float value = 0;
  const std::size_t bytes = size_of(type);
  std::memcpy(reinterpret_cast<std::byte*>(&value) + sizeof value - bytes, at, bytes);  // bf16: the upper half
  return static_cast<double>(value);
}

// More than is made on the host, and no multiple of it.
TEST(TrialOperands, AreFilledWithVariedNumbers) {
  const auto stream = backend_of(DeviceKind::cpu).make_stream(0);
  for (const DType type : {DType::f32, DType::bf16}) {
    for (const std::size_t elements : {std::size_t{1}, std::size_t{1000}, std::size_t{700'003}}) {
      const Buffer buffer({}, elements * size_of(type));
      std::memset(buffer.data(), 0xff, buffer.bytes());  // no numbers
      fill_varied(buffer, type, *stream);
      double sum = 0;
      double squares = 0;
      std::set<double> seen;
      for (std::size_t i = 0; i < elements; ++i) {
        const double value = f32_of(buffer.data() + i * size_of(type), type);
        ASSERT_TRUE(value >= -1 && value <= 1) << i;
        if (i >= elements - 100 || i < 100) seen.insert(value);
        sum += value;
        squares += value * value;
      }
      const Buffer again({}, buffer.bytes());
      fill_varied(again, type, *stream);
      EXPECT_EQ(std::memcmp(buffer.data(), again.data(), buffer.bytes()), 0);
      if (elements == 1) continue;
      const auto count = static_cast<double>(elements);
      EXPECT_NEAR(sum / count, 0, 0.1);
      EXPECT_NEAR(squares / count, 1.0 / 3, 0.05);
      EXPECT_GT(seen.size(), 100u);
    }
  }
}

}  // namespace
}  // namespace dermatome::cudnn
