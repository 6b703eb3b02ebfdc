// Convolutions through oneDNN: plain NHWC activations, weights in the layout each primitive likes best.
#include "kernels/vendor/onednn.h"

#include <fmt/ranges.h>

#include <dnnl.hpp>

#include <algorithm>
#include <cstring>

#include "engine/core/error.h"

namespace dermatome::onednn {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

const dnnl::engine& engine() {
  static const dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

dnnl::stream& stream() {
  static dnnl::stream instance(engine());
  return instance;
}

memory::data_type type_of(DType type) {
  switch (type) {
    case DType::f32: return memory::data_type::f32;
    case DType::bf16: return memory::data_type::bf16;
    default: fail("oneDNN convolutions take f32 or bf16, not {}", name_of(type));
  }
}

// Equal texts for equal layouts.
std::string layout_text(const memory::desc& desc) {
#if DNNL_VERSION_MAJOR >= 3
  // Not get_blob(), which came with 3.4. Direct convolutions in f32 and bf16 want blocked layouts only.
  DERMATOME_CHECK(desc.get_format_kind() == memory::format_kind::blocked,
                  "oneDNN asks for a weight in an opaque layout");
  return fmt::format("onednn:{} type {} strides {} padded {} blocks {} of {}", fmt::join(desc.get_dims(), "x"),
                     static_cast<int>(desc.get_data_type()), fmt::join(desc.get_strides(), ","),
                     fmt::join(desc.get_padded_dims(), "x"), fmt::join(desc.get_inner_blks(), ","),
                     fmt::join(desc.get_inner_idxs(), ","));
#else
  const auto* bytes = reinterpret_cast<const unsigned char*>(&desc.data);
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (std::size_t i = 0; i < sizeof(desc.data); ++i) hash = (hash ^ bytes[i]) * 0x100000001b3ull;
  return fmt::format("onednn:{:016x} of oihw", hash);
#endif
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

std::size_t aligned(std::size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

// Descriptions of the tensors of one convolution.
struct Descs {
  memory::desc x, weight, weight_gradient, weight_plain, bias, y;
  memory::dims strides, pad_low, pad_high;

  Descs(const ConvolutionShape& s, DType x_type, DType y_type) {
    const auto f32 = memory::data_type::f32;
    x = {{s.n, s.in, s.height, s.width}, type_of(x_type), Tag::nhwc};
    y = {{s.n, s.out, s.out_height, s.out_width}, type_of(y_type), Tag::nhwc};
    weight = {{s.out, s.in, s.kernel, s.kernel}, type_of(s.type), Tag::any};
    weight_gradient = {{s.out, s.in, s.kernel, s.kernel}, f32, Tag::any};
    weight_plain = {{s.out, s.in, s.kernel, s.kernel}, f32, Tag::oihw};
    bias = s.bias ? memory::desc({s.out}, f32, Tag::x) : memory::desc();
    strides = {s.stride, s.stride};
    pad_low = {s.pad, s.pad};
    // What the last window leaves over is no padding but unread input, so the high padding may be smaller or negative.
    const auto high = [&](std::int64_t out, std::int64_t size) {
      return (out - 1) * s.stride + s.kernel - size - s.pad;
    };
    pad_high = {high(s.out_height, s.height), high(s.out_width, s.width)};
  }
};

dnnl::reorder::primitive_desc reorder_desc(const memory::desc& from, const memory::desc& to) {
  return {engine(), from, engine(), to, user_scratchpad()};
}

bool is_reference(const char* implementation) {
  return std::strncmp(implementation, "ref", 3) == 0;
}

// Whether oneDNN would leave to a reference how a weight, or its gradient, gets into the other layout. Reorders offer
// no other implementation to choose.
bool is_reordered_by_reference(const memory::desc& from, const memory::desc& to) {
  return is_reference(reorder_desc(from, to).impl_info_str());
}
bool needs_reference_reorder(const dnnl::convolution_forward::primitive_desc& desc, const Descs& d) {
  return desc.weights_desc() != d.weight_plain && is_reordered_by_reference(d.weight_plain, desc.weights_desc());
}
bool needs_reference_reorder(const dnnl::convolution_backward_data::primitive_desc& desc, const Descs& d) {
  return desc.weights_desc() != d.weight_plain && is_reordered_by_reference(d.weight_plain, desc.weights_desc());
}
bool needs_reference_reorder(const dnnl::convolution_backward_weights::primitive_desc& desc, const Descs& d) {
  return is_reordered_by_reference(desc.diff_weights_desc(), d.weight_plain);
}

// The best implementation that is no reference and has its weights reordered by none; false when there is none.
template <typename Desc>
bool skip_references(Desc& desc, const Descs& d) {
  while (is_reference(desc.impl_info_str()) || needs_reference_reorder(desc, d)) {
    if (!desc.next_impl()) return false;
  }
  return true;
}

// Weight gradients of windows of one pixel, farther apart than one, gather what they read in a scratchpad that is too
// small where channels are fewer than a register's lanes: oneDNN 2.6 to 3 (jit_*_1x1_convolution.cpp) write behind it.
bool overruns_its_scratchpad(const char* implementation, const ConvolutionShape& s) {
  constexpr std::int64_t kMostLanes = 16;
  return s.kernel == 1 && s.stride > 1 && s.in < kMostLanes && std::strstr(implementation, "1x1") != nullptr;
}

// The same for weight gradients, without those that overrun and without those on AMX: oneDNN 2.6's give NaNs for images
// whose rows are no whole blocks (the case conv2d/many_pixels), and are slower than those without for the few channels
// that our own leave.
template <typename Desc>
bool skip_weight_gradients(Desc& desc, const Descs& d, const ConvolutionShape& shape) {
  while (skip_references(desc, d)) {
    const char* implementation = desc.impl_info_str();
    if (std::strstr(implementation, "amx") == nullptr && !overruns_its_scratchpad(implementation, shape)) return true;
    if (!desc.next_impl()) return false;
  }
  return false;
}

dnnl::convolution_forward::primitive_desc forward_desc(const Descs& d, dnnl::prop_kind kind,
                                                       const dnnl::primitive_attr& attributes) {
  const auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  if (!d.bias.is_zero()) {
    return {engine(), kind, algorithm, d.x, d.weight, d.bias, d.y, d.strides, d.pad_low, d.pad_high, attributes};
  }
  return {engine(), kind, algorithm, d.x, d.weight, d.y, d.strides, d.pad_low, d.pad_high, attributes};
#else
  using Desc = dnnl::convolution_forward::desc;
  const Desc desc = d.bias.is_zero()
                        ? Desc(kind, algorithm, d.x, d.weight, d.y, d.strides, d.pad_low, d.pad_high)
                        : Desc(kind, algorithm, d.x, d.weight, d.bias, d.y, d.strides, d.pad_low, d.pad_high);
  return {desc, attributes, engine()};
#endif
}

dnnl::convolution_forward::primitive_desc forward_desc(const Descs& d) {
  return forward_desc(d, dnnl::prop_kind::forward_training, user_scratchpad());
}

// An operand of a post-operation: which one of the Call, and as which argument of the primitive.
struct ExtraOperand {
  int input, argument;
  memory::desc desc;
};

// A convolution's post-operations and their operands.
struct PostOps {
  dnnl::post_ops operations;
  std::vector<ExtraOperand> operands;

  void relu() {
#if DNNL_VERSION_MAJOR >= 3
    operations.append_eltwise(dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
#else
    operations.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
#endif
  }
  void binary(dnnl::algorithm algorithm, int input, const memory::desc& desc) {
    if (input < 0) return;
    operands.push_back({input, DNNL_ARG_ATTR_MULTIPLE_POST_OP(operations.len()) | DNNL_ARG_SRC_1, desc});
    operations.append_binary(algorithm, desc);
  }
};

PostOps post_ops_of(const PostOperations& wanted, const ConvolutionShape& shape, const Descs& d) {
  const memory::desc of_channel({1, shape.out, 1, 1}, memory::data_type::f32, Tag::nhwc);
  PostOps list;
  if (wanted.relu_first) list.relu();
  list.binary(dnnl::algorithm::binary_mul, wanted.scale, of_channel);
  list.binary(dnnl::algorithm::binary_add, wanted.shift, of_channel);
  list.binary(dnnl::algorithm::binary_add, wanted.residual, d.y);
  if (wanted.relu) list.relu();
  return list;
}

dnnl::convolution_backward_data::primitive_desc data_gradient_desc(
    const Descs& d, const dnnl::convolution_forward::primitive_desc& hint) {
  const auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), algorithm, d.x, d.weight, d.y, d.strides, d.pad_low, d.pad_high, hint, user_scratchpad()};
#else
  const dnnl::convolution_backward_data::desc desc(algorithm, d.x, d.weight, d.y, d.strides, d.pad_low, d.pad_high);
  return {desc, user_scratchpad(), engine(), hint};
#endif
}

dnnl::convolution_backward_weights::primitive_desc weight_gradient_desc(
    const Descs& d, const dnnl::convolution_forward::primitive_desc& hint) {
  const auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  if (!d.bias.is_zero()) {
    return {engine(),  algorithm,  d.x,  d.weight_gradient, d.bias, d.y, d.strides,
            d.pad_low, d.pad_high, hint, user_scratchpad()};
  }
  return {engine(), algorithm, d.x, d.weight_gradient, d.y, d.strides, d.pad_low, d.pad_high, hint, user_scratchpad()};
#else
  using Desc = dnnl::convolution_backward_weights::desc;
  const Desc desc = d.bias.is_zero()
                        ? Desc(algorithm, d.x, d.weight_gradient, d.y, d.strides, d.pad_low, d.pad_high)
                        : Desc(algorithm, d.x, d.weight_gradient, d.bias, d.y, d.strides, d.pad_low, d.pad_high);
  return {desc, user_scratchpad(), engine(), hint};
#endif
}

// One primitive with memory objects that get their pointers at each run.
class Execution {
 public:
  Execution() = default;
  Execution(dnnl::primitive primitive, std::initializer_list<std::pair<int, memory::desc>> arguments)
      : primitive_(std::move(primitive)) {
    for (const auto& [argument, desc] : arguments) add(argument, desc);
  }
  void add(int argument, const memory::desc& desc) {
    memories_.emplace_back(desc, engine(), nullptr);
    arguments_.push_back({argument, memories_.back().get()});
  }
  // A new pointer makes oneDNN 2 zero the padding of blocked layouts, so an old one is not set again.
  void set(std::size_t position, void* data) {
    memory& object = memories_[position];
    if (object.get_data_handle() != data) object.set_data_handle(data);
  }
  void run() {
    const auto status = dnnl_primitive_execute(primitive_.get(), stream().get(), static_cast<int>(arguments_.size()),
                                               arguments_.data());
    DERMATOME_CHECK(status == dnnl_success, "oneDNN failed to run a primitive (status {})", static_cast<int>(status));
  }

 private:
  dnnl::primitive primitive_;
  std::vector<memory> memories_;
  std::vector<dnnl_exec_arg_t> arguments_;
};

class ReorderKernel final : public Kernel {
 public:
  ReorderKernel(const memory::desc& from, const memory::desc& to) : ReorderKernel(reorder_desc(from, to), from, to) {}
  std::size_t workspace_bytes() const override { return scratch_bytes_; }
  void run(const Call& call) override {
    execution_.set(0, call.inputs[0].data);
    execution_.set(1, call.outputs[0].data);
    execution_.set(2, call.workspace);
    execution_.run();
  }
  std::string describe() const override { return "onednn reorder " + implementation_; }

 private:
  ReorderKernel(const dnnl::reorder::primitive_desc& desc, const memory::desc& from, const memory::desc& to)
      : implementation_(desc.impl_info_str()),
        scratch_bytes_(desc.scratchpad_desc().get_size()),
        execution_(dnnl::reorder(desc),
                   {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()}}) {}

  std::string implementation_;
  std::size_t scratch_bytes_;
  Execution execution_;
};

std::vector<PreparedInput> prepare_weight(int input, const memory::desc& plain, const memory::desc& wanted) {
  std::vector<PreparedInput> list;
  if (plain == wanted) return list;
  list.push_back({.input = input,
                  .layout = layout_text(wanted),
                  .bytes = wanted.get_size(),
                  .reorder = std::make_unique<ReorderKernel>(plain, wanted)});
  return list;
}

class ForwardKernel final : public Kernel {
 public:
  ForwardKernel(const dnnl::convolution_forward::primitive_desc& desc, const Descs& d, const ForwardOperands& operands,
                std::vector<ExtraOperand> extra = {})
      : operands_(operands),
        implementation_(desc.impl_info_str()),
        scratch_bytes_(desc.scratchpad_desc().get_size()),
        prepared_(prepare_weight(operands.weight, d.weight_plain, desc.weights_desc())),
        execution_(dnnl::convolution_forward(desc), {{DNNL_ARG_SRC, d.x},
                                                     {DNNL_ARG_WEIGHTS, desc.weights_desc()},
                                                     {DNNL_ARG_DST, d.y},
                                                     {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()},
                                                     {DNNL_ARG_BIAS, d.bias}}),
        extra_(std::move(extra)) {
    for (const ExtraOperand& operand : extra_) execution_.add(operand.argument, operand.desc);
  }
  std::size_t workspace_bytes() const override { return scratch_bytes_; }
  std::vector<PreparedInput> take_prepared_inputs() override { return std::move(prepared_); }
  void run(const Call& call) override {
    execution_.set(0, call.inputs[operands_.x].data);
    execution_.set(1, call.inputs[operands_.weight].data);
    execution_.set(2, call.outputs[operands_.y].data);
    execution_.set(3, call.workspace);
    if (operands_.bias >= 0) execution_.set(4, call.inputs[operands_.bias].data);
    for (std::size_t i = 0; i < extra_.size(); ++i) execution_.set(5 + i, call.inputs[extra_[i].input].data);
    execution_.run();
  }
  std::string describe() const override { return "onednn " + implementation_; }

 private:
  ForwardOperands operands_;
  std::string implementation_;
  std::size_t scratch_bytes_;
  std::vector<PreparedInput> prepared_;
  Execution execution_;
  std::vector<ExtraOperand> extra_;
};

class DataGradientKernel final : public Kernel {
 public:
  DataGradientKernel(const dnnl::convolution_backward_data::primitive_desc& desc, const Descs& d,
                     const DataGradientOperands& operands)
      : operands_(operands),
        implementation_(desc.impl_info_str()),
        scratch_bytes_(desc.scratchpad_desc().get_size()),
        prepared_(prepare_weight(operands.weight, d.weight_plain, desc.weights_desc())),
        execution_(dnnl::convolution_backward_data(desc), {{DNNL_ARG_DIFF_DST, d.y},
                                                           {DNNL_ARG_WEIGHTS, desc.weights_desc()},
                                                           {DNNL_ARG_DIFF_SRC, d.x},
                                                           {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()}}) {}
  std::size_t workspace_bytes() const override { return scratch_bytes_; }
  std::vector<PreparedInput> take_prepared_inputs() override { return std::move(prepared_); }
  void run(const Call& call) override {
    execution_.set(0, call.inputs[operands_.dy].data);
    execution_.set(1, call.inputs[operands_.weight].data);
    execution_.set(2, call.outputs[operands_.dx].data);
    execution_.set(3, call.workspace);
    execution_.run();
  }
  std::string describe() const override { return "onednn " + implementation_; }

 private:
  DataGradientOperands operands_;
  std::string implementation_;
  std::size_t scratch_bytes_;
  std::vector<PreparedInput> prepared_;
  Execution execution_;
};

// Workspace: the gradient in the primitive's layout, which a reorder writes out as OIHW, then oneDNN's scratchpad, so
// that nothing of ours lies behind the latter.
class WeightGradientKernel final : public Kernel {
 public:
  WeightGradientKernel(const dnnl::convolution_backward_weights::primitive_desc& desc, const Descs& d,
                       const WeightGradientOperands& operands)
      : operands_(operands),
        implementation_(desc.impl_info_str()),
        reorder_(desc.diff_weights_desc(), d.weight_plain),
        gradient_bytes_(aligned(desc.diff_weights_desc().get_size())),
        scratch_bytes_(std::max<std::size_t>(desc.scratchpad_desc().get_size(), reorder_.workspace_bytes())),
        execution_(dnnl::convolution_backward_weights(desc), {{DNNL_ARG_SRC, d.x},
                                                              {DNNL_ARG_DIFF_DST, d.y},
                                                              {DNNL_ARG_DIFF_WEIGHTS, desc.diff_weights_desc()},
                                                              {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()},
                                                              {DNNL_ARG_DIFF_BIAS, d.bias}}) {}
  std::size_t workspace_bytes() const override { return gradient_bytes_ + scratch_bytes_; }
  void run(const Call& call) override {
    auto* blocked = static_cast<std::byte*>(call.workspace);
    auto* scratchpad = blocked + gradient_bytes_;
    execution_.set(0, call.inputs[operands_.x].data);
    execution_.set(1, call.inputs[operands_.dy].data);
    execution_.set(2, blocked);
    execution_.set(3, scratchpad);
    if (operands_.dbias >= 0) execution_.set(4, call.outputs[operands_.dbias].data);
    execution_.run();
    Operand from{};
    from.data = blocked;
    Call copy{};
    copy.inputs = &from;
    copy.outputs = &call.outputs[operands_.dweight];
    copy.workspace = scratchpad;  // the convolution's is free again
    reorder_.run(copy);
  }
  std::string describe() const override { return "onednn " + implementation_; }

 private:
  WeightGradientOperands operands_;
  std::string implementation_;
  ReorderKernel reorder_;
  std::size_t gradient_bytes_;
  std::size_t scratch_bytes_;
  Execution execution_;
};

// oneDNN throws when it supports a shape not at all; that is a "no", not a failure.
template <typename Make>
std::unique_ptr<Kernel> or_null(const ConvolutionShape& shape, const Make& make) {
  if (shape.type != DType::f32 && shape.type != DType::bf16) return nullptr;
  try {
    return make();
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_unimplemented || error.status == dnnl_invalid_arguments) return nullptr;
    throw;
  }
}

}  // namespace

std::string version() {
  const auto* v = dnnl::version();
  return fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
}

std::unique_ptr<Kernel> make_convolution(const ConvolutionShape& shape, const ForwardOperands& operands) {
  return or_null(shape, [&]() -> std::unique_ptr<Kernel> {
    const Descs d(shape, shape.type, shape.result);
    auto desc = forward_desc(d);
    if (!skip_references(desc, d)) return nullptr;
    return std::make_unique<ForwardKernel>(desc, d, operands);
  });
}

std::unique_ptr<Kernel> make_fused_convolution(const ConvolutionShape& shape, const ForwardOperands& operands,
                                               const PostOperations& operations) {
  return or_null(shape, [&]() -> std::unique_ptr<Kernel> {
    const Descs d(shape, shape.type, shape.result);
    PostOps list = post_ops_of(operations, shape, d);
    dnnl::primitive_attr attributes = user_scratchpad();
    attributes.set_post_ops(list.operations);
    auto desc = forward_desc(d, dnnl::prop_kind::forward_inference, attributes);
    if (!skip_references(desc, d)) return nullptr;
    return std::make_unique<ForwardKernel>(desc, d, operands, std::move(list.operands));
  });
}

std::unique_ptr<Kernel> make_convolution_data_gradient(const ConvolutionShape& shape,
                                                       const DataGradientOperands& operands) {
  return or_null(shape, [&]() -> std::unique_ptr<Kernel> {
    ConvolutionShape plain = shape;
    plain.bias = false;
    const Descs d(plain, plain.result, plain.type);
    const auto hint = forward_desc(Descs(plain, plain.type, plain.type));  // next_impl() reads it again
    auto desc = data_gradient_desc(d, hint);
    if (!skip_references(desc, d)) return nullptr;
    return std::make_unique<DataGradientKernel>(desc, d, operands);
  });
}

std::unique_ptr<Kernel> make_convolution_weight_gradient(const ConvolutionShape& shape,
                                                         const WeightGradientOperands& operands) {
  return or_null(shape, [&]() -> std::unique_ptr<Kernel> {
    const Descs d(shape, shape.type, shape.type);
    const auto hint = forward_desc(d);
    auto desc = weight_gradient_desc(d, hint);
    if (!skip_weight_gradients(desc, d, shape)) return nullptr;
    return std::make_unique<WeightGradientKernel>(desc, d, operands);
  });
}

}  // namespace dermatome::onednn
