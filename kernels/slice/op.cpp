// slice and slice_gradient: a range of channels.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

TensorDesc with_channels(const TensorDesc& desc, std::int64_t channels) {
  auto extents = desc.shape.extents();
  std::vector<std::int64_t> changed(extents.begin(), extents.end());
  changed.back() = channels;
  return {desc.type, Shape(changed)};
}

class Slice final : public Op {
 public:
  Slice()
      : Op({.name = "slice",
            .summary = "the channels begin to begin + channels - 1",
            .inputs = {follows("x")},
            .outputs = {{"y"}},
            .attributes = {required_integer("begin", 0), required_integer("channels", 1)}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const std::int64_t begin = call.attributes.integer("begin");
    const std::int64_t channels = call.attributes.integer("channels");
    DERMATOME_CHECK(call.shape(0).rank() > 0 && begin + channels <= call.shape(0)[-1], "{} has no channels {} to {}",
                    to_string(call.input(0)), begin, begin + channels - 1);
    return {with_channels(call.input(0), channels)};
  }
  void gradient(GradientContext& context) const override {
    context.set(0, context.builder().call("slice_gradient", {context.upstream()},
                                          {{"begin", context.attributes().integer("begin")},
                                           {"channels", context.desc(context.input(0)).shape[-1]}}));
  }
  Cost cost(const OpCall&, const std::vector<TensorDesc>& outputs) const override {
    return {.bytes = 2.0 * static_cast<double>(outputs[0].bytes())};
  }
};

class SliceGradient final : public Op {
 public:
  SliceGradient()
      : Op({.name = "slice_gradient",
            .summary = "dy at the channels from begin on of a tensor of that many channels, zero elsewhere",
            .inputs = {follows("dy")},
            .outputs = {{"dx"}},
            .attributes = {required_integer("begin", 0), required_integer("channels", 1)}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const std::int64_t begin = call.attributes.integer("begin");
    const std::int64_t channels = call.attributes.integer("channels");
    DERMATOME_CHECK(call.shape(0).rank() > 0 && begin + call.shape(0)[-1] <= channels,
                    "{} does not fit into {} channels from channel {} on", to_string(call.input(0)), channels, begin);
    return {with_channels(call.input(0), channels)};
  }
};

DERMATOME_REGISTER_OP(Slice);
DERMATOME_REGISTER_OP(SliceGradient);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(slice)
