// Every distinct cuDNN graph of U-Net34, made by the functions that its kernels call, is offered to cuDNN for GPUs that
// are not here: at least one plan must be offered within the workspace limit and, for each size and GPU in the slow
// suite and for one of them in every run, be built.
#include <dlfcn.h>
#include <gtest/gtest.h>

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

void collect(Graph graph, DType type, bool tf32, Convolutions& found) {
  run_passes(graph, {.activations = type, .tf32 = tf32}, nullptr, kCuda);
  for (const Node& node : graph.nodes()) {
    const KernelRequest request =
        request_of(graph, node, std::vector<bool>(node.outputs.size(), true), kCuda, {.tf32 = tf32});
    for (const Convolution& convolution : convolutions_of(request)) found[to_string(convolution)] = convolution;
  }
}

// Training and inference at a size.
Convolutions convolutions_of_unet34(std::int64_t size, std::int64_t batch, DType type, bool tf32) {
  const Model model = find_model("unet34");
  training::StageSettings stage;
  stage.size = static_cast<int>(size);
  Convolutions found;
  const training::StagePrograms programs{.model = model,
                                         .stage = stage,
                                         .resident = batch,
                                         .compile = {.activations = type, .tf32 = tf32},
                                         .device = kCuda};
  collect(training::accumulate_graph(programs, batch, false), type, tf32, found);
  collect(training::inference_graph(model, batch, size, size, DType::f32), type, tf32, found);
  return found;
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

void expect_accepted(const Setting& setting, std::span<const std::pair<int, int>> sizes, bool build) {
  const auto& [gpu, type, tf32] = setting;
  const std::string profile = profile_of(gpu);
  std::size_t count = 0;
  std::size_t second_choices = 0;
  std::size_t own = 0;
  for (const auto& [size, batch] : sizes) {
    const Convolutions convolutions = convolutions_of_unet34(size, batch, type, tf32);
    ASSERT_GT(convolutions.size(), 50u);
    for (const auto& [text, wanted] : convolutions) {
      std::string refusals;
      const auto candidates = candidates_for(wanted);
      bool accepted = candidates.empty();  // a kernel of our own serves it
      own += accepted ? 1 : 0;
      for (const Convolution& candidate : candidates) {
        const Acceptance answer = accepted_for(candidate, profile, gpu.capability, build);
        accepted = build ? !answer.built.empty() : answer.plans > 0;
        if (accepted) break;
        refusals += "\n  " + to_string(candidate) + ": " + answer.refusal;
        // cuDNN 9.19 offers plans for two sums behind a data gradient of stride 2 that it cannot build.
        second_choices += wanted.stride == 2 && wanted.epilogue.sums_with ? 0 : 1;
      }
      EXPECT_TRUE(accepted) << text << refusals;
      ++count;
    }
  }
  EXPECT_EQ(own, 0u);
  EXPECT_LE(second_choices, sizes.size()) << "only the stem's weight gradient, of three channels, in bf16";
  fmt::print("{} convolutions for {} in {}{}: {} by kernels of our own, {} in the second formulation\n", count,
             gpu.name, name_of(type), tf32 ? " (tf32)" : "", own, second_choices);
}

TEST_P(CudnnAcceptance, OffersPlansForEveryConvolutionOfUnet34) {
  expect_accepted(GetParam(), kSizes, false);
}

class SlowCudnnAcceptance : public CudnnAcceptance {};

TEST_P(SlowCudnnAcceptance, BuildsAPlanForEveryConvolutionOfUnet34) {
  expect_accepted(GetParam(), kSizes, true);
}

TEST_F(CudnnLoaded, BuildsPlansForTheH200) {
  expect_accepted({kGpuModels[1], DType::bf16, false}, std::span(kSizes).subspan(1, 1), true);
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
