// Cases of confusion_counts and segmentation_metrics, with images and masks that are empty.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

using Fill = InputFill;
constexpr Fill kProbability{Fill::Kind::uniform, 0, 1};
constexpr Fill kMask{Fill::Kind::binary, 0, 255};
constexpr Fill kGrey{Fill::Kind::integers, 126, 131};

std::vector<CaseInput> masks(const Shape& shape, Fill probability, Fill truth) {
  return {{{DType::f32, shape}, probability}, {{DType::u8, shape}, truth}};
}

std::vector<CaseInput> counts(std::int64_t images, Fill fill) {
  return {{{DType::i32, {images, 4}}, fill}};
}

const CaseRegistrar cases{
    {.op = "confusion_counts",
     .name = "one_pixel",
     .inputs = masks({1, 1, 1, 1}, kProbability, kMask),
     .attributes = {},
     .check_gradient = false},
    {.op = "confusion_counts",
     .name = "grey_truth_odd_sides",
     .inputs = masks({3, 5, 7, 1}, kProbability, kGrey),
     .attributes = {},
     .check_gradient = false},
    {.op = "confusion_counts",
     .name = "both_empty",
     .inputs = masks({2, 5, 7, 1}, {Fill::Kind::uniform, 0, 0.4}, {Fill::Kind::constant, 0, 0}),
     .attributes = {},
     .check_gradient = false},
    {.op = "confusion_counts",
     .name = "exactly_at_both_thresholds",  // counts as background
     .inputs = masks({2, 5, 7, 1}, {Fill::Kind::constant, 0.5, 0.5}, {Fill::Kind::constant, 128, 128}),
     .attributes = {},
     .check_gradient = false},
    {.op = "confusion_counts",
     .name = "other_thresholds",
     .inputs = masks({2, 33, 31, 1}, {Fill::Kind::uniform, -3, 3}, kGrey),
     .attributes = {{"threshold", 0.0}, {"truth_threshold", 127}},
     .check_gradient = false},
    {.op = "confusion_counts",
     .name = "many_pixels",
     .inputs = masks({2, 301, 299, 1}, kProbability, kMask),
     .attributes = {},
     .check_gradient = false},
    {.op = "segmentation_metrics",
     .name = "photographs",
     .inputs = counts(33, {Fill::Kind::integers, 0, 100000}),
     .attributes = {},
     .check_gradient = false},
    {.op = "segmentation_metrics",
     .name = "few_pixels",
     .inputs = counts(200, {Fill::Kind::integers, 0, 3}),
     .attributes = {},
     .check_gradient = false},
    {.op = "segmentation_metrics",
     .name = "some_jaccards_exactly_0.65",  // 13 / 20
     .inputs = counts(4000, {Fill::Kind::integers, 0, 13}),
     .attributes = {},
     .check_gradient = false},
    {.op = "segmentation_metrics",
     .name = "empty",
     .inputs = counts(1, {Fill::Kind::constant, 0, 0}),
     .attributes = {},
     .check_gradient = false},
    {.op = "segmentation_metrics",
     .name = "one_kind_of_pixel_or_none",
     .inputs = counts(64, {Fill::Kind::binary, 0, 65536}),
     .attributes = {},
     .check_gradient = false},
};

}  // namespace
}  // namespace dermatome
