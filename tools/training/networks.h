// The graphs of training, validation and prediction: a model with its data, loss, metrics and optimiser around it.
#pragma once

#include <string>
#include <vector>

#include "engine/compile/program.h"
#include "engine/graph/model.h"
#include "tools/training/recipe.h"

namespace dermatome::training {

// Columns of the metrics tensor [n, 6] that programs here give, one row an image.
enum Metric { kJaccard, kThresholdedJaccard, kDice, kAccuracy, kSensitivity, kSpecificity, kMetrics };
inline constexpr const char* kMetricNames[kMetrics] = {"jaccard",  "thresholded_jaccard", "dice",
                                                       "accuracy", "sensitivity",         "specificity"};

// Names of states besides the model's own.
std::string gradient_state(const std::string& parameter);
std::string first_moment_state(const std::string& parameter);
std::string second_moment_state(const std::string& parameter);
inline constexpr const char* kStepState = "adam/step";
std::string average_state(const std::string& state);
inline constexpr const char* kAverages = "average/";  // in front of the names of all averages

// How one stage's programs differ from the next stage's.
struct StagePrograms {
  const Model& model;
  const StageSettings& stage;
  std::int64_t resident;  // rows of images and masks: PhotographSet::rows()
  DType type = DType::f32;
  CompileOptions compile = {};  // that the programs will be compiled with, and for which device
  Device device = {};
};

// Inputs images u8 [resident, s, s, 3], masks u8 [resident, s, s], indices i32 [batch], tables [batch, 8], divisor [1]
// (pixels of the whole step). Outputs loss [1], metrics [batch, 6]. Writes every learning parameter's gradient state:
// overwrites it, or adds to it where `add`.
Graph accumulate_graph(const StagePrograms& programs, std::int64_t batch, bool add);

// Inputs beta1 [1], rates [groups] in the order of Model::groups() (one rate where the model declares none), groups i32
// [parameters]: group_indices(), learning [groups]: learning_groups(). Moves every learning parameter by its gradient
// state; where the stage keeps averages, these too, by the input decay [1].
Graph update_graph(const StagePrograms& programs);
std::vector<std::int32_t> group_indices(const StagePrograms& programs);
std::vector<float> learning_groups(const StagePrograms& programs);  // 1 for groups that learn, 0 for frozen ones

// As accumulate_graph without gradients, at inference. Outputs loss, metrics and probability [batch, s, s, 1].
Graph validation_graph(const StagePrograms& programs, std::int64_t batch);

// Inputs image [batch, height, width, channels] (normalised); output probability [batch, height, width, 1].
Graph inference_graph(const Model& model, std::int64_t batch, std::int64_t height, std::int64_t width, DType type);

// Throws for a recipe that the model cannot follow, before anything is read or written: an error in its text, a group
// that it does not have, a size that it cannot take.
void check_model(const Recipe& recipe, const Model& model);

// Trainable states of the model (with any batch norm), in the order of the text.
std::vector<StateDeclaration> parameters_of(const Model& model, DType type);
// All states of the model, running statistics included.
std::vector<StateDeclaration> states_of(const Model& model, DType type);
// Parameters of the groups that the stage trains.
std::vector<StateDeclaration> learning_parameters(const StagePrograms& programs);

// The states that a stage's update needs besides the model's: zero moments, and a step number of each group; and the
// gradients, which lie contiguous, in reverse order of the text.
std::vector<StateDeclaration> optimizer_states(const StagePrograms& programs);
// A moving average of each of the model's states, where the stage keeps them.
std::vector<StateDeclaration> average_states(const StagePrograms& programs);
std::vector<StateDeclaration> gradient_states(const StagePrograms& programs);

}  // namespace dermatome::training
