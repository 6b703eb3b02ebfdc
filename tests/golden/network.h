// One network in the golden state on one device, with its loss, gradients and, if wanted, Adam.
#pragma once

#include "engine/compile/pass.h"
#include "engine/compile/program.h"
#include "engine/graph/autograd.h"
#include "engine/graph/model.h"
#include "tests/golden/formula.h"
#include "tests/golden/record.h"

namespace dermatome::golden {

inline Tensor tensor_from(const std::vector<float>& values, const TensorDesc& desc) {
  const Tensor tensor(desc);
  if (desc.type == DType::f64) {
    std::copy(values.begin(), values.end(), tensor.as<double>().begin());
  } else {
    std::copy(values.begin(), values.end(), tensor.as<float>().begin());
  }
  return tensor;
}

inline Tensor on_host(const Tensor& tensor) {
  Tensor copy(tensor.desc());
  copy.copy_from(tensor);
  return copy;
}

// Batch norm as PyTorch's eval() with gradients: frozen everywhere, gamma and beta trained.
inline Phase frozen_phase(const std::string&) {
  return {.training = true, .live_statistics = false};
}

struct Result {
  double loss = 0;
  Tensor logits;
  std::vector<std::string> parameters;  // in the order of the forward pass
  Tensors gradients;
  Tensors running;  // statistics afterwards

  // Against one of the parts of the file: eval or train.
  Comparison compare(const Json& part) const {
    Comparison comparison;
    comparison.number("loss", loss, part.at("loss"));
    comparison.tensor("logits", logits, part.at("logits"));
    comparison.tensors("gradient of", gradients, part.at("gradients"));
    if (part.contains("running")) comparison.tensors("new", running, part.at("running"));
    return comparison;
  }
};

// What one ReLU passed on, or which place each window of a max_pool took.
struct Choice {
  std::string layer;
  std::size_t parameters_before = 0;  // the layer depends on no later ones
  Tensor result;
};

class Network {
 public:
  Network(const Model& model, const Model::PhaseOf& phase_of, Device device, DType type)
      : device_(device), type_(type), store_(device), builder_(graph_) {
    logits_ = model.append(builder_, graph_.add_input("image", {type, kImageShape}), phase_of);
    graph_.mark_output("logits", logits_);
  }
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // The mean over all pixels, and the gradients of every parameter.
  void add_loss(const CompileOptions& options = options_from_environment()) {
    const Value target = graph_.add_input("target", graph_.desc(logits_));
    const Value loss = builder_.call("bce_with_logits", {logits_, target, graph_.add_input("divisor", {type_, {1}})});
    graph_.mark_output("loss", loss);
    run_passes_before_gradients(graph_, options, device_);
    std::vector<Value> parameters;
    for (const auto& state : graph_.states()) {
      if (!state.trainable) continue;
      names_.push_back(state.name);
      parameters.push_back(graph_.state(state.name));
    }
    gradients_ = differentiate(graph_, loss, parameters);
  }
  void keep_gradients() {
    for (std::size_t i = 0; i < names_.size(); ++i) graph_.mark_output("gradient of " + names_[i], gradients_[i]);
  }

  // Of every ReLU and max_pool so far; the results are there after a run.
  std::vector<Choice> keep_choices() {
    std::vector<Choice> choices;
    std::size_t parameters = 0;
    for (const Node& node : graph_.nodes()) {
      for (const Value input : node.inputs) parameters += input && is_parameter(input) ? 1 : 0;
      const std::string& op = node.op->name();
      if (op != "relu" && op != "max_pool") continue;
      choices.push_back({fmt::format("{} {} {}", op, node.name, choices.size()), parameters, {}});
      graph_.mark_output(choices.back().layer, node.outputs[op == "relu" ? 0 : 1]);
    }
    return choices;
  }

  // All parameters in one group of one rate, with PyTorch's settings.
  void add_adam() {
    std::vector<Value> inputs{graph_.add_input("step", {type_, {1}}), graph_.add_input("beta1", {type_, {1}}),
                              graph_.add_input("rates", {type_, {1}}),
                              graph_.add_input("groups", {DType::i32, {static_cast<std::int64_t>(names_.size())}}),
                              Value{}};  // nothing is clipped
    std::vector<std::string> written;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const Value weight = graph_.state(names_[i]);
      inputs.push_back(weight);
      written.push_back(names_[i]);
      for (const char* moment : {"first moment of ", "second moment of "}) {
        inputs.push_back(graph_.read_state(
            {.name = moment + names_[i], .desc = graph_.desc(weight), .initializer = {}, .group = {}}));
        written.push_back(moment + names_[i]);
      }
      inputs.push_back(gradients_[i]);
    }
    const auto outputs = builder_.call_all("adam", std::move(inputs), {{"weight_decay", 1e-7}});
    for (std::size_t i = 0; i < outputs.size(); ++i) graph_.write_state(written[i], outputs[i]);
  }

  // Ends the building: the golden state, compiled. `plant` may change the state before.
  void compile(const std::function<void(StateStore&)>& plant = {}, const CompileOptions& options = {}) {
    store_.create(graph_.states(), 0);
    for (const auto& state : graph_.states()) {
      if (state.name.find(' ') == std::string::npos)
        store_.write(state.name, tensor_from(values_of(state.name, state.desc.shape), state.desc));
    }
    if (plant) plant(store_);
    program_ = std::make_unique<Program>(graph_, device_, store_, options);
    set("image", image());
    if (gradients_.empty()) return;
    set("target", target());
    set("divisor", {static_cast<float>(target().size())});
  }

  void set(const char* input, const std::vector<float>& values) {
    program_->input(input).copy_from(tensor_from(values, program_->input(input).desc()));
  }
  void set_number(const char* input, double value) {
    const Tensor tensor({type_, {1}});
    if (type_ == DType::f64) {
      tensor.as<double>()[0] = value;
    } else {
      tensor.as<float>()[0] = static_cast<float>(value);
    }
    program_->input(input).copy_from(tensor);
  }

  Program& program() { return *program_; }
  double loss() const { return doubles_of(on_host(program_->output("loss")))[0]; }
  Tensor logits() const { return on_host(program_->output("logits")); }
  Tensors parameters() const {
    Tensors tensors;
    for (const auto& name : names_) tensors[name] = store_.read(name);
    return tensors;
  }

  Result run() {
    program_->run();
    Result result{.loss = loss(), .logits = logits(), .parameters = names_, .gradients = {}, .running = {}};
    for (const auto& name : names_) result.gradients[name] = on_host(program_->output("gradient of " + name));
    for (const auto& name : store_.names()) {
      if (name.find(".running_") != std::string::npos) result.running[name] = store_.read(name);
    }
    return result;
  }

 private:
  bool is_parameter(Value value) const {
    const auto& states = graph_.states();
    return std::any_of(states.begin(), states.end(), [&](const StateDeclaration& state) {
      return state.trainable && state.name == graph_.info(value).state;
    });
  }

  Device device_;
  DType type_;
  StateStore store_;
  Graph graph_;
  Builder builder_;
  Value logits_;
  std::vector<std::string> names_;  // of the parameters
  std::vector<Value> gradients_;
  std::unique_ptr<Program> program_;
};

// The forward pass alone, with all that is not smooth in it.
inline std::vector<Choice> choices_of(const Model& model, const Model::PhaseOf& phase_of, Device device, DType type) {
  Network network(model, phase_of, device, type);
  auto choices = network.keep_choices();
  network.compile();
  network.program().run();
  for (auto& choice : choices) choice.result = on_host(network.program().output(choice.layer));
  return choices;
}

// One forward and backward pass.
inline Result forward_backward(const Model& model, const Model::PhaseOf& phase_of, Device device, DType type,
                               const std::function<void(StateStore&)>& plant = {},
                               const CompileOptions& options = options_from_environment()) {
  Network network(model, phase_of, device, type);
  network.add_loss(options);
  network.keep_gradients();
  network.compile(plant, options);
  return network.run();
}

}  // namespace dermatome::golden
