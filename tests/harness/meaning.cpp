// Compositions as programs, reference kernels as they are.
#include "tests/harness/meaning.h"

#include "engine/compile/pass.h"

namespace dermatome::harness {

CompileOptions without_passes() {
  CompileOptions options;
  for (const Rewrite* rewrite : all_rewrites()) options.disabled_passes.push_back(rewrite->name);
  return options;
}

std::string input_name(std::size_t i) {
  return fmt::format("input{}", i);
}
std::string output_name(std::size_t i) {
  return fmt::format("output{}", i);
}

Meaning::Meaning(const Instance& instance) {
  Graph graph;
  std::vector<Value> inputs;
  for (std::size_t i = 0; i < instance.inputs.size(); ++i) {
    const Tensor& input = instance.inputs[i];
    inputs.push_back(input.defined() ? graph.add_input(input_name(i), input.desc()) : Value{});
  }
  Builder builder(graph);
  const std::vector<Value> values = instance.op.composition(builder, instance.attributes, inputs);
  const bool complete = values.size() == instance.outputs.size();
  if (values.empty()) {
    kernel_.emplace(make_kernel(request_for(instance, kReference)));
    return;
  }
  DERMATOME_CHECK(complete, "the composition of {} has {} values for {} outputs", instance.op.name(), values.size(),
                  instance.outputs.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    composed_output_.push_back(static_cast<bool>(values[i]));
    if (!values[i]) continue;
    DERMATOME_CHECK(graph.desc(values[i]) == instance.outputs[i], "the composition of {} gives {} for {}",
                    instance.op.name(), to_string(graph.desc(values[i])), to_string(instance.outputs[i]));
    graph.mark_output(output_name(i), values[i]);
  }
  composed_ = std::make_unique<SmallProgram>(kReference);
  composed_->program.emplace(std::move(graph), kReference, composed_->store, without_passes());
}

std::vector<Tensor> Meaning::outputs(const Instance& instance) const {
  if (!composed()) return kernel_->run(instance, kReference);
  for (std::size_t i = 0; i < instance.inputs.size(); ++i) {
    if (instance.inputs[i].defined()) composed_->program->input(input_name(i)).copy_from(instance.inputs[i]);
  }
  composed_->program->run();
  std::vector<Tensor> outputs(instance.outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (composed_output_[i]) outputs[i] = composed_->program->output(output_name(i)).clone();
  }
  return outputs;
}

}  // namespace dermatome::harness
