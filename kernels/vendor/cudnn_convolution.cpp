// Kernels around cuDNN's plans.
#include "kernels/vendor/cudnn_convolution.h"

#include "engine/core/error.h"
#include "kernels/vendor/cuda_layouts.h"

namespace dermatome::cudnn {
namespace {

constexpr std::int64_t kAlignment = 64;

std::int64_t aligned(std::int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// A device whose streams have no native handle is the host in a device's role.
Choice choose(const std::vector<Convolution>& candidates, const KernelRequest& request) {
  if (candidates.empty()) return {};
  if (backend_of(request.device.kind).make_stream(request.device.index)->native() == nullptr)
    return {make_host_plan(candidates.front()), 0};
  return choose_plan(candidates, request.device.index, request.plans);
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
  ConvolutionKernel(const Convolution& wanted, const Convolution& chosen, std::unique_ptr<Plan> plan,
                    const OperandsOfCall& operands)
      : wanted_(wanted),
        finishes_(wanted.epilogue.any() && !chosen.epilogue.any()),
        plan_(std::move(plan)),
        operands_(operands) {}

  std::size_t workspace_bytes() const override { return static_cast<std::size_t>(plan_->workspace_bytes()); }
  std::vector<PreparedInput> take_prepared_inputs() override {
    const auto elements = static_cast<std::size_t>(wanted_.out * wanted_.in * wanted_.kernel * wanted_.kernel);
    std::vector<PreparedInput> prepared;
    prepared.push_back({.input = operands_.weight,
                        .layout = fmt::format("ohwi {}", name_of(wanted_.type)),
                        .bytes = elements * size_of(wanted_.type),
                        .reorder = std::make_unique<ReorderWeight>(wanted_.type)});
    return prepared;
  }
  void run(const Call& call) override {
    const auto channel = [&](int i) { return i < 0 ? nullptr : static_cast<const float*>(call.inputs[i].data); };
    const Operand& y = call.outputs[0];
    const void* residual = operands_.residual < 0 ? nullptr : call.inputs[operands_.residual].data;
    plan_->run({.first = call.inputs[operands_.read].data,
                .second = call.inputs[operands_.weight].data,
                .bias = channel(operands_.bias),
                .scale = channel(operands_.scale),
                .shift = channel(operands_.shift),
                .residual = residual,
                .result = y.data,
                .workspace = call.workspace},
               *call.stream);
    if (!finishes_) return;
    const std::int64_t channels = wanted_.channels_written();
    cuda::finish_convolution(call, y.type, y.data, y.elements / channels, channels,
                             {.bias = channel(operands_.bias),
                              .scale = channel(operands_.scale),
                              .shift = channel(operands_.shift),
                              .residual = residual,
                              .relu_first = wanted_.epilogue.relu_first,
                              .relu = wanted_.epilogue.relu});
  }
  std::string describe() const override { return plan_->describe(); }

 private:
  Convolution wanted_;
  bool finishes_;  // the epilogue is a pass of our own
  std::unique_ptr<Plan> plan_;
  OperandsOfCall operands_;
};

// Workspace: the gradient as OHWI, then what the plan or the bias's sums need.
class WeightGradientKernel final : public Kernel {
 public:
  WeightGradientKernel(const Convolution& chosen, std::unique_ptr<Plan> plan, const OperandsOfWeightGradient& operands)
      : chosen_(chosen), plan_(std::move(plan)), operands_(operands) {}

  std::size_t workspace_bytes() const override {
    const std::int64_t sums = operands_.dbias < 0 ? 0 : cuda::channel_sum_workspace(pixels(), chosen_.out);
    return static_cast<std::size_t>(gradient_bytes() + std::max(plan_->workspace_bytes(), sums));
  }
  void run(const Call& call) override {
    const Operand& dy = call.inputs[operands_.dy];
    void* rest = static_cast<std::byte*>(call.workspace) + gradient_bytes();
    plan_->run({.first = call.inputs[operands_.x].data,
                .second = dy.data,
                .bias = nullptr,
                .scale = nullptr,
                .shift = nullptr,
                .residual = nullptr,
                .result = call.workspace,
                .workspace = rest},
               *call.stream);
    const Operand& dweight = call.outputs[operands_.dweight];
    cuda::ohwi_to_oihw(call, call.workspace, chosen_.result, dweight.extent, static_cast<float*>(dweight.data));
    if (operands_.dbias < 0) return;
    cuda::channel_sum(call, dy.type, dy.data, pixels(), chosen_.out, rest,
                      static_cast<float*>(call.outputs[operands_.dbias].data));
  }
  std::string describe() const override { return plan_->describe(); }

 private:
  std::int64_t pixels() const { return chosen_.n * chosen_.out_height * chosen_.out_width; }
  std::int64_t gradient_bytes() const {
    return aligned(chosen_.out * chosen_.in * chosen_.kernel * chosen_.kernel *
                   static_cast<std::int64_t>(size_of(chosen_.result)));
  }

  Convolution chosen_;
  std::unique_ptr<Plan> plan_;
  OperandsOfWeightGradient operands_;
};

}  // namespace

// Fused epilogues first: they move least memory. Where a type other than that of the operands is to be written, some
// engines can only behind an identity: so a weight gradient from bf16 operands, which stays f32 but for one and three
// channels. A data gradient from
// bf16 is never written as f32 (cuDNN 9.19 refuses it for every GPU): the 256 to 1 head has a kernel of our own.
std::vector<Convolution> candidates_for(const Convolution& wanted) {
  std::vector<Convolution> candidates;
  const bool widens = wanted.type != wanted.result;
  if (wanted.direction == Direction::data_gradient && widens) return candidates;
  candidates.push_back(wanted);
  if (wanted.direction == Direction::weight_gradient) {
    candidates.back().identity = widens;
    if (widens) {  // rounded to bf16, where nothing else is accepted
      candidates.push_back(wanted);
      candidates.back().result = wanted.type;
    }
    return candidates;
  }
  if (wanted.epilogue.any()) {
    candidates.push_back(wanted);
    candidates.back().epilogue = {};
  }
  if (widens) {
    candidates.push_back(wanted);
    candidates.back().epilogue = {};
    candidates.back().identity = true;
  }
  return candidates;
}

std::unique_ptr<Kernel> make_convolution(const Convolution& wanted, const OperandsOfCall& operands,
                                         const KernelRequest& request) {
  const auto candidates = candidates_for(wanted);
  Choice choice = choose(candidates, request);
  if (choice.plan == nullptr) return nullptr;
  return std::make_unique<ConvolutionKernel>(wanted, candidates[choice.candidate], std::move(choice.plan), operands);
}

std::unique_ptr<Kernel> make_weight_gradient(const Convolution& wanted, const OperandsOfWeightGradient& operands,
                                             const KernelRequest& request) {
  // In order, not by speed: the first keeps f32.
  for (const Convolution& candidate : candidates_for(wanted)) {
    Choice choice = choose({candidate}, request);
    if (choice.plan != nullptr)
      return std::make_unique<WeightGradientKernel>(candidate, std::move(choice.plan), operands);
  }
  return nullptr;
}

std::string to_string(const Convolution& c) {
  constexpr std::string_view kDirections[] = {"forward", "data gradient", "weight gradient"};
  const Epilogue& e = c.epilogue;
  return fmt::format("convolution {} x {}x{}x{}x{} y {}x{}x{} kernel {} stride {} pad {} {} to {}{}{}{}{}{}{}{}{}",
                     kDirections[static_cast<int>(c.direction)], c.n, c.height, c.width, c.in, c.out_height,
                     c.out_width, c.out, c.kernel, c.stride, c.pad, name_of(c.type), name_of(c.result),
                     e.bias ? " bias" : "", e.relu_first ? " relu_first" : "", e.scale ? " scale" : "",
                     e.residual ? " residual" : "", e.relu ? " relu" : "", c.identity ? " identity" : "",
                     c.tf32 ? " tf32" : "", c.deterministic ? " deterministic" : "");
}

}  // namespace dermatome::cudnn
