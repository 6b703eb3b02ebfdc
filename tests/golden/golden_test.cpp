// U-Net34 and ResNet34 against PyTorch (unet34.json, written by make_golden.py).
//
// Gradients and ten Adam steps are chaotic in f32, so they are compared in f64 on the reference device. On other
// devices one forward and backward pass in f32 is compared by its distance to f64, in units of PyTorch's own f32
// distance.
#include <gtest/gtest.h>

#include "engine/graph/ast.h"
#include "models/builtin.h"
#include "tests/golden/network.h"

namespace dermatome::golden {
namespace {

constexpr double kTolerance = 1e-7;
constexpr Device kReference{DeviceKind::reference, 0};
constexpr Device kCpu{DeviceKind::cpu, 0};

void expect_agreement(const Comparison& comparison) {
  std::cout << comparison.summary() << std::endl;
  EXPECT_TRUE(comparison.within(kTolerance)) << comparison.summary();
}

TEST(GoldenFormula, GivesTheSameNumbersAsInPython) {
  for (const auto& [key, check] : file().at("formula_check").items()) {
    EXPECT_EQ(fmt::format("{:016x}", hash_of(key)), check.at("hash").get<std::string>());
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(uniform(hash_of(key), i), check.at("u").at(i).get<double>()) << key;
  }
}

Shape shape_of(const std::string& key) {
  if (key == "image") return {2, 3, 64, 64};
  for (const char* model : {"unet34", "resnet34"}) {
    Graph graph;
    Builder builder(graph);
    find_model(model).append(builder, graph.add_input("image", {DType::f32, kImageShape}), training_phase);
    if (const Value state = graph.state(key)) return graph.desc(state).shape;
  }
  return {};
}

TEST(GoldenFormula, GivesTheSameStateAsInPython) {
  for (const auto& [key, check] : file().at("formula_check").items()) {
    const auto values = values_of(key, shape_of(key));
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(values[i], check.at("values").at(i).get<float>()) << key;
  }
  std::size_t compared = 0;
  for (const auto& [key, norm] : file().at("initial_norm").items()) {
    const auto values = key == "target" ? target() : values_of(key, shape_of(key));
    EXPECT_NEAR(norm_of({values.begin(), values.end()}) / norm.get<double>(), 1, 1e-11) << key;
    ++compared;
  }
  EXPECT_EQ(compared, 218u);
}

TEST(Golden, FrozenBatchNormInDoublePrecision) {
  expect_agreement(
      forward_backward(find_model("unet34"), frozen_phase, kReference, DType::f64).compare(file().at("eval")));
}

TEST(Golden, LiveBatchNormInDoublePrecision) {
  expect_agreement(
      forward_backward(find_model("unet34"), training_phase, kReference, DType::f64).compare(file().at("train")));
}

Comparison inference(const char* model, const char* part) {
  Network network(find_model(model), inference_phase, kReference, DType::f64);
  network.compile();
  network.program().run();
  Comparison comparison;
  comparison.tensor("logits", network.logits(), file().at(part).at("logits"));
  return comparison;
}

TEST(Golden, InferenceInDoublePrecision) {
  expect_agreement(inference("unet34", "eval"));
}
TEST(Golden, ResNet34InDoublePrecision) {
  expect_agreement(inference("resnet34", "resnet34"));
}

TEST(Golden, TenAdamStepsInDoublePrecision) {
  Network network(find_model("unet34"), training_phase, kReference, DType::f64);
  network.add_loss();
  network.add_adam();
  network.compile();
  network.set_number("beta1", 0.9);
  network.set_number("rates", 1e-3);
  network.program().input("groups").zero();
  const Json& golden = file().at("adam");
  Comparison comparison;
  for (int step = 1; step <= 10; ++step) {
    network.set_number("step", step);
    network.program().run();
    comparison.number(fmt::format("loss of step {}", step), network.loss(),
                      golden.at("losses").at(static_cast<std::size_t>(step - 1)));
  }
  comparison.tensors("weight", network.parameters(), golden.at("weights"));
  expect_agreement(comparison);
}

// eps written into every batch_norm of a model.
void set_eps(language::Expression& e, double eps) {
  if (e.kind == language::Expression::Kind::call && e.text == "batch_norm") {
    language::Expression number;
    number.number = eps;
    e.arguments.push_back({.name = "eps", .value = number});
  }
  for (auto& argument : e.arguments) set_eps(argument.value, eps);
  for (auto& operand : e.operands) set_eps(operand, eps);
}

Model with_batch_norm_eps(const char* name, double eps) {
  language::File text = language::parse(builtin_model_text(name), name);
  for (auto& block : text.blocks) {
    for (auto& statement : block.body) set_eps(statement.value, eps);
  }
  for (auto& statement : text.models.at(0).body) set_eps(statement.value, eps);
  return Model::parse(language::print(text), name);
}

// The comparison must be able to fail.
TEST(GoldenPlantedError, AnotherBatchNormEpsilonIsNoticed) {
  const Comparison same = forward_backward(with_batch_norm_eps("unet34", 1e-5), frozen_phase, kReference, DType::f64)
                              .compare(file().at("eval"));
  EXPECT_TRUE(same.within(kTolerance)) << same.summary();
  const Comparison other = forward_backward(with_batch_norm_eps("unet34", 1e-4), frozen_phase, kReference, DType::f64)
                               .compare(file().at("eval"));
  std::cout << other.summary() << std::endl;
  EXPECT_FALSE(other.within(kTolerance));
}

TEST(GoldenPlantedError, OneFlippedWeightIsNoticed) {
  const auto flip = [](StateStore& store) {
    const Tensor weight = store.read("layer3.2.conv1.weight");
    weight.as<double>()[12345] *= -1;
    store.write("layer3.2.conv1.weight", weight);
  };
  const Comparison other =
      forward_backward(find_model("unet34"), training_phase, kReference, DType::f64, flip).compare(file().at("train"));
  std::cout << other.summary() << std::endl;
  EXPECT_FALSE(other.within(kTolerance));
}

TEST(GoldenPlantedError, MissingAndNaNAreNoticed) {
  const Json golden = {{"a", {{"norm", 5.0}, {"sum", 7.0}, {"samples", {3.0, 4.0}}}}};
  const auto compared = [&](const Tensors& ours) {
    Comparison comparison;
    comparison.tensors("", ours, golden);
    return comparison.within(kTolerance);
  };
  const auto pair = [](double x, double y) { return tensor_of<double>(std::vector<double>{x, y}, {2}); };
  EXPECT_TRUE(compared({{"a", pair(3, 4)}}));
  EXPECT_FALSE(compared({{"a", pair(3, 4.00001)}}));
  EXPECT_FALSE(compared({{"a", pair(4, 3)}}));
  EXPECT_FALSE(compared({{"a", pair(3, NAN)}}));
  EXPECT_FALSE(compared({}));
  EXPECT_FALSE(compared({{"a", pair(3, 4)}, {"b", pair(3, 4)}}));
  EXPECT_FALSE(Comparison().within(kTolerance)) << "nothing compared is no agreement";
}

// Where f32 and f64 part at a kink: an activation that rounding moved across zero, a pool's window with another
// largest. PyTorch's own f32 gradients in front of one such activation are off by up to 8e-3 (channels_last instead of
// contiguous), without any by 1e-4, so gradients in front of a parting are judged by themselves.
struct Partings {
  std::size_t count = 0;
  std::size_t parameters_before = 0;  // that any of them can matter to
  double largest = 0;                 // activation among them
};

Partings partings(const std::vector<Choice>& f32, const std::vector<Choice>& f64) {
  Partings found;
  for (std::size_t c = 0; c < f64.size(); ++c) {
    const bool pool = f64[c].result.type() == DType::u8;
    const std::size_t size = static_cast<std::size_t>(f64[c].result.shape().elements());
    const std::size_t before = found.count;
    for (std::size_t i = 0; i < size; ++i) {
      if (pool) {
        found.count += f32[c].result.as<std::uint8_t>()[i] != f64[c].result.as<std::uint8_t>()[i] ? 1 : 0;
        continue;
      }
      const double a = static_cast<double>(f32[c].result.as<float>()[i]);
      const double b = f64[c].result.as<double>()[i];
      if ((a > 0) == (b > 0)) continue;
      ++found.count;
      found.largest = std::max(found.largest, std::max(a, b));
    }
    if (found.count > before) found.parameters_before = f64[c].parameters_before;
  }
  return found;
}

double distance_of(const Tensor& ours, const Json& golden) {
  return Record(golden).sample_distance(doubles_of(ours));
}
// In units of PyTorch f32's distance to f64.
double ratio_of(const Tensor& ours, const Json& golden) {
  return distance_of(ours, golden) / Record(golden).distance_f32;
}

void expect_f32_as_good_as_pytorch(const Model::PhaseOf& phase_of, const char* part) {
  const Model model = find_model("unet34");
  const Json& golden = file().at(part);
  const Result result = forward_backward(model, phase_of, kCpu, DType::f32);
  const Partings parted =
      partings(choices_of(model, phase_of, kCpu, DType::f32), choices_of(model, phase_of, kReference, DType::f64));

  std::vector<double> smooth;
  std::pair<double, std::string> worst;
  double kinked = 0;
  for (std::size_t p = 0; p < result.parameters.size(); ++p) {
    const std::string& name = result.parameters[p];
    const Json& record = golden.at("gradients").at(name);
    if (p < parted.parameters_before) {
      kinked = std::max(kinked, distance_of(result.gradients.at(name), record));
      continue;
    }
    smooth.push_back(ratio_of(result.gradients.at(name), record));
    worst = std::max(worst, {smooth.back(), name});
  }
  std::sort(smooth.begin(), smooth.end());
  ASSERT_FALSE(smooth.empty());
  const double median = smooth[smooth.size() / 2];
  const double logits = ratio_of(result.logits, golden.at("logits"));
  std::cout << fmt::format(
                   "{}: distance to f64 over PyTorch f32's: logits {:.2f}, {} gradients: median {:.2f}, largest {:.2f} "
                   "({}); {} "
                   "partings at kinks, {} gradients in front, off by {:.2g} at most",
                   part, logits, smooth.size(), median, worst.first, worst.second, parted.count,
                   parted.parameters_before, kinked)
            << std::endl;

  EXPECT_NEAR(result.loss / golden.at("loss").get<double>(), 1, 1e-5);
  EXPECT_LE(logits, 10);
  EXPECT_LE(median, 3);
  EXPECT_LE(worst.first, 16) << worst.second;
  EXPECT_LE(parted.count, 4u) << "of 1.3 million activations";
  EXPECT_LE(parted.largest, 1e-5);
  EXPECT_LE(kinked, 4e-2);
}

TEST(Golden, FrozenBatchNormInSinglePrecisionOnTheCpu) {
  expect_f32_as_good_as_pytorch(frozen_phase, "eval");
}
TEST(Golden, LiveBatchNormInSinglePrecisionOnTheCpu) {
  expect_f32_as_good_as_pytorch(training_phase, "train");
}

}  // namespace
}  // namespace dermatome::golden
