// Every distinct cuDNN graph of U-Net34, made by the functions that its kernels call, is offered to cuDNN for GPUs that
// are not here: at least one plan must be offered within the workspace limit and be built, the latter of everything in
// the slow suite, and in every run for one size and GPU without variants.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "engine/compile/pass.h"
#include "kernels/conv2d/cudnn.h"
#include "kernels/conv_transpose2d/cudnn.h"
#include "kernels/decoder_step/cudnn.h"
#include "kernels/linear/cudnn.h"
#include "kernels/vendor/cudnn_convolution.h"
#include "models/builtin.h"
#include "tests/cudnn/profiles.h"
#include "tools/training/networks.h"

namespace dermatome::cudnn {
namespace {

std::vector<Convolution> convolutions_of(const KernelRequest& request) {
  const std::string& op = request.op.name();
  if (op == "conv2d") return {conv2d::forward_by_cudnn(request)};
  if (op == "conv2d_fused") return {conv2d::fused_by_cudnn(request)};
  if (op.starts_with("linear")) return {linear::by_cudnn(request)};
  if (op == "conv2d_sums") return {conv2d::sums_by_cudnn(request)};
  if (op == "conv2d_data_gradient_sums") return {conv2d::data_gradient_sums_by_cudnn(request)};
  if (op == "conv2d_data_gradient") return {conv2d::data_gradient_by_cudnn(request)};
  if (op == "conv2d_weight_gradient") return {conv2d::weight_gradient_by_cudnn(request)};
  if (op == "conv_transpose2d") return {conv_transpose2d::by_cudnn(request)};
  // The head, of one channel, has a kernel of our own.
  if (op == "decoder_step" && request.outputs[0].shape[3] > 1) return decoder_step::by_cudnn(request);
  if (op == "decoder_step_gradient" && request.inputs[0].shape[3] > 1) return decoder_step::by_cudnn(request);
  if (op == "decoder_skip_gradient") return decoder_step::by_cudnn(request);
  return {};
}

constexpr Device kCuda{DeviceKind::cuda, 0};

// By text: the convolutions of a program, each once.
using Convolutions = std::map<std::string, Convolution>;

// A way of compiling and training U-Net34, of those that make other graphs.
struct Variant {
  std::vector<std::string> frozen;  // groups
  std::vector<std::string> disabled_passes;
};

class Collector {
 public:
  Collector(std::int64_t size, std::int64_t batch, DType type, bool tf32)
      : size_(size), batch_(batch), type_(type), tf32_(tf32) {}

  void training(const Variant& variant) {
    training::StageSettings stage;
    stage.size = static_cast<int>(size_);
    stage.frozen = variant.frozen;
    const CompileOptions options = options_of(variant);
    const training::StagePrograms programs{
        .model = model_, .stage = stage, .resident = batch_, .compile = options, .device = kCuda};
    collect(training::accumulate_graph(programs, batch_, false), options);
  }
  void inference(const Variant& variant, std::int64_t batch) {
    collect(training::inference_graph(model_, batch, size_, size_, DType::f32), options_of(variant));
  }
  const Convolutions& found() const { return found_; }

 private:
  CompileOptions options_of(const Variant& variant) const {
    return {.activations = type_, .disabled_passes = variant.disabled_passes, .tf32 = tf32_};
  }
  void collect(Graph graph, const CompileOptions& options) {
    run_passes(graph, options, nullptr, kCuda);
    for (const Node& node : graph.nodes()) {
      const KernelRequest request =
          request_of(graph, node, std::vector<bool>(node.outputs.size(), true), kCuda, options);
      for (const Convolution& convolution : convolutions_of(request)) found_[to_string(convolution)] = convolution;
    }
  }

  Model model_ = find_model("unet34");
  std::int64_t size_, batch_;
  DType type_;
  bool tf32_;
  Convolutions found_;
};

const Variant kPlainDecoder{.frozen = {}, .disabled_passes = {"restructured_decoder"}};
const Variant kFrozenEarly{.frozen = {"encoder.early"}, .disabled_passes = {}};
const Variant kFrozenEncoder{.frozen = {"encoder.early", "encoder.late"}, .disabled_passes = {}};

// Training and inference at a size; `all`: also with a decoder as the model writes it, with frozen groups, and of a
// single photograph.
Convolutions convolutions_of_unet34(std::int64_t size, std::int64_t batch, DType type, bool tf32, bool all) {
  Collector collector(size, batch, type, tf32);
  collector.training({});
  collector.inference({}, batch);
  if (!all) return collector.found();
  for (const Variant& variant : {kPlainDecoder, kFrozenEarly, kFrozenEncoder}) collector.training(variant);
  for (const Variant& variant : {Variant{}, kPlainDecoder}) collector.inference(variant, 1);
  return collector.found();
}

// Of the operation conv_transpose2d: no other data gradient has a bias.
bool is_transposed(const Convolution& c) {
  return c.direction == Direction::data_gradient && c.epilogue.bias;
}

// The head of a decoder as the model writes it: kernels of our own serve what cuDNN does not take of it.
bool has_one_channel(const Convolution& c) {
  return c.in == 1 || c.out == 1;
}

// Where a second formulation may be all that there is: weight gradients of one and three channels, in bf16; two sums
// behind a data gradient of stride 2, for which cuDNN 9.19 offers plans that it cannot build; a transposed
// convolution's bias.
bool may_take_second(const Convolution& c) {
  if (c.direction == Direction::weight_gradient) return c.type == DType::bf16 && (c.in <= 3 || c.out == 1);
  return (c.stride == 2 && c.epilogue.sums_with) || is_transposed(c) || has_one_channel(c);
}

struct Setting {
  GpuModel gpu;
  DType type;
  bool tf32;
};

class CudnnLoaded : public testing::Test {
 protected:
  void SetUp() override {
    if (std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "a real driver is here, which must not be replaced";
    ASSERT_NE(::dlopen(DERMATOME_GPULESS_DRIVER, RTLD_NOW | RTLD_GLOBAL), nullptr) << ::dlerror();
    ASSERT_EQ(why_absent(), "") << "cuDNN's libraries lie beside its headers";
  }
};

class CudnnAcceptance : public CudnnLoaded, public testing::WithParamInterface<Setting> {};

constexpr std::pair<int, int> kSizes[] = {{128, 8}, {256, 64}, {512, 16}};  // side, batch

void expect_accepted(const Setting& setting, std::span<const std::pair<int, int>> sizes, bool all, bool build) {
  const auto& [gpu, type, tf32] = setting;
  const std::string profile = profile_of(gpu);
  std::size_t count = 0;
  std::size_t second_choices = 0;
  std::size_t own = 0;
  for (const auto& [size, batch] : sizes) {
    const Convolutions convolutions = convolutions_of_unet34(size, batch, type, tf32, all);
    ASSERT_GT(convolutions.size(), 50u);
    for (const auto& [text, wanted] : convolutions) {
      std::string refusals;
      bool accepted = false;
      bool first = true;
      for (const Convolution& candidate : candidates_for(wanted)) {
        if (candidate.product) continue;  // cuBLASLt's, which answers only where there is a device
        const Acceptance answer = accepted_for(candidate, profile, gpu.capability, build);
        accepted = build ? !answer.built.empty() : answer.plans > 0;
        if (accepted) break;
        first = false;
        refusals += "\n  " + to_string(candidate) + ": " + answer.refusal;
      }
      EXPECT_TRUE(accepted || has_one_channel(wanted)) << text << refusals;
      EXPECT_TRUE(first || !accepted || may_take_second(wanted)) << text << refusals;
      own += accepted ? 0 : 1;
      second_choices += accepted && !first ? 1 : 0;
      ++count;
    }
  }
  // The head's forward pass and its gradients.
  EXPECT_LE(own, all ? 4 * sizes.size() : 0);
  fmt::print("{} convolutions for {} in {}{}: {} by kernels of our own, {} in the second formulation\n", count,
             gpu.name, name_of(type), tf32 ? " (tf32)" : "", own, second_choices);
}

TEST_P(CudnnAcceptance, OffersPlansForEveryConvolutionOfUnet34) {
  expect_accepted(GetParam(), kSizes, true, false);
}

class SlowCudnnAcceptance : public CudnnAcceptance {};

TEST_P(SlowCudnnAcceptance, BuildsAPlanForEveryConvolutionOfUnet34) {
  expect_accepted(GetParam(), kSizes, true, true);
}

TEST_F(CudnnLoaded, BuildsPlansForTheH200) {
  expect_accepted({kGpuModels[1], DType::bf16, false}, std::span(kSizes).subspan(1, 1), false, true);
}

// What is asked about is there: five transposed convolutions in training and of a single photograph, and less to
// compute the more is frozen.
TEST(CudnnGraphs, AreThoseOfEveryWayOfRunningUnet34) {
  for (const DType type : {DType::f32, DType::bf16}) {
    const auto transposed = [&](const Convolutions& convolutions, std::int64_t batch) {
      return std::count_if(convolutions.begin(), convolutions.end(),
                           [&](const auto& entry) { return is_transposed(entry.second) && entry.second.n == batch; });
    };
    const Convolutions all = convolutions_of_unet34(128, 8, type, false, true);
    EXPECT_EQ(transposed(all, 8), 5);
    EXPECT_EQ(transposed(all, 1), 5);
    const Convolutions few = convolutions_of_unet34(128, 8, type, false, false);
    EXPECT_EQ(transposed(few, 8), 0) << "the pass restructured_decoder leaves none";
    EXPECT_LT(few.size(), all.size());
    const auto count = [&](const Variant& variant, Direction direction) {
      Collector collector(128, 8, type, false);
      collector.training(variant);
      return std::count_if(collector.found().begin(), collector.found().end(),
                           [&](const auto& entry) { return entry.second.direction == direction; });
    };
    for (const Direction direction : {Direction::data_gradient, Direction::weight_gradient}) {
      EXPECT_LT(count(kFrozenEarly, direction), count({}, direction));
      EXPECT_LT(count(kFrozenEncoder, direction), count(kFrozenEarly, direction));
    }
  }
}

std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const GpuModel& gpu : kGpuModels) {
    all.push_back({gpu, DType::f32, false});
    all.push_back({gpu, DType::f32, true});
    all.push_back({gpu, DType::bf16, false});
  }
  return all;
}

void PrintTo(const Setting& setting, std::ostream* out) {
  *out << setting.gpu.name << " " << name_of(setting.type);
}

std::string name_of_setting(const testing::TestParamInfo<Setting>& info) {
  return fmt::format("sm_{}_{}{}", info.param.gpu.capability, name_of(info.param.type), info.param.tf32 ? "_tf32" : "");
}

INSTANTIATE_TEST_SUITE_P(Unet34, CudnnAcceptance, testing::ValuesIn(settings()), name_of_setting);
INSTANTIATE_TEST_SUITE_P(Unet34, SlowCudnnAcceptance, testing::ValuesIn(settings()), name_of_setting);

// resnet34's last layer and its gradients.
TEST_F(CudnnLoaded, BuildsPlansForLinear) {
  for (const char* name : {"linear", "linear_data_gradient", "linear_weight_gradient"}) {
    const Op& op = op_named(name);
    const Shape samples{64, 512};
    const Shape weight{1000, 512};
    const Shape result{64, 1000};
    const bool forward = op.name() == "linear";
    const bool of_weight = op.name() == "linear_weight_gradient";
    const Attributes attributes(op.signature().attributes);
    const KernelRequest request{
        .op = op,
        .attributes = attributes,
        .inputs = {{DType::f32, forward || of_weight ? samples : result}, {DType::f32, of_weight ? result : weight}},
        .input_present = {true, true, forward},
        .outputs = {},
        .output_used = {true},
        .type = DType::f32,
        .device = kCuda};
    const Acceptance answer = accepted_for(linear::by_cudnn(request), profile_of(kGpuModels[1]), 90, true);
    EXPECT_NE(answer.built, "") << name << ": " << answer.refusal;
  }
}

// The check can fail: a kernel larger than cuDNN's window rules allow is refused.
TEST_F(CudnnLoaded, RefusesWhatIsNoConvolution) {
  Convolution impossible{.n = 1,
                         .height = 8,
                         .width = 8,
                         .in = 8,
                         .out_height = 8,
                         .out_width = 8,
                         .out = 8,
                         .kernel = 3,
                         .stride = 1,
                         .pad = 0};  // y would be 6 x 6
  const Acceptance answer = accepted_for(impossible, profile_of(kGpuModels[1]), 90, true);
  EXPECT_EQ(answer.built, "");
  EXPECT_NE(answer.refusal, "");
}

}  // namespace
}  // namespace dermatome::cudnn
