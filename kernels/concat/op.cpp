// concat: tensors side by side along the channels.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

bool fits(const TensorDesc& a, const TensorDesc& b) {
  if (a.type != b.type || a.shape.rank() != b.shape.rank()) return false;
  for (int axis = 0; axis + 1 < a.shape.rank(); ++axis) {
    if (a.shape[axis] != b.shape[axis]) return false;
  }
  return true;
}

class Concat final : public Op {
 public:
  Concat()
      : Op({.name = "concat",
            .summary = "tensors side by side along the channels (the last axis)",
            .inputs = {{.name = "x", .variadic = true, .precision = Precision::follows}},
            .outputs = {{"y"}},
            .attributes = {}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    DERMATOME_CHECK(call.input_count() > 0, "needs at least one tensor");
    const TensorDesc& first = call.input(0);
    DERMATOME_CHECK(first.shape.rank() > 0, "{} has no channels to put side by side", to_string(first));
    auto extents = first.shape.extents();
    std::vector<std::int64_t> joined(extents.begin(), extents.end());
    for (int i = 1; i < call.input_count(); ++i) {
      DERMATOME_CHECK(fits(first, call.input(i)), "{} and {} differ in more than their channels", to_string(first),
                      to_string(call.input(i)));
      joined.back() += call.shape(i)[-1];
    }
    return {{first.type, Shape(joined)}};
  }
  void gradient(GradientContext& context) const override {
    std::int64_t begin = 0;
    for (int i = 0; i < context.input_count(); ++i) {
      const std::int64_t channels = context.desc(context.input(i)).shape[-1];
      if (context.wants(i)) {
        context.set(i,
                    context.builder().call("slice", {context.upstream()}, {{"begin", begin}, {"channels", channels}}));
      }
      begin += channels;
    }
  }
};

DERMATOME_REGISTER_OP(Concat);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(concat)
