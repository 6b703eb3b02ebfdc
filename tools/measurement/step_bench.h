// A whole training or inference step over made-up photographs, to be run again and again.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/compile/chain.h"
#include "engine/compile/program.h"
#include "engine/graph/model.h"
#include "tools/training/networks.h"

namespace dermatome::measurement {

struct StepSettings {
  std::string mode = "train";  // augmentation, forward, backward, Adam; or "infer": the forward pass at inference
  int size = 128;
  int batch = 8;
  std::vector<std::string> frozen = {};  // parameter groups that do not learn, as in a recipe's stage
  std::uint64_t seed = 7;
  Device device;
  CompileOptions compile;
  int steps_per_launch = 1;  // of training, on a GPU that records
};

class StepBench {
 public:
  // Throws as Program does, and where memory does not suffice Error saying what would fit. The model must outlive it.
  StepBench(const Model& model, const StepSettings& settings);
  StepBench(const StepBench&) = delete;  // its parts refer to each other
  StepBench& operator=(const StepBench&) = delete;

  double run();  // one step of inference, or steps_per_launch of training as training runs them; seconds of one
  // One step, with the times of each part. One entry a program.
  std::vector<RunTimes> run_timed();

  // What runs in one step, one behind the other: "step" (forward, and backward in training) and in training "update".
  struct Part {
    std::string name;
    Program* program;
  };
  std::vector<Part> parts();
  const StateStore& store() const { return store_; }

 private:
  void build(const Model& model, const StepSettings& settings);
  [[noreturn]] void refuse(const Model& model, const StepSettings& settings, const OutOfMemory& error);
  void set_inputs(const Model& model, std::uint64_t seed);

  StateStore store_;
  training::StageSettings stage_;
  training::StagePrograms programs_;
  std::optional<Program> step_;
  std::optional<Program> update_;
  std::optional<Chain> chain_;  // of both
  int steps_of_chain_ = 1;
};

}  // namespace dermatome::measurement
