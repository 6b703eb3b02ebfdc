// Graphs around a model.
#include "tools/training/networks.h"

#include <algorithm>
#include <map>

#include "engine/compile/pass.h"
#include "engine/core/error.h"
#include "engine/graph/autograd.h"

namespace dermatome::training {
namespace {

bool is_frozen(const StageSettings& stage, const std::string& group) {
  return std::find(stage.frozen.begin(), stage.frozen.end(), group) != stage.frozen.end();
}

// A frozen group's batch norm runs on its running statistics, like all of it where the stage freezes batch norm.
Model::PhaseOf training_phases(const StageSettings& stage) {
  return [&stage](const std::string& group) {
    return Phase{.training = true, .live_statistics = stage.batch_norm == "live" && !is_frozen(stage, group)};
  };
}

struct Batch {
  Value image, target, divisor;
};

Batch add_data(Graph& graph, Builder& builder, const StagePrograms& p, std::int64_t batch) {
  const std::int64_t size = p.stage.size;
  const Value images = graph.add_input("images", {DType::u8, {p.resident, size, size, 3}});
  const Value masks = graph.add_input("masks", {DType::u8, {p.resident, size, size}});
  const Value indices = graph.add_input("indices", {DType::i32, {batch}});
  const Value tables = graph.add_input("tables", {p.type, {batch, 8}});
  const Value divisor = graph.add_input("divisor", {p.type, {1}});
  const auto data = builder.call_all("augment", {images, masks, indices, tables},
                                     {{"reflect_mask", p.stage.augmentation.reflect_mask}});
  return {data[0], data[1], divisor};
}

Value add_loss_and_metrics(Graph& graph, Builder& builder, const LossSettings& settings, Value logits,
                           const Batch& batch) {
  builder.set_scope({.name = "loss", .group = {}, .at = {}});
  const auto loss = add_loss(builder, settings, logits, batch.target, batch.divisor);
  builder.set_scope({.name = "metrics", .group = {}, .at = {}});
  graph.mark_output("loss", loss[0]);
  graph.mark_output("metrics", builder.call("segmentation_metrics", {loss[1]}));
  return loss[0];
}

std::int64_t number_of_groups(const StagePrograms& p) {
  return static_cast<std::int64_t>(std::max<std::size_t>(1, p.model.groups().size()));
}

StateDeclaration state_like(const StateDeclaration& parameter, std::string name) {
  return {
      .name = std::move(name), .desc = parameter.desc, .initializer = {}, .group = parameter.group, .trainable = false};
}

// Behind the update: `moved` are the next values of the states that Adam writes.
void add_averages(Graph& graph, Builder& builder, const StagePrograms& p, const std::map<std::string, Value>& moved) {
  builder.set_scope({.name = "average", .group = {}, .at = {}});
  std::vector<Value> inputs{graph.add_input("decay", {p.type, {1}})};
  std::vector<std::string> written;
  for (const auto& state : states_of(p.model, p.type)) {
    const auto next = moved.find(state.name);
    written.push_back(average_state(state.name));
    inputs.push_back(graph.read_state(state_like(state, written.back())));
    inputs.push_back(next == moved.end() ? graph.read_state(state) : next->second);
  }
  const auto averages = builder.call_all("moving_average", std::move(inputs));
  for (std::size_t i = 0; i < written.size(); ++i) graph.write_state(written[i], averages[i]);
}

}  // namespace

std::string gradient_state(const std::string& parameter) {
  return "gradient/" + parameter;
}
std::string first_moment_state(const std::string& parameter) {
  return "adam/first_moment/" + parameter;
}
std::string second_moment_state(const std::string& parameter) {
  return "adam/second_moment/" + parameter;
}

void check_model(const Recipe& recipe, const Model& model) {
  check_groups(recipe, model.groups());
  states_of(model, DType::f32);
  for (const auto& stage : recipe.stages) {
    if (stage.find_lr && !stage.find.rises())
      fail_usage("an exponential sweep rises: find_start = {:g} must be below find_end = {:g}", stage.find.start,
                 stage.find.last_rate());
    if (stage.size % model.divisor() == 0) continue;
    const auto below = stage.size / model.divisor() * model.divisor();
    fail_usage("size={} does not fit {}, whose sides must be divisible by {}; {}{} would do", stage.size, model.name(),
               model.divisor(), below > 0 ? fmt::format("{} or ", below) : "", below + model.divisor());
  }
}

std::string average_state(const std::string& state) {
  return kAverages + state;
}

std::vector<StateDeclaration> states_of(const Model& model, DType type) {
  Graph graph;
  Builder builder(graph);
  const std::int64_t side = std::max<std::int64_t>(64, 2 * model.divisor());
  model.append(builder, graph.add_input("image", {type, {2, side, side, model.input_channels()}}), inference_phase);
  return graph.states();
}

std::vector<StateDeclaration> parameters_of(const Model& model, DType type) {
  auto states = states_of(model, type);
  std::erase_if(states, [](const StateDeclaration& state) { return !state.trainable; });
  return states;
}

std::vector<StateDeclaration> learning_parameters(const StagePrograms& p) {
  auto parameters = parameters_of(p.model, p.type);
  std::erase_if(parameters, [&](const StateDeclaration& state) { return is_frozen(p.stage, state.group); });
  return parameters;
}

std::vector<StateDeclaration> gradient_states(const StagePrograms& p) {
  std::vector<StateDeclaration> states;
  for (const auto& parameter : learning_parameters(p))
    states.push_back(state_like(parameter, gradient_state(parameter.name)));
  std::reverse(states.begin(), states.end());
  return states;
}

std::vector<StateDeclaration> average_states(const StagePrograms& p) {
  std::vector<StateDeclaration> states;
  if (p.stage.ema == 0) return states;
  for (const auto& state : states_of(p.model, p.type)) states.push_back(state_like(state, average_state(state.name)));
  return states;
}

std::vector<StateDeclaration> optimizer_states(const StagePrograms& p) {
  std::vector<StateDeclaration> states{{.name = kStepState,
                                        .desc = {p.type, {number_of_groups(p)}},
                                        .initializer = {},
                                        .group = {},
                                        .trainable = false}};
  for (const auto& parameter : learning_parameters(p)) {
    states.push_back(state_like(parameter, first_moment_state(parameter.name)));
    states.push_back(state_like(parameter, second_moment_state(parameter.name)));
  }
  return states;
}

Graph accumulate_graph(const StagePrograms& p, std::int64_t batch, bool add) {
  Graph graph;
  Builder builder(graph);
  const Batch data = add_data(graph, builder, p, batch);
  const Value logits = p.model.append(builder, data.image, training_phases(p.stage));
  const Value loss = add_loss_and_metrics(graph, builder, p.stage.loss, logits, data);
  run_passes_before_gradients(graph, p.compile, p.device);

  const auto parameters = learning_parameters(p);
  std::vector<Value> wanted;
  for (const auto& parameter : parameters) wanted.push_back(graph.state(parameter.name));
  const auto gradients = differentiate(graph, loss, wanted);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const StateDeclaration state = state_like(parameters[i], gradient_state(parameters[i].name));
    DERMATOME_CHECK(gradients[i], "the loss does not depend on the parameter {}", parameters[i].name);
    const Value old = graph.read_state(state);
    builder.set_scope({.name = state.name, .group = state.group, .at = {}});
    graph.write_state(state.name, add ? builder.add(old, gradients[i]) : gradients[i]);
  }
  return graph;
}

std::vector<std::int32_t> group_indices(const StagePrograms& p) {
  const auto groups = p.model.groups();
  std::vector<std::int32_t> indices;
  for (const auto& parameter : learning_parameters(p)) {
    const auto found = std::find(groups.begin(), groups.end(), parameter.group);
    indices.push_back(found == groups.end() ? 0 : static_cast<std::int32_t>(found - groups.begin()));
  }
  return indices;
}

std::vector<float> learning_groups(const StagePrograms& p) {
  std::vector<float> learning;
  for (const auto& group : p.model.groups()) learning.push_back(is_frozen(p.stage, group) ? 0.0f : 1.0f);
  return learning.empty() ? std::vector<float>{1} : learning;
}

Graph update_graph(const StagePrograms& p) {
  Graph graph;
  Builder builder(graph);
  const auto parameters = learning_parameters(p);
  const auto groups = number_of_groups(p);
  const Value step =
      builder.add(graph.read_state(optimizer_states(p).front()), graph.add_input("learning", {p.type, {groups}}));
  graph.write_state(kStepState, step);

  std::vector<Value> inputs{step, graph.add_input("beta1", {p.type, {1}}), graph.add_input("rates", {p.type, {groups}}),
                            graph.add_input("groups", {DType::i32, {static_cast<std::int64_t>(parameters.size())}})};
  std::vector<Value> gradients;
  for (const auto& parameter : parameters)
    gradients.push_back(graph.read_state(state_like(parameter, gradient_state(parameter.name))));
  builder.set_scope({.name = "clip", .group = {}, .at = {}});
  inputs.push_back(p.stage.clip_norm > 0 ? builder.call("clip_scale", gradients, {{"max_norm", p.stage.clip_norm}})
                                         : Value{});
  std::vector<std::string> written;
  for (const auto& parameter : parameters) {
    written.push_back(parameter.name);
    written.push_back(first_moment_state(parameter.name));
    written.push_back(second_moment_state(parameter.name));
    inputs.push_back(graph.read_state(parameter));
    inputs.push_back(graph.read_state(state_like(parameter, written[written.size() - 2])));
    inputs.push_back(graph.read_state(state_like(parameter, written.back())));
    inputs.push_back(gradients[written.size() / 3 - 1]);
  }
  builder.set_scope({.name = "adam", .group = {}, .at = {}});
  const auto outputs =
      builder.call_all("adam", std::move(inputs),
                       {{"beta2", p.stage.beta2}, {"eps", p.stage.eps}, {"weight_decay", p.stage.weight_decay}});
  std::map<std::string, Value> moved;
  for (std::size_t i = 0; i < written.size(); ++i) {
    graph.write_state(written[i], outputs[i]);
    moved[written[i]] = outputs[i];
  }
  if (p.stage.ema > 0) add_averages(graph, builder, p, moved);
  return graph;
}

Graph validation_graph(const StagePrograms& p, std::int64_t batch) {
  Graph graph;
  Builder builder(graph);
  const Batch data = add_data(graph, builder, p, batch);
  const Value logits = p.model.append(builder, data.image, inference_phase);
  add_loss_and_metrics(graph, builder, p.stage.loss, logits, data);
  builder.set_scope({.name = "probability", .group = {}, .at = {}});
  graph.mark_output("probability", builder.call("sigmoid", {logits}));
  return graph;
}

Graph inference_graph(const Model& model, std::int64_t batch, std::int64_t height, std::int64_t width, DType type) {
  Graph graph;
  Builder builder(graph);
  const Value image = graph.add_input("image", {type, {batch, height, width, model.input_channels()}});
  const Value logits = model.append(builder, image, inference_phase);
  builder.set_scope({.name = "probability", .group = {}, .at = {}});
  graph.mark_output("probability", builder.call("sigmoid", {logits}));
  return graph;
}

}  // namespace dermatome::training
