// Kernels around cuDNN's plans.
#include "kernels/vendor/cudnn_convolution.h"

#include <algorithm>

#include "engine/core/error.h"
#include "kernels/launch/workspace.h"
#include "kernels/vendor/cuda_layouts.h"
#include "kernels/vendor/cudnn_products.h"

namespace dermatome::cudnn {
namespace {

// A device whose streams have no native handle is the host in a device's role.
Choice choose(const Convolution& wanted, const std::vector<Convolution>& candidates, const KernelRequest& request) {
  if (candidates.empty()) return {};
  if (backend_of(request.device.kind).make_stream(request.device.index)->native() == nullptr) {
    const std::size_t candidate = std::min(host_candidate, candidates.size() - 1);
    return {make_host_plan(candidates[candidate]), candidate};
  }
  return choose_plan(wanted, candidates, request.device.index, request.plans);
}

// All weights of a network: each alone is less work than starting a kernel.
template <DType kType>
void reorder_all(std::span<const Call> calls) {
  std::vector<cuda::WeightCopy> copies;
  for (const Call& call : calls) {
    const std::int64_t* extents = call.inputs[0].extent;
    copies.push_back({.from = static_cast<const float*>(call.inputs[0].data),
                      .to = call.outputs[0].data,
                      .in = extents[1],
                      .taps = extents[2] * extents[3],
                      .elements = call.inputs[0].elements});
  }
  cuda::oihw_to_ohwi_all(calls.front(), copies, kType);
}

// A weight as cuDNN wants it.
class ReorderWeight final : public Kernel {
 public:
  explicit ReorderWeight(DType type) : type_(type) {}
  void run(const Call& call) override {
    cuda::oihw_to_ohwi(call, static_cast<const float*>(call.inputs[0].data), call.inputs[0].extent, type_,
                       call.outputs[0].data);
  }
  RunTogether together() const override {
    return type_ == DType::f32 ? reorder_all<DType::f32> : reorder_all<DType::bf16>;
  }
  std::string describe() const override { return "cuda oihw to ohwi"; }

 private:
  DType type_;
};

class ConvolutionKernel final : public Kernel {
 public:
  ConvolutionKernel(Planned planned, const OperandsOfCall& operands, const TensorDesc& weight)
      : planned_(std::move(planned)), operands_(operands), weight_(weight) {}

  std::size_t workspace_bytes() const override { return static_cast<std::size_t>(planned_.workspace_bytes()); }
  std::vector<PreparedInput> take_prepared_inputs() override {
    std::vector<PreparedInput> prepared;
    prepared.push_back(weight_as_ohwi(operands_.weight, weight_, planned_.wanted.type));
    return prepared;
  }
  void run(const Call& call) override {
    const auto whole = [&](int i) { return i < 0 ? nullptr : call.inputs[i].data; };
    const auto channel = [&](int i) { return static_cast<const float*>(whole(i)); };
    planned_.run(call, {.first = call.inputs[operands_.read].data,
                        .second = call.inputs[operands_.weight].data,
                        .bias = channel(operands_.bias),
                        .scale = channel(operands_.scale),
                        .shift = channel(operands_.shift),
                        .residual = whole(operands_.residual),
                        .gate = whole(operands_.gate),
                        .other = whole(operands_.other),
                        .sum = operands_.sums ? static_cast<float*>(call.outputs[1].data) : nullptr,
                        .second_sum = operands_.sums ? static_cast<float*>(call.outputs[2].data) : nullptr,
                        .result = call.outputs[0].data,
                        .workspace = call.workspace});
  }
  std::string describe() const override { return planned_.plan->describe(); }

 private:
  Planned planned_;
  OperandsOfCall operands_;
  TensorDesc weight_;
};

// By way of the gradient as OHWI.
class WeightGradientKernel final : public Kernel {
 public:
  WeightGradientKernel(Planned planned, const OperandsOfWeightGradient& operands)
      : chosen_(planned.chosen), plan_(std::move(planned.plan)), operands_(operands) {
    gradient_ = layout_.take(chosen_.out * chosen_.in * chosen_.kernel * chosen_.kernel *
                             static_cast<std::int64_t>(size_of(chosen_.result)));
    const std::int64_t sums = operands_.dbias < 0 ? 0 : cuda::channel_sum_workspace(chosen_.y_pixels(), chosen_.out);
    rest_ = layout_.take(std::max(plan_->workspace_bytes(), sums));
  }

  std::size_t workspace_bytes() const override { return static_cast<std::size_t>(layout_.bytes()); }
  void run(const Call& call) override {
    const Operand& dy = call.inputs[operands_.dy];
    void* gradient = launch::part_of<void>(call.workspace, gradient_);
    void* rest = launch::part_of<void>(call.workspace, rest_);
    plan_->run({.first = call.inputs[operands_.x].data, .second = dy.data, .result = gradient, .workspace = rest},
               *call.stream);
    const Operand& dweight = call.outputs[operands_.dweight];
    cuda::ohwi_to_oihw(call, gradient, chosen_.result, dweight.extent, static_cast<float*>(dweight.data));
    if (operands_.dbias < 0) return;
    cuda::channel_sum(call, {dy.type, dy.data, chosen_.y_pixels(), chosen_.out, chosen_.out}, rest,
                      static_cast<float*>(call.outputs[operands_.dbias].data));
  }
  std::string describe() const override { return plan_->describe(); }

 private:
  Convolution chosen_;
  std::unique_ptr<Plan> plan_;
  OperandsOfWeightGradient operands_;
  launch::WorkspaceLayout layout_;
  std::int64_t gradient_, rest_;
};

}  // namespace

std::size_t host_candidate = 0;

std::int64_t Planned::workspace_bytes() const {
  const bool sums_behind = (wanted.epilogue.sums || wanted.epilogue.sums_with) && !chosen.epilogue.any();
  const std::int64_t of_sums =
      sums_behind ? cuda::channel_moments_workspace(wanted.pixels_written(), wanted.channels_written()) : 0;
  return std::max(plan->workspace_bytes(), of_sums);
}

void Planned::run(const Call& call, const Operands& operands) const {
  plan->run(operands, *call.stream);
  const Epilogue& epilogue = wanted.epilogue;
  if (!epilogue.any() || chosen.epilogue.any()) return;
  const cuda::Rows written{.type = wanted.result,
                           .data = operands.result,
                           .rows = wanted.pixels_written(),
                           .channels = wanted.channels_written(),
                           .step = wanted.written_step()};
  if (epilogue.sums_with) {
    cuda::gate_and_sum(
        call, written,
        {.added = epilogue.residual ? operands.residual : nullptr, .gate = operands.gate, .other = operands.other},
        operands.workspace, operands.sum, operands.second_sum);
    return;
  }
  if (epilogue.changes()) {
    const auto given = [](bool wanted_part, auto* pointer) { return wanted_part ? pointer : nullptr; };
    cuda::finish_convolution(call, written,
                             {.bias = given(epilogue.bias, operands.bias),
                              .scale = given(epilogue.scale, operands.scale),
                              .shift = given(epilogue.scale, operands.shift),
                              .residual = given(epilogue.reads_residual(), operands.residual),
                              .residual_factor = given(epilogue.residual_factor, operands.residual_factor),
                              .relu_first = epilogue.relu_first,
                              .adds = epilogue.residual,
                              .relu = epilogue.relu,
                              .mask = epilogue.mask});
  }
  if (epilogue.sums) {
    cuda::channel_moments(call, written, operands.workspace, operands.sum, operands.second_sum);
  }
}

Planned plan_for(const Convolution& wanted, const KernelRequest& request) {
  const auto candidates = candidates_for(wanted);
  Choice choice = choose(wanted, candidates, request);
  if (choice.plan == nullptr) return {};
  return {wanted, candidates[choice.candidate], std::move(choice.plan)};
}

PreparedInput weight_as_ohwi(int input, const TensorDesc& weight, DType type) {
  return {.input = input,
          .layout = fmt::format("ohwi {}", name_of(type)),
          .bytes = static_cast<std::size_t>(weight.shape.elements()) * size_of(type),
          .reorder = std::make_unique<ReorderWeight>(type),
          .channels_last = type};
}

// Fused epilogues first: they move least memory. Where a type other than that of the operands is to be written, some
// engines can only behind an identity: so a weight gradient from bf16 operands as f32, which cuDNN 9.19 refuses for one
// and three channels and from slices on all GPUs but the newest. Its other formulation rounds each sum to bf16 once it
// is complete. cuBLASLt writes f32 from slices too. A data gradient from bf16 is never written as f32: the 256 to 1
// head has a kernel of our own.
std::vector<Convolution> candidates_for(const Convolution& wanted) {
  std::vector<Convolution> candidates;
  // Of cuBLASLt, behind cuDNN's own.
  const auto add_product = [&] {
    if (!is_product(wanted)) return;
    candidates.push_back(wanted);
    candidates.back().product = true;
    if (!wanted.epilogue.any()) return;
    if (product_takes(wanted)) candidates.push_back(candidates.back());
    candidates.back().epilogue = {};
  };
  const bool widens = wanted.type != wanted.result;
  if (wanted.direction == Direction::data_gradient && widens) return candidates;
  if (wanted.direction == Direction::weight_gradient) {
    const bool sliced = wanted.x_pitch > 0 || wanted.y_pitch > 0;
    if (!widens || !sliced) {
      candidates.push_back(wanted);
      candidates.back().identity = widens;
    }
    add_product();
    if (widens && !wanted.exact) {  // rounded to bf16
      candidates.push_back(wanted);
      candidates.back().result = wanted.type;
    }
    return candidates;
  }
  candidates.push_back(wanted);
  if (wanted.epilogue.any()) {
    candidates.push_back(wanted);
    candidates.back().epilogue = {};
  }
  if (widens) {
    candidates.push_back(wanted);
    candidates.back().epilogue = {};
    candidates.back().identity = true;
  }
  add_product();
  return candidates;
}

std::unique_ptr<Kernel> make_convolution(const Convolution& wanted, const OperandsOfCall& operands,
                                         const KernelRequest& request) {
  Planned planned = plan_for(wanted, request);
  if (planned.plan == nullptr) return nullptr;
  const TensorDesc weight = request.inputs[static_cast<std::size_t>(operands.weight)];
  return std::make_unique<ConvolutionKernel>(std::move(planned), operands, weight);
}

std::unique_ptr<Kernel> make_weight_gradient(const Convolution& wanted, const OperandsOfWeightGradient& operands,
                                             const KernelRequest& request) {
  Planned planned = plan_for(wanted, request);
  if (planned.plan == nullptr) return nullptr;
  return std::make_unique<WeightGradientKernel>(std::move(planned), operands);
}

std::string to_string(const Convolution& c) {
  constexpr std::string_view kDirections[] = {"forward", "data gradient", "weight gradient"};
  const Epilogue& e = c.epilogue;
  std::string text = fmt::format("convolution {} x {}x{}x{}x{} y {}x{}x{} kernel {} stride {} pad {} {} to {}",
                                 kDirections[static_cast<int>(c.direction)], c.n, c.height, c.width, c.in, c.out_height,
                                 c.out_width, c.out, c.kernel, c.stride, c.pad, name_of(c.type), name_of(c.result));
  if (c.x_pitch > 0) text += fmt::format(" x of {}", c.x_pitch);
  if (c.y_pitch > 0) text += fmt::format(" y of {}", c.y_pitch);
  const std::pair<bool, const char*> parts[] = {{e.bias, " bias"},
                                                {e.relu_first, " relu_first"},
                                                {e.scale, " scale"},
                                                {e.residual, " residual"},
                                                {e.residual_factor, " residual_factor"},
                                                {e.relu, " relu"},
                                                {e.mask, " mask"},
                                                {e.sums, " sums"},
                                                {e.gate, " gate"},
                                                {e.sums_with, " sums_with"},
                                                {c.identity, " identity"},
                                                {c.exact, " exact"},
                                                {c.tf32, " tf32"},
                                                {c.deterministic, " deterministic"},
                                                {c.product, " product"}};
  for (const auto& [given, name] : parts) {
    if (given) text += name;
  }
  return text;
}

}  // namespace dermatome::cudnn
