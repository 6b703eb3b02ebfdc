// augment: a batch out of resident uint8 photographs and masks, warped, lit and normalised.
#include "engine/graph/op.h"
#include "kernels/augment/math.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

// images u8 [m, h, w, 3], masks u8 [m, h, w], indices i32 [n] into m, tables [n, 8] -> image [n, h, w, 3], target
// [n, h, w, 1] of 0 and 1. The defaults normalise with ImageNet's mean and deviation.
class Augment final : public Op {
 public:
  Augment()
      : Op({.name = "augment",
            .summary = "warps resident photographs and masks by one table a sample, then lighting and normalisation",
            .inputs = {{.name = "images"}, {.name = "masks"}, {.name = "indices"}, {.name = "tables"}},
            .outputs = {{.name = "image", .differentiable = false}, {.name = "target", .differentiable = false}},
            .attributes = {boolean_attribute("reflect_mask", true), real_attribute("mean_r", 0.485),
                           real_attribute("mean_g", 0.456), real_attribute("mean_b", 0.406),
                           real_attribute("deviation_r", 0.229, 1e-6), real_attribute("deviation_g", 0.224, 1e-6),
                           real_attribute("deviation_b", 0.225, 1e-6)}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const Shape& images = call.shape(0);
    const Shape& indices = call.shape(2);
    DERMATOME_CHECK(call.input(0).type == DType::u8 && images.rank() == 4 && images[3] == 3, "images are {}",
                    to_string(call.input(0)));
    DERMATOME_CHECK((call.input(1) == TensorDesc{DType::u8, {images[0], images[1], images[2]}}),
                    "masks are {} for images {}", to_string(call.input(1)), to_string(images));
    DERMATOME_CHECK(call.input(2).type == DType::i32 && indices.rank() == 1, "indices are {}",
                    to_string(call.input(2)));
    DERMATOME_CHECK((call.shape(3) == Shape{indices[0], augment::kTableSize}), "tables are {} for {} samples",
                    to_string(call.input(3)), indices[0]);
    const DType type = call.input(3).type;
    return {{type, {indices[0], images[1], images[2], 3}}, {type, {indices[0], images[1], images[2], 1}}};
  }

  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    const auto pixels = static_cast<double>(outputs[1].shape.elements());
    const auto written = static_cast<double>(outputs[0].bytes() + outputs[1].bytes());
    return {.flops = pixels * 60, .bytes = pixels * 4 + 2 * written + static_cast<double>(call.input(3).bytes())};
  }
};

DERMATOME_REGISTER_OP(Augment);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(augment)
