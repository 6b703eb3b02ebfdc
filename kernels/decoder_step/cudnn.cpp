// decoder_step and its gradients on GPUs: products by cuDNN on slices of tensors, or by kernels of our own where it
// declines, with the passes of cuda_passes.h around them.
#include "kernels/decoder_step/cudnn.h"

#include <optional>

#include "kernels/decoder_step/cuda_passes.h"
#include "kernels/launch/operands.h"
#include "kernels/launch/workspace.h"
#include "kernels/vendor/cuda_layouts.h"
#include "kernels/vendor/cudnn_convolution.h"

namespace dermatome {
namespace decoder_step {
namespace {

using cudnn::Convolution;
using cudnn::Direction;
using cudnn::Planned;

std::int64_t mode_of(const KernelRequest& request) {
  constexpr std::string_view kModes[] = {"none", "train", "frozen", "eval"};  // as in the signature
  const std::string_view mode = request.attributes.choice("mode");
  return std::find(std::begin(kModes), std::end(kModes), mode) - std::begin(kModes);
}

Sizes sizes_of(const Shape& x, const Shape& weight, const Shape& y) {
  return {x[0], x[1], x[2], x[3], weight[2], weight[1], y[3]};
}

// Of the tensors of a step: x of the convolution is what the step doubles to, y what it doubles.
Convolution windows(const KernelRequest& request, Direction direction, const Sizes& s) {
  return {.direction = direction,
          .n = s.n,
          .height = s.height * s.kernel,
          .width = s.width * s.kernel,
          .in = s.out,
          .out_height = s.height,
          .out_width = s.width,
          .out = s.in,
          .kernel = s.kernel,
          .stride = s.kernel,
          .x_pitch = s.channels > s.out ? s.channels : 0,
          .type = request.type,
          .result = request.type,
          .tf32 = request.tf32,
          .deterministic = request.deterministic};
}

// Of the skip tensor [n, height, width, in] to a slice of `channels`.
Convolution pointwise(const KernelRequest& request, Direction direction, const Shape& skip, std::int64_t out,
                      std::int64_t channels) {
  return {.direction = direction,
          .n = skip[0],
          .height = skip[1],
          .width = skip[2],
          .in = skip[3],
          .out_height = skip[1],
          .out_width = skip[2],
          .out = out,
          .kernel = 1,
          .y_pitch = channels > out ? channels : 0,
          .type = request.type,
          .result = request.type,
          .tf32 = request.tf32,
          .deterministic = request.deterministic};
}

Sizes forward_sizes(const KernelRequest& request) {
  return sizes_of(request.inputs[kX].shape, request.inputs[kWeight].shape, request.outputs[0].shape);
}
Sizes gradient_sizes(const KernelRequest& request) {
  return sizes_of(request.inputs[kGradientX].shape, request.inputs[kGradientWeight].shape,
                  request.inputs[kGradientDy].shape);
}

Convolution up_convolution(const KernelRequest& request) {
  Convolution up = windows(request, Direction::data_gradient, forward_sizes(request));
  up.result = request.outputs[0].type;
  return up;
}

Convolution skip_convolution(const KernelRequest& request) {
  const std::int64_t out = request.inputs[kSkipWeight].shape[0];
  Convolution skip =
      pointwise(request, Direction::forward, request.inputs[kSkip].shape, out, request.outputs[0].shape[3]);
  skip.epilogue = {.bias = true, .relu = true};
  return skip;
}

// From bf16 that of all of dy's channels, of which the first count: cuDNN (9.19) writes it as f32 from whole tensors
// alone. Rounded to bf16 it would not do: where x is far from zero, most of these sums is taken off again.
Convolution weight_gradient_convolution(const KernelRequest& request) {
  Convolution gradient = windows(request, Direction::weight_gradient, gradient_sizes(request));
  gradient.result = DType::f32;
  if (gradient.type == DType::f32) return gradient;
  gradient.exact = true;
  gradient.in = gradient.x_step();
  gradient.x_pitch = 0;
  return gradient;
}

// With batch statistics dx has a part of x and a constant; `masked` leaves zero where x is.
Convolution data_gradient_convolution(const KernelRequest& request) {
  Convolution gradient = windows(request, Direction::forward, gradient_sizes(request));
  const bool train = mode_of(request) == kModeTrain;
  gradient.epilogue.bias = train;
  gradient.epilogue.residual = train;
  gradient.epilogue.residual_factor = train;
  gradient.epilogue.mask = request.attributes.boolean("masked");
  return gradient;
}

Convolution skip_data_gradient_convolution(const KernelRequest& request) {
  return pointwise(request, Direction::data_gradient, request.inputs[1].shape, request.inputs[2].shape[0],
                   request.inputs[0].shape[3]);
}

// From bf16 likewise of all channels; the last count.
Convolution skip_weight_gradient_convolution(const KernelRequest& request) {
  const std::int64_t channels = request.inputs[0].shape[3];
  const std::int64_t out = request.type == DType::f32 ? request.inputs[2].shape[0] : channels;
  Convolution gradient = pointwise(request, Direction::weight_gradient, request.inputs[1].shape, out, channels);
  gradient.result = DType::f32;
  return gradient;
}

// A product of our own in a plan's role.
class OwnPlan final : public cudnn::Plan {
 public:
  explicit OwnPlan(const Convolution& convolution) : convolution_(convolution) {}
  std::int64_t workspace_bytes() const override { return 0; }
  std::string describe() const override { return "cuda"; }
  void run(const cudnn::Operands& operands, Stream& stream) override {
    Call call{};
    call.stream = &stream;
    multiply_windows(call, convolution_, operands);
  }

 private:
  Convolution convolution_;
};

using Planner = Planned (*)(const Convolution&, const KernelRequest&);

Planned plan_own(const Convolution& wanted, const KernelRequest&) {
  Convolution chosen = wanted;
  chosen.epilogue = {};
  return {wanted, chosen, std::make_unique<OwnPlan>(chosen)};
}

void* part(const Call& call, std::int64_t offset) {
  return launch::part_of<void>(call.workspace, offset);
}
float* floats(const Call& call, std::int64_t offset) {
  return launch::part_of<float>(call.workspace, offset);
}
// The slice of an operand that begins at a channel.
void* from_channel(const Operand& operand, std::int64_t channel) {
  return static_cast<std::byte*>(operand.data) + static_cast<std::size_t>(channel) * size_of(operand.type);
}

std::int64_t weight_bytes(std::int64_t elements, DType type) {
  return elements * static_cast<std::int64_t>(size_of(type));
}

class ForwardKernel final : public Kernel {
 public:
  ForwardKernel(const KernelRequest& request, Planned up, std::optional<Planned> skip)
      : sizes_(forward_sizes(request)),
        type_(request.type),
        normalised_(mode_of(request) != kModeNone),
        up_(std::move(up)),
        skip_(std::move(skip)) {
    if (skip_) skip_weight_ = request.inputs[kSkipWeight];
    scale_ = layout_.take_floats(sizes_.in);
    shift_ = layout_.take_floats(sizes_.in);
    biases_ = layout_.take_floats(sizes_.taps() * sizes_.out);
    weight_ = layout_.take(weight_bytes(sizes_.in * sizes_.taps() * sizes_.out, type_));
    shared_ = layout_.take(std::max({normalise_workspace(sizes_, mode_of(request)), tap_biases_workspace(sizes_),
                                     up_.workspace_bytes(), skip_ ? skip_->workspace_bytes() : 0}));
  }

  std::size_t workspace_bytes() const override { return static_cast<std::size_t>(layout_.bytes()); }
  std::vector<PreparedInput> take_prepared_inputs() override {
    std::vector<PreparedInput> prepared;
    if (skip_) prepared.push_back(cudnn::weight_as_ohwi(kSkipWeight, skip_weight_, type_));
    return prepared;
  }
  void run(const Call& call) override {
    float* scale = normalised_ ? floats(call, scale_) : nullptr;
    float* shift = normalised_ ? floats(call, shift_) : nullptr;
    void* shared = part(call, shared_);
    if (normalised_) normalise(call, type_, sizes_, scale, shift, shared);
    if (call.outputs[0].data == nullptr) return;
    const float* weight = launch::in<float>(call, kWeight);
    fold_weight(call, weight, sizes_, scale, type_, part(call, weight_));
    tap_biases(call, weight, launch::in<float>(call, kBias), shift, sizes_, shared, floats(call, biases_));
    const Operand& y = call.outputs[0];
    up_.run(call,
            {.first = call.inputs[kX].data, .second = part(call, weight_), .result = y.data, .workspace = shared});
    add_tap_biases(call, y.type, y.data, sizes_, floats(call, biases_), skip_.has_value());
    if (!skip_) return;
    skip_->run(call, {.first = call.inputs[kSkip].data,
                      .second = call.inputs[kSkipWeight].data,
                      .bias = launch::in<float>(call, kSkipBias),
                      .result = from_channel(y, sizes_.out),
                      .workspace = shared});
  }
  std::string describe() const override { return up_.plan->describe(); }

 private:
  Sizes sizes_;
  DType type_;
  bool normalised_;
  Planned up_;
  std::optional<Planned> skip_;
  TensorDesc skip_weight_;
  launch::WorkspaceLayout layout_;
  std::int64_t scale_, shift_, biases_, weight_, shared_;
};

// With batch statistics dx needs what gamma's and beta's gradients are made of, and so all that weight's is.
bool needs_weight_gradient(const KernelRequest& request) {
  return request.uses_output(1) || request.uses_output(3) || request.uses_output(4) ||
         (mode_of(request) == kModeTrain && request.uses_output(0));
}

std::int64_t workspace_of(const std::optional<Planned>& product) {
  return product ? product->workspace_bytes() : 0;
}

// A product that no output asks for is not there.
class GradientKernel final : public Kernel {
 public:
  GradientKernel(const KernelRequest& request, std::optional<Planned> of_weight, std::optional<Planned> of_x)
      : sizes_(gradient_sizes(request)),
        type_(request.type),
        mode_(mode_of(request)),
        of_weight_(std::move(of_weight)),
        of_x_(std::move(of_x)) {
    for (std::int64_t& offset : factors_) offset = layout_.take_floats(sizes_.in);
    sums_ = layout_.take_floats(sizes_.taps() * sizes_.out);
    if (of_weight_) raw_ = layout_.take(weight_bytes(sizes_.in * sizes_.taps() * of_weight_->chosen.in, DType::f32));
    if (of_x_) weight_ = layout_.take(weight_bytes(sizes_.in * sizes_.taps() * sizes_.out, type_));
    shared_ = layout_.take(std::max({tap_sums_workspace(sizes_), weight_gradients_workspace(sizes_),
                                     workspace_of(of_weight_), workspace_of(of_x_)}));
  }

  std::size_t workspace_bytes() const override { return static_cast<std::size_t>(layout_.bytes()); }
  // dx is written before x is read for the last time.
  bool works_in_place(int, int) const override { return false; }
  void run(const Call& call) override {
    const Operand& dy = call.inputs[kGradientDy];
    const void* x = call.inputs[kGradientX].data;
    float* sums = floats(call, sums_);
    void* shared = part(call, shared_);
    const Factors factors{floats(call, factors_[0]), floats(call, factors_[1]), floats(call, factors_[2]),
                          floats(call, factors_[3])};
    const bool normalised = mode_ != kModeNone;
    if (normalised) set_factors(call, sizes_, factors);
    if (of_weight_ || call.outputs[2].data != nullptr) {
      tap_sums(call, type_, dy.data, sizes_, shared, sums, launch::out<float>(call, 2));
    }
    if (of_weight_) {
      of_weight_->run(call, {.first = dy.data, .second = x, .result = part(call, raw_), .workspace = shared});
      weight_gradients(call, {DType::f32, part(call, raw_), of_weight_->chosen.in}, sizes_, sums, factors, shared);
    }
    if (!of_x_) return;
    fold_weight(call, launch::in<float>(call, kGradientWeight), sizes_, normalised ? factors.scale : nullptr, type_,
                part(call, weight_));
    of_x_->run(call, {.first = dy.data,
                      .second = part(call, weight_),
                      .bias = factors.constant,
                      .residual = x,
                      .residual_factor = factors.of_x,
                      .result = call.outputs[0].data,
                      .workspace = shared});
  }
  std::string describe() const override {
    return of_x_ ? of_x_->plan->describe() : of_weight_ ? of_weight_->plan->describe() : "cuda";
  }

 private:
  Sizes sizes_;
  DType type_;
  std::int64_t mode_;
  std::optional<Planned> of_weight_, of_x_;
  launch::WorkspaceLayout layout_;
  std::int64_t factors_[4], sums_, raw_ = 0, weight_ = 0, shared_;
};

class SkipGradientKernel final : public Kernel {
 public:
  SkipGradientKernel(const KernelRequest& request, std::optional<Planned> of_weight, std::optional<Planned> of_skip)
      : type_(request.type),
        weight_(request.inputs[2]),
        pixels_(request.inputs[0].shape.elements() / request.inputs[0].shape[3]),
        of_weight_(std::move(of_weight)),
        of_skip_(std::move(of_skip)) {
    if (of_weight_) raw_ = layout_.take(weight_bytes(of_weight_->chosen.in * of_weight_->chosen.out, raw_type()));
    shared_ = layout_.take(std::max(
        {cuda::channel_sum_workspace(pixels_, weight_.shape[0]), workspace_of(of_weight_), workspace_of(of_skip_)}));
  }

  std::size_t workspace_bytes() const override { return static_cast<std::size_t>(layout_.bytes()); }
  std::vector<PreparedInput> take_prepared_inputs() override {
    std::vector<PreparedInput> prepared;
    if (of_skip_) prepared.push_back(cudnn::weight_as_ohwi(2, weight_, type_));
    return prepared;
  }
  void run(const Call& call) override {
    const std::int64_t out = weight_.shape[0];
    const Operand& dy = call.inputs[0];
    void* slice = from_channel(dy, dy.extent[3] - out);
    void* shared = part(call, shared_);
    if (of_weight_) {
      const Convolution& c = of_weight_->chosen;
      void* raw = part(call, raw_);
      of_weight_->run(call, {.first = call.inputs[1].data,
                             .second = from_channel(dy, dy.extent[3] - c.out),
                             .result = raw,
                             .workspace = shared});
      void* from = static_cast<std::byte*>(raw) + weight_bytes((c.out - out) * c.in, raw_type());
      cuda::ohwi_to_oihw(call, from, raw_type(), call.outputs[1].extent, launch::out<float>(call, 1));
    }
    if (float* dbias = launch::out<float>(call, 2); dbias != nullptr) {
      cuda::channel_sum(call, {dy.type, slice, pixels_, out, dy.extent[3]}, shared, dbias);
    }
    if (!of_skip_) return;
    of_skip_->run(call,
                  {.first = slice, .second = call.inputs[2].data, .result = call.outputs[0].data, .workspace = shared});
  }
  std::string describe() const override {
    return of_skip_ ? of_skip_->plan->describe() : of_weight_ ? of_weight_->plan->describe() : "cuda";
  }

 private:
  DType raw_type() const { return of_weight_->chosen.result; }

  DType type_;
  TensorDesc weight_;
  std::int64_t pixels_;
  std::optional<Planned> of_weight_, of_skip_;
  launch::WorkspaceLayout layout_;
  std::int64_t raw_ = 0, shared_;
};

// cuDNN reads and writes slices that begin at multiples of this.
constexpr std::int64_t kSliceAlignment = 16;

// Whether `plan` serves f32 and bf16 operands with a slice that begins at that channel.
template <Planner plan>
bool takes(const KernelRequest& request, std::int64_t first_channel) {
  if (request.type != DType::f32 && request.type != DType::bf16) return false;
  return plan != cudnn::plan_for || weight_bytes(first_channel, request.type) % kSliceAlignment == 0;
}

// The product where it is wanted; `possible` turns false where it is, and there is no plan.
template <Planner plan>
std::optional<Planned> plan_if(bool wanted, const Convolution& convolution, const KernelRequest& request,
                               bool& possible) {
  if (!wanted || !possible) return std::nullopt;
  Planned planned = plan(convolution, request);
  possible = planned.plan != nullptr;
  return planned;
}

template <Planner plan>
std::unique_ptr<Kernel> forward(const KernelRequest& request) {
  if (!takes<plan>(request, forward_sizes(request).out)) return nullptr;
  bool possible = true;
  auto up = plan_if<plan>(true, up_convolution(request), request, possible);
  std::optional<Planned> skip;
  if (request.has_input(kSkip)) skip = plan_if<plan>(true, skip_convolution(request), request, possible);
  if (!possible) return nullptr;
  return std::make_unique<ForwardKernel>(request, std::move(*up), std::move(skip));
}

template <Planner plan>
std::unique_ptr<Kernel> gradient(const KernelRequest& request) {
  if (!takes<plan>(request, 0)) return nullptr;
  bool possible = true;
  auto of_weight =
      plan_if<plan>(needs_weight_gradient(request), weight_gradient_convolution(request), request, possible);
  auto of_x = plan_if<plan>(request.uses_output(0), data_gradient_convolution(request), request, possible);
  if (!possible) return nullptr;
  return std::make_unique<GradientKernel>(request, std::move(of_weight), std::move(of_x));
}

template <Planner plan>
std::unique_ptr<Kernel> skip_gradient(const KernelRequest& request) {
  if (!takes<plan>(request, request.inputs[0].shape[3] - request.inputs[2].shape[0])) return nullptr;
  bool possible = true;
  auto of_weight = plan_if<plan>(request.uses_output(1), skip_weight_gradient_convolution(request), request, possible);
  auto of_skip = plan_if<plan>(request.uses_output(0), skip_data_gradient_convolution(request), request, possible);
  if (!possible) return nullptr;
  return std::make_unique<SkipGradientKernel>(request, std::move(of_weight), std::move(of_skip));
}

DERMATOME_REGISTER_KERNEL("decoder_step", cuda, 10, "cudnn", forward<cudnn::plan_for>);
DERMATOME_REGISTER_KERNEL("decoder_step_gradient", cuda, 10, "cudnn", gradient<cudnn::plan_for>);
DERMATOME_REGISTER_KERNEL("decoder_skip_gradient", cuda, 10, "cudnn", skip_gradient<cudnn::plan_for>);
DERMATOME_REGISTER_KERNEL("decoder_step", cuda, 0, "cuda", forward<plan_own>);
DERMATOME_REGISTER_KERNEL("decoder_step_gradient", cuda, 0, "cuda", gradient<plan_own>);
DERMATOME_REGISTER_KERNEL("decoder_skip_gradient", cuda, 0, "cuda", skip_gradient<plan_own>);

}  // namespace

std::vector<Convolution> by_cudnn(const KernelRequest& request) {
  const std::string& op = request.op.name();
  if (op == "decoder_step") {
    std::vector<Convolution> all{up_convolution(request)};
    if (request.has_input(kSkip)) all.push_back(skip_convolution(request));
    return all;
  }
  if (op == "decoder_step_gradient") return {weight_gradient_convolution(request), data_gradient_convolution(request)};
  return {skip_weight_gradient_convolution(request), skip_data_gradient_convolution(request)};
}

}  // namespace decoder_step
}  // namespace dermatome
