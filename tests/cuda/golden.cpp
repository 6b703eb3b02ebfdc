// U-Net34 against PyTorch's f64 numbers (tests/golden/unet34.json) on a GPU, and on the host in a GPU's role.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "models/builtin.h"
#include "tests/cuda/emulated_device.h"
#include "tests/golden/network.h"

namespace dermatome::golden {
namespace {

constexpr Device kGpu{DeviceKind::cuda, 0};

// Relative distances to f64.
struct Distances {
  double loss = 0, logits = 0, median_gradient = 0, largest_gradient = 0;
};

Distances distances(const Model::PhaseOf& phase_of, const char* part, DType activations = DType::f32,
                    const std::function<void(StateStore&)>& plant = {}) {
  CompileOptions options = options_from_environment();
  options.activations = activations;
  const Result result = forward_backward(find_model("unet34"), phase_of, kGpu, DType::f32, plant, options);
  const Json& golden = file().at(part);
  std::vector<double> gradients;
  for (const auto& [name, gradient] : result.gradients) {
    gradients.push_back(Record(golden.at("gradients").at(name)).sample_distance(doubles_of(gradient)));
  }
  std::sort(gradients.begin(), gradients.end());
  const Distances d{.loss = std::abs(result.loss / golden.at("loss").get<double>() - 1),
                    .logits = Record(golden.at("logits")).sample_distance(doubles_of(result.logits)),
                    .median_gradient = gradients[gradients.size() / 2],
                    .largest_gradient = gradients.back()};
  std::cout << fmt::format("{} {}: loss {:.2g}, logits {:.2g}, gradients {:.2g} in the median and {:.2g} at most\n",
                           part, name_of(activations), d.loss, d.logits, d.median_gradient, d.largest_gradient);
  return d;
}

// A gradient in front of an activation that rounding moved across zero is off by up to a few hundredths, on every
// device and in PyTorch (tests/golden/golden_test.cpp).
void expect_f32(const Distances& d) {
  EXPECT_LE(d.loss, 1e-5);
  EXPECT_LE(d.logits, 1e-4);
  EXPECT_LE(d.median_gradient, 2e-3);
  EXPECT_LE(d.largest_gradient, 5e-2);
}
// As MixedPrecision bounds the CPU.
void expect_bf16(const Distances& d) {
  EXPECT_LE(d.loss, 0.02);
  EXPECT_LE(d.logits, 0.03);
  EXPECT_LE(d.median_gradient, 0.15);
}

class GoldenOnGpu : public ::testing::TestWithParam<bool> {  // emulated
 protected:
  void SetUp() override {
    if (GetParam()) {
      emulated_.emplace();
    } else if (backend_of(DeviceKind::cuda).device_count() == 0) {
      GTEST_SKIP() << backend_of(DeviceKind::cuda).why_absent();
    }
  }
  std::optional<harness::EmulatedDevice> emulated_;
};

TEST_P(GoldenOnGpu, FrozenBatchNorm) {
  expect_f32(distances(frozen_phase, "eval"));
}
TEST_P(GoldenOnGpu, LiveBatchNorm) {
  expect_f32(distances(training_phase, "train"));
}
TEST_P(GoldenOnGpu, FrozenBatchNormInBf16) {
  expect_bf16(distances(frozen_phase, "eval", DType::bf16));
}
TEST_P(GoldenOnGpu, AWrongWeightIsNoticed) {
  const Distances d = distances(frozen_phase, "eval", DType::f32, [](StateStore& store) {
    Tensor gamma = store.read("layer2.1.bn1.weight");
    gamma.as<float>()[3] *= 1.2f;
    store.write("layer2.1.bn1.weight", gamma);
  });
  EXPECT_GT(d.logits, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Emulated, GoldenOnGpu, ::testing::Values(true));
INSTANTIATE_TEST_SUITE_P(Cuda, GoldenOnGpu, ::testing::Values(false));

}  // namespace
}  // namespace dermatome::golden
