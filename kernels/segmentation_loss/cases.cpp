// Cases of segmentation_loss: each term alone and all together, over images and the batch, and what has no lesion.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

using Fill = InputFill;
using Attributes = std::vector<std::pair<std::string, AttributeArgument>>;
constexpr Fill kLogits{Fill::Kind::off_zero, -4, 4};
constexpr Fill kMask{Fill::Kind::binary, 0, 1};
constexpr Fill kSoft{Fill::Kind::uniform, 0, 0.45};
constexpr Fill kNothing{Fill::Kind::constant, 0, 0};
constexpr Fill kDivisor{Fill::Kind::constant, 100, 100};

OpCase loss(std::string name, const Shape& shape, Attributes attributes, Fill target = kMask, Fill logits = kLogits,
            bool check_gradient = true) {
  return {.op = "segmentation_loss",
          .name = std::move(name),
          .inputs = {{{DType::f32, shape}, logits}, {{DType::f32, shape}, target}, {{DType::f32, {1}}, kDivisor}},
          .attributes = std::move(attributes),
          .check_gradient = check_gradient,
          .constants = {1}};
}

const Shape kSmall{2, 5, 7, 1};
const Attributes kAll{{"bce", 1.0},          {"focal", 0.7}, {"jaccard", 0.5},
                      {"log_jaccard", 0.25}, {"dice", 2.0},  {"gamma", 1.5}};
const Attributes kAllOverBatch{{"bce", 1.0},  {"focal", 0.7}, {"jaccard", 0.5}, {"log_jaccard", 0.25},
                               {"dice", 2.0}, {"gamma", 1.5}, {"over", "batch"}};

const CaseRegistrar cases{
    loss("bce", kSmall, {{"bce", 1.0}}),
    loss("focal", kSmall, {{"focal", 1.0}}),
    loss("focal_below_one", kSmall, {{"focal", 1.0}, {"gamma", 0.5}, {"alpha", 0.9}}),
    loss("focal_without_attention", kSmall, {{"focal", 2.0}, {"gamma", 0.0}, {"alpha", 0.5}}),
    loss("focal_soft_target", kSmall, {{"focal", 1.0}, {"gamma", 3.0}}, kSoft),
    loss("jaccard", kSmall, {{"jaccard", 1.0}}),
    loss("jaccard_over_batch", kSmall, {{"jaccard", 1.0}, {"over", "batch"}}),
    loss("log_jaccard", kSmall, {{"log_jaccard", 1.0}}),
    loss("log_jaccard_small_epsilon", kSmall, {{"log_jaccard", 1.0}, {"epsilon", 1e-3}}),
    loss("dice", kSmall, {{"dice", 1.0}}),
    loss("all", kSmall, kAll),
    loss("all_over_batch", {3, 4, 3, 1}, kAllOverBatch),
    loss("one_pixel", {1, 1, 1, 1}, kAll),
    loss("no_lesion", kSmall, kAll, kNothing),
    loss("soft_target", kSmall, kAll, kSoft),
    loss("far_from_zero", {2, 9, 11, 1}, kAll, kMask, {Fill::Kind::uniform, -1000, 1000}, false),
    loss("one_image_of_many_pixels", {1, 257, 259, 1}, kAll, kMask, kLogits, false),
    loss("batch_of_many_pixels", {3, 181, 127, 1}, kAllOverBatch, kMask, kLogits, false),
};

}  // namespace
}  // namespace dermatome
