// Losses and their gradients against PyTorch (losses.json, written by make_losses.py).
#include <gtest/gtest.h>

#include "engine/compile/program.h"
#include "engine/graph/autograd.h"
#include "tests/golden/record.h"
#include "tools/training/loss.h"

namespace dermatome::golden {
namespace {

using training::LossSettings;

LossSettings settings_of(const Json& item) {
  LossSettings loss{.over_batch = item.at("over") == "batch",
                    .epsilon = item.at("epsilon"),
                    .focal_gamma = item.at("gamma"),
                    .focal_alpha = item.at("alpha")};
  training::set_loss_terms(loss, item.at("loss").get<std::string>());
  return loss;
}

template <typename T>
void fill(const Tensor& tensor, const std::vector<double>& values) {
  const auto elements = tensor.as<T>();
  for (std::size_t i = 0; i < values.size(); ++i) elements[i] = static_cast<T>(values[i]);
}

// The value and the gradient by the logits.
template <typename T>
std::pair<double, std::vector<double>> computed(const Json& json, const LossSettings& loss, Device device, DType type) {
  const auto extent = json.at("shape").get<std::vector<std::int64_t>>();
  const Shape shape{extent[0], extent[1], extent[2], 1};
  Graph graph;
  Builder builder(graph);
  const Value logits = graph.add_input("logits", {type, shape});
  const Value target = graph.add_input("target", {type, shape});
  const Value value = training::add_loss(builder, loss, logits, target, graph.add_input("divisor", {type, {1}}))[0];
  graph.mark_output("loss", value);
  graph.mark_output("gradient", differentiate(graph, value, {logits})[0]);
  StateStore store(device);
  Program program(std::move(graph), device, store, {});
  fill<T>(program.input("logits"), json.at("logits"));
  fill<T>(program.input("target"), json.at("target"));
  fill<T>(program.input("divisor"), {static_cast<double>(shape.elements())});
  program.run();
  return {doubles_of(program.output("loss"))[0], doubles_of(program.output("gradient"))};
}

template <typename T>
void expect_agreement(Device device, DType type, double tolerance) {
  std::ifstream stream(std::filesystem::path(DERMATOME_SOURCE_DIR) / "tests/golden/losses.json");
  const Json json = Json::parse(stream);
  ASSERT_GE(json.at("cases").size(), 12u);
  for (const auto& item : json.at("cases")) {
    const auto [value, gradient] = computed<T>(json, settings_of(item), device, type);
    const auto expected = item.at("gradient").get<std::vector<double>>();
    EXPECT_NEAR(value / item.at("value").get<double>(), 1, tolerance) << item.at("loss");
    std::vector<double> apart;
    for (std::size_t i = 0; i < expected.size(); ++i) apart.push_back(gradient[i] - expected[i]);
    EXPECT_LT(norm_of(apart) / norm_of(expected), tolerance) << item.at("loss");
  }
}

TEST(GoldenLosses, AgreeWithPyTorchInDoublePrecision) {
  expect_agreement<double>({DeviceKind::reference, 0}, DType::f64, 1e-13);
}

TEST(GoldenLosses, AgreeWithPyTorchInSinglePrecisionOnTheProcessor) {
  expect_agreement<float>({DeviceKind::cpu, 0}, DType::f32, 1e-6);
}

}  // namespace
}  // namespace dermatome::golden
