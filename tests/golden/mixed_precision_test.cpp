// U-Net34 with bf16 activations against PyTorch's f64 numbers: how far one forward and backward pass is off, and that
// passes and kernels that may be switched off do not change how far.
#include <gtest/gtest.h>

#include <tuple>

#include "engine/compile/pass.h"
#include "models/builtin.h"
#include "tests/golden/network.h"

namespace dermatome::golden {
namespace {

constexpr Device kCpu{DeviceKind::cpu, 0};

// Relative distances to f64.
struct Distances {
  double loss = 0, logits = 0, median_gradient = 0, largest_gradient = 0;
  std::string worst;
};

Distances distances(const Model::PhaseOf& phase_of, const char* part, const CompileOptions& options,
                    const std::function<void(StateStore&)>& plant = {}) {
  const Result result = forward_backward(find_model("unet34"), phase_of, kCpu, DType::f32, plant, options);
  const Json& golden = file().at(part);
  Distances d{.loss = std::abs(result.loss / golden.at("loss").get<double>() - 1),
              .logits = Record(golden.at("logits")).sample_distance(doubles_of(result.logits)),
              .worst = {}};
  std::vector<double> gradients;
  for (const auto& [name, gradient] : result.gradients) {
    gradients.push_back(Record(golden.at("gradients").at(name)).sample_distance(doubles_of(gradient)));
    if (gradients.back() <= d.largest_gradient) continue;
    d.largest_gradient = gradients.back();
    d.worst = name;
  }
  std::sort(gradients.begin(), gradients.end());
  d.median_gradient = gradients[gradients.size() / 2];
  return d;
}

CompileOptions in_bf16() {
  return {.activations = DType::bf16, .disabled_passes = {}, .dump_tensors = {}};
}
CompileOptions in_bf16_without_rewrites() {
  CompileOptions options = in_bf16();
  for (const Rewrite* rewrite : all_rewrites()) {
    if (rewrite->name != "bf16_activations") options.disabled_passes.push_back(rewrite->name);
  }
  return options;
}
CompileOptions in_bf16_without(const char* kernel) {
  CompileOptions options = in_bf16();
  options.disabled_kernels.push_back(kernel);
  return options;
}

void print(const char* part, const char* what, const Distances& d) {
  std::cout << fmt::format(
                   "{} {}: distance to f64 of the loss {:.2g}, of the logits {:.2g}, of gradients {:.2g} in the median "
                   "and {:.2g} at most ({})",
                   part, what, d.loss, d.logits, d.median_gradient, d.largest_gradient, d.worst)
            << std::endl;
}

// Gradients may differ by the factor `gradients`.
void expect_like(const Distances& plain, const Distances& other, double gradients) {
  for (const auto& [a, b, factor] :
       {std::tuple{plain.logits, other.logits, 2.0}, {plain.median_gradient, other.median_gradient, gradients}}) {
    EXPECT_LT(b, factor * a);
    EXPECT_LT(a, factor * b);
  }
}

// PyTorch 2.15 with autocast to bfloat16, as make_golden.py prints: the same state, so the same roundings to expect.
struct Autocast {
  double logits, median_gradient;
};
constexpr double kNoWorse = 1.5;

void expect_bf16(const Model::PhaseOf& phase_of, const char* part, const Autocast& autocast, double gradients) {
  const Distances whole = distances(phase_of, part, in_bf16());
  print(part, "in bf16", whole);
  EXPECT_GT(whole.logits, autocast.logits / 10) << "nothing was computed in bf16";
  EXPECT_LT(whole.loss, 5e-3);
  EXPECT_LT(whole.logits, kNoWorse * autocast.logits);
  EXPECT_LT(whole.median_gradient, kNoWorse * gradients / 2 * autocast.median_gradient);
  const Distances unfused = distances(phase_of, part, in_bf16_without_rewrites());
  print(part, "in bf16 without rewrites", unfused);
  expect_like(whole, unfused, gradients);
  const Distances direct = distances(phase_of, part, in_bf16_without("winograd"));
  print(part, "in bf16 without winograd", direct);
  expect_like(whole, direct, gradients);
}

TEST(MixedPrecision, WithFrozenBatchNormIsAsCloseToF64AsAutocast) {
  expect_bf16(frozen_phase, "eval", {.logits = 9.2e-3, .median_gradient = 5.0e-2}, 2);
}
// Live batch norm magnifies roundings in this state of random weights, of gradients until they are as large as the
// gradients: PyTorch's own distance is 0.94 on one processor and 0.58 on another, and ours 0.42 with convolutions that
// keep f32 weights and 1.7 with those that round them. So this bounds the order of magnitude, and the test above says
// what is right.
TEST(MixedPrecision, WithLiveBatchNormIsAsCloseToF64AsAutocast) {
  expect_bf16(training_phase, "train", {.logits = 3.2e-2, .median_gradient = 0.94}, 5);
}
// The bounds are no formality.
TEST(MixedPrecision, APlantedErrorIsFartherThanAutocast) {
  const Distances planted = distances(frozen_phase, "eval", in_bf16(), [](StateStore& store) {
    const Tensor gamma = store.read("layer2.0.bn1.weight");
    for (float& value : gamma.as<float>()) value *= 1.2f;
    store.write("layer2.0.bn1.weight", gamma);
  });
  print("eval", "with a gamma off by 20 %", planted);
  EXPECT_GT(planted.logits, kNoWorse * 9.2e-3);
}

}  // namespace
}  // namespace dermatome::golden
