// Convolution graphs through cuDNN's frontend, the one file that includes it.
#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#include <cudnn_frontend.h>
#include <dlfcn.h>

#include <optional>

#include "engine/core/error.h"
#include "kernels/vendor/cuda.h"
#include "kernels/vendor/cudnn.h"
#include "kernels/vendor/cudnn_convolution.h"
#include "kernels/vendor/cudnn_plan_choice.h"
#include "kernels/vendor/cudnn_products.h"
#include "kernels/vendor/shared_library.h"

namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;  // the frontend takes its functions from here
}

namespace dermatome::cudnn {
namespace {

namespace fe = cudnn_frontend;
using Dimensions = std::vector<std::int64_t>;
using GraphTensor = std::shared_ptr<fe::graph::Tensor_attributes>;

enum Uid : std::int64_t {
  kFirst = 1,
  kSecond,
  kBias,
  kScale,
  kShift,
  kResidual,
  kResidualFactor,
  kResult,
  kSum,
  kSecondSum,
  kGate,
  kOther
};

// The first need loads the library; null with a reason where that fails.
const SharedLibrary& library() {
  static const SharedLibrary instance = [] {
    SharedLibrary loaded = open_library("libcudnn.so.9", "DERMATOME_CUDNN");
    fe::cudnn_dlhandle = loaded.handle;
    return loaded;
  }();
  return instance;
}

// cuDNN opens these by name when it makes and compiles plans.
void preload_for_plans() {
  static const bool loaded = [] {
    preload_library("libnvrtc.so.13");
    preload_library("libcublasLt.so.13");
    return true;
  }();
  (void)loaded;
}

std::string text_of(std::size_t number) {
  return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
}

fe::DataType_t type_of(DType type) {
  switch (type) {
    case DType::f32: return fe::DataType_t::FLOAT;
    case DType::bf16: return fe::DataType_t::BFLOAT16;
    default: fail("cuDNN convolutions take f32 or bf16, not {}", name_of(type));
  }
}

// Channels last: [n, c, h, w] by name, n h w c in memory; kernels [out, in, kh, kw] likewise.
// `step`: elements from a pixel to the next.
Dimensions strides_of(const Dimensions& d, std::int64_t step) {
  return {step * d[2] * d[3], 1, step * d[3], step};
}

GraphTensor input(fe::graph::Graph& graph, Uid uid, const Dimensions& dimensions, std::int64_t step, DType type) {
  return graph.tensor(fe::graph::Tensor_attributes()
                          .set_uid(uid)
                          .set_dim(dimensions)
                          .set_stride(strides_of(dimensions, step))
                          .set_data_type(type_of(type)));
}

template <typename Attributes>
Attributes window(const Convolution& c) {
  return Attributes().set_padding({c.pad, c.pad}).set_stride({c.stride, c.stride}).set_dilation({1, 1});
}

GraphTensor add_epilogue(fe::graph::Graph& graph, const Convolution& c, GraphTensor value, const Dimensions& written) {
  const auto one = [&](fe::PointwiseMode_t mode) {
    return graph.pointwise(value, fe::graph::Pointwise_attributes().set_mode(mode));
  };
  const auto two = [&](fe::PointwiseMode_t mode, const GraphTensor& other) {
    return graph.pointwise(value, other, fe::graph::Pointwise_attributes().set_mode(mode));
  };
  const std::int64_t channels = c.channels_written();
  const auto channel = [&](Uid uid) { return input(graph, uid, {1, channels, 1, 1}, channels, DType::f32); };
  GraphTensor residual;
  if (c.epilogue.reads_residual()) residual = input(graph, kResidual, written, c.written_step(), c.result);
  if (c.epilogue.bias) value = two(fe::PointwiseMode_t::ADD, channel(kBias));
  if (c.epilogue.relu_first) value = one(fe::PointwiseMode_t::RELU_FWD);
  if (c.epilogue.scale) {
    value = two(fe::PointwiseMode_t::MUL, channel(kScale));
    value = two(fe::PointwiseMode_t::ADD, channel(kShift));
  }
  if (c.epilogue.residual) {
    GraphTensor added = residual;
    if (c.epilogue.residual_factor) {
      added = graph.pointwise(residual, channel(kResidualFactor),
                              fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::MUL));
    }
    value = two(fe::PointwiseMode_t::ADD, added);
  }
  if (c.epilogue.relu) value = one(fe::PointwiseMode_t::RELU_FWD);
  if (c.epilogue.mask) value = two(fe::PointwiseMode_t::RELU_BWD, residual);
  if (c.epilogue.gate) {
    value = two(fe::PointwiseMode_t::RELU_BWD, input(graph, kGate, written, c.written_step(), c.result));
  }
  if (c.identity) {
    value->set_data_type(fe::DataType_t::FLOAT);
    value = one(fe::PointwiseMode_t::IDENTITY);
  }
  return value;
}

// Sums over all but the channels, of the value and of its product with `other`; whether before or behind rounding is
// the engine's.
void add_sums(fe::graph::Graph& graph, const Convolution& c, const GraphTensor& value, const GraphTensor& other) {
  const std::int64_t channels = c.channels_written();
  const auto sum = [&](Uid uid, const GraphTensor& of) {
    const Dimensions dimensions{1, channels, 1, 1};
    graph.reduction(of, fe::graph::Reduction_attributes().set_mode(fe::ReductionMode_t::ADD))
        ->set_uid(uid)
        .set_output(true)
        .set_data_type(fe::DataType_t::FLOAT)
        .set_dim(dimensions)
        .set_stride(strides_of(dimensions, channels));
  };
  sum(kSum, value);
  sum(kSecondSum, graph.pointwise(value, other, fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::MUL)));
}

// The one place where graphs are made: for kernels and for the question what a GPU that is not here accepts.
std::unique_ptr<fe::graph::Graph> graph_of(const Convolution& c) {
  const Dimensions x{c.n, c.in, c.height, c.width};
  const Dimensions y{c.n, c.out, c.out_height, c.out_width};
  const Dimensions kernel{c.out, c.in, c.kernel, c.kernel};
  auto graph = std::make_unique<fe::graph::Graph>();
  graph->set_io_data_type(type_of(c.type))
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  const auto weight = [&] { return input(*graph, kSecond, kernel, c.in, c.type); };
  GraphTensor result;
  Dimensions written;
  switch (c.direction) {
    case Direction::forward:
      written = y;
      result = graph->conv_fprop(input(*graph, kFirst, x, c.x_step(), c.type), weight(),
                                 window<fe::graph::Conv_fprop_attributes>(c));
      break;
    case Direction::data_gradient:
      written = x;
      result = graph->conv_dgrad(input(*graph, kFirst, y, c.y_step(), c.type), weight(),
                                 window<fe::graph::Conv_dgrad_attributes>(c));
      break;
    case Direction::weight_gradient:
      written = kernel;
      result =
          graph->conv_wgrad(input(*graph, kSecond, y, c.y_step(), c.type), input(*graph, kFirst, x, c.x_step(), c.type),
                            window<fe::graph::Conv_wgrad_attributes>(c));
      break;
  }
  result->set_dim(written);
  result = add_epilogue(*graph, c, result, written);
  if (c.epilogue.sums) add_sums(*graph, c, result, result);
  if (c.epilogue.sums_with) {
    add_sums(*graph, c, result, input(*graph, kOther, written, c.written_step(), c.result));
  }
  result->set_uid(kResult)
      .set_output(true)
      .set_data_type(type_of(c.result))
      .set_dim(written)
      .set_stride(strides_of(written, c.direction == Direction::weight_gradient ? c.in : c.written_step()));
  return graph;
}

// Plans in cuDNN's order, best guess first. Empty text: done; else why not.
std::string list_plans(fe::graph::Graph& graph, const Convolution& c) {
  if (auto status = graph.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}); !status.is_good())
    return status.get_message();
  graph.deselect_workspace_greater_than(kWorkspaceLimit);
  if (c.type == DType::f32 && !c.tf32) {
    graph.deselect_numeric_notes({fe::NumericalNote_t::TENSOR_CORE, fe::NumericalNote_t::DOWN_CONVERT_INPUTS});
  }
  if (c.deterministic) graph.deselect_numeric_notes({fe::NumericalNote_t::NONDETERMINISTIC});
  return "";
}

std::string name_at(const fe::graph::Graph& graph, std::int64_t index) {
  std::string name;
  return graph.get_plan_name_at_index(index, name).is_good() ? name : "";
}

void check(fe::error_t status, std::string_view call, const Convolution& c) {
  if (!status.is_good()) fail("cuDNN's {} failed for {}: {}", call, to_string(c), status.get_message());
}

// A handle a device, kept until the program ends.
cudnnHandle_t handle_of(int device) {
  static std::map<int, cudnnHandle_t> handles;
  cuda::use(device);
  auto& handle = handles[device];
  if (handle == nullptr) {
    const auto status = fe::detail::create_handle(&handle);
    DERMATOME_CHECK(status == CUDNN_STATUS_SUCCESS, "cudnnCreate failed on cuda:{} (status {})", device,
                    static_cast<int>(status));
  }
  return handle;
}

class GpuPlan final : public Plan {
 public:
  GpuPlan(std::unique_ptr<fe::graph::Graph> graph, std::int64_t index, const Convolution& convolution, int device)
      : graph_(std::move(graph)), index_(index), convolution_(convolution), device_(device) {}
  std::int64_t workspace_bytes() const override { return graph_->get_workspace_size_plan_at_index(index_); }
  std::string describe() const override { return "cudnn " + name_at(*graph_, index_); }
  void run(const Operands& operands, Stream& stream) override {
    const cudnnHandle_t handle = handle_of(device_);
    fe::detail::set_stream(handle, cuda::native(stream));
    std::unordered_map<std::int64_t, void*> pointers{{kFirst, const_cast<void*>(operands.first)},
                                                     {kSecond, const_cast<void*>(operands.second)},
                                                     {kResult, operands.result}};
    const Epilogue& epilogue = convolution_.epilogue;
    if (epilogue.bias) pointers[kBias] = const_cast<float*>(operands.bias);
    if (epilogue.scale) pointers[kScale] = const_cast<float*>(operands.scale);
    if (epilogue.scale) pointers[kShift] = const_cast<float*>(operands.shift);
    if (epilogue.reads_residual()) pointers[kResidual] = const_cast<void*>(operands.residual);
    if (epilogue.residual_factor) pointers[kResidualFactor] = const_cast<float*>(operands.residual_factor);
    if (epilogue.gate) pointers[kGate] = const_cast<void*>(operands.gate);
    if (epilogue.sums_with) pointers[kOther] = const_cast<void*>(operands.other);
    if (epilogue.sums || epilogue.sums_with) {  // engines may add to what is there
      pointers[kSum] = operands.sum;
      pointers[kSecondSum] = operands.second_sum;
      const auto bytes = static_cast<std::size_t>(convolution_.channels_written()) * sizeof(float);
      for (float* sums : {operands.sum, operands.second_sum}) {
        DERMATOME_CUDA_CALL(cudaMemsetAsync(sums, 0, bytes, cuda::native(stream)));
      }
    }
    check(graph_->execute_plan_at_index(handle, pointers, operands.workspace, index_), "execution", convolution_);
  }

 private:
  std::unique_ptr<fe::graph::Graph> graph_;
  std::int64_t index_;
  Convolution convolution_;
  int device_;
};

// The graph with its plans listed for a GPU; null where it is refused.
std::unique_ptr<fe::graph::Graph> prepared_graph(const Convolution& c, int device) {
  auto graph = graph_of(c);
  const cudnnHandle_t handle = handle_of(device);
  if (!graph->validate().is_good() || !graph->build_operation_graph(handle).is_good()) return nullptr;
  return list_plans(*graph, c).empty() ? std::move(graph) : nullptr;
}

// Memory to time plans in.
struct Trial {
  Buffer first, second, channels, residual, gate, other, result, sum, second_sum;
  std::unique_ptr<Stream> stream;
};

std::size_t bytes(DType type, std::int64_t elements) {
  return static_cast<std::size_t>(elements) * size_of(type);
}

Trial make_trial(const Convolution& c, int device) {
  const Device place{DeviceKind::cuda, device};
  const std::int64_t x = c.x_pixels() * c.x_step();
  const std::int64_t y = c.y_pixels() * c.y_step();
  const std::int64_t kernel = c.out * c.in * c.kernel * c.kernel;
  const bool gradient_of_weight = c.direction == Direction::weight_gradient;
  const std::int64_t first = c.direction == Direction::data_gradient ? y : x;
  const std::int64_t result = c.direction == Direction::forward ? y : gradient_of_weight ? kernel : x;
  Trial trial{.first = Buffer(place, bytes(c.type, first)),
              .second = Buffer(place, bytes(c.type, gradient_of_weight ? y : kernel)),
              .channels = Buffer(place, bytes(DType::f32, c.channels_written())),
              .residual = Buffer(place, c.epilogue.reads_residual() ? bytes(c.result, result) : 0),
              .gate = Buffer(place, c.epilogue.gate ? bytes(c.result, result) : 0),
              .other = Buffer(place, c.epilogue.sums_with ? bytes(c.result, result) : 0),
              .result = Buffer(place, bytes(c.result, result)),
              .sum = Buffer(place, bytes(DType::f32, c.channels_written())),
              .second_sum = Buffer(place, bytes(DType::f32, c.channels_written())),
              .stream = backend_of(DeviceKind::cuda).make_stream(device)};
  for (const Buffer* buffer : {&trial.first, &trial.second}) fill_varied(*buffer, c.type, *trial.stream);
  fill_varied(trial.channels, DType::f32, *trial.stream);
  for (const Buffer* buffer : {&trial.residual, &trial.gate, &trial.other}) {
    fill_varied(*buffer, c.result, *trial.stream);
  }
  return trial;
}

constexpr int kTimings = 5;

// The shortest of several runs behind one that warms up; with the pass behind a plan that lacks the epilogue.
double time_plan(const Planned& planned, const Trial& trial, int device) {
  const Buffer workspace({DeviceKind::cuda, device}, static_cast<std::size_t>(planned.workspace_bytes()));
  const auto* channels = reinterpret_cast<const float*>(trial.channels.data());
  const Operands operands{.first = trial.first.data(),
                          .second = trial.second.data(),
                          .bias = channels,
                          .scale = channels,
                          .shift = channels,
                          .residual = trial.residual.data(),
                          .residual_factor = channels,
                          .gate = trial.gate.data(),
                          .other = trial.other.data(),
                          .sum = reinterpret_cast<float*>(trial.sum.data()),
                          .second_sum = reinterpret_cast<float*>(trial.second_sum.data()),
                          .result = trial.result.data(),
                          .workspace = workspace.data()};
  Call call{};
  call.stream = trial.stream.get();
  planned.run(call, operands);
  cuda::Event start;
  cuda::Event end;
  double shortest = 0;
  for (int i = 0; i < kTimings; ++i) {
    start.record(cuda::native(*trial.stream));
    planned.run(call, operands);
    end.record(cuda::native(*trial.stream));
    end.wait();
    const double seconds = end.seconds_since(start);
    if (i == 0 || seconds < shortest) shortest = seconds;
  }
  return shortest;
}

// The plan of that name, built; null where this cuDNN has it no more.
std::unique_ptr<Plan> plan_named(const Convolution& c, int device, const std::string& name) {
  auto graph = prepared_graph(c, device);
  if (graph == nullptr) return nullptr;
  for (std::int64_t i = 0; i < graph->get_execution_plan_count(); ++i) {
    if (name_at(*graph, i) != name || !graph->build_plan_at_index(i).is_good()) continue;
    return std::make_unique<GpuPlan>(std::move(graph), i, c, device);
  }
  return nullptr;
}

// The plans of a GPU, timed on it.
class GpuPlans final : public PlanSource {
 public:
  GpuPlans(const Convolution& wanted, int device) : wanted_(wanted), device_(device) {}

  std::vector<std::string> names_for(const Convolution& candidate) override {
    std::vector<std::string> names = candidate.product ? names_of_products(candidate) : names_of_graph(candidate);
    // Made here: where it does not fit, that is said, and no plan passed over.
    if (!names.empty() && !trial_) trial_ = make_trial(wanted_, device_);
    return names;
  }
  std::unique_ptr<Plan> build(const Convolution& candidate, const std::string& name) override {
    return candidate.product ? make_product_plan(candidate, name, device_) : plan_named(candidate, device_, name);
  }
  double seconds_of(const Convolution& candidate, std::unique_ptr<Plan> plan) override {
    return time_plan({wanted_, candidate, std::move(plan)}, *trial_, device_);
  }

 private:
  std::vector<std::string> names_of_graph(const Convolution& candidate) const {
    const auto listed = prepared_graph(candidate, device_);
    if (listed == nullptr) return {};
    std::vector<std::string> names;
    for (std::int64_t i = 0; i < listed->get_execution_plan_count(); ++i) names.push_back(name_at(*listed, i));
    return names;
  }
  // Where cuBLASLt cannot serve, cuDNN does.
  std::vector<std::string> names_of_products(const Convolution& candidate) const {
    try {
      return product_plans(candidate, device_);
    } catch (const Error&) {
      return {};
    }
  }

  Convolution wanted_;
  int device_;
  std::optional<Trial> trial_;
};

}  // namespace

std::string why_absent() {
  return library().why_absent;
}

std::string version() {
  return library().handle == nullptr ? "" : text_of(fe::detail::get_backend_version());
}

std::string file() {
  return library().file;
}

Choice choose_plan(const Convolution& wanted, const std::vector<Convolution>& candidates, int device,
                   const std::string& plans) {
  if (const std::string why = why_absent(); !why.empty()) fail("{}", why);
  preload_for_plans();
  GpuPlans source(wanted, device);
  const std::string place = fmt::format("{} | cuDNN {}", cuda::name_of_device(device), version());
  return choose_plan_from(source, place, candidates, plans);
}

double matrix_product_seconds(DType type, std::int64_t side, int device) {
  const Convolution product{.n = 1,
                            .height = side,
                            .width = 1,
                            .in = side,
                            .out_height = side,
                            .out_width = 1,
                            .out = side,
                            .kernel = 1,
                            .type = type,
                            .result = type};
  Choice choice = choose_plan(product, {product}, device);
  if (choice.plan == nullptr) return 0;
  return time_plan({product, product, std::move(choice.plan)}, make_trial(product, device), device);
}

Acceptance accepted_for(const Convolution& c, const std::string& profile, int capability, bool build) {
  if (const std::string why = why_absent(); !why.empty()) return {.refusal = why};
  preload_for_plans();
  const auto properties = std::make_shared<fe::DeviceProperties>();
  std::vector<std::uint8_t> text(profile.begin(), profile.end());
  text.push_back(0);
  if (auto status = properties->deserialize(text); !status.is_good()) return {.refusal = status.get_message()};
  auto graph = graph_of(c);
  graph->set_sm_version(capability);
  graph->set_device_properties(properties);
  if (auto status = graph->validate(); !status.is_good()) return {.refusal = status.get_message()};
  if (auto status = graph->build_operation_graph(); !status.is_good()) return {.refusal = status.get_message()};
  if (std::string why = list_plans(*graph, c); !why.empty()) return {.refusal = std::move(why)};
  Acceptance acceptance{.plans = graph->get_execution_plan_count()};
  for (std::int64_t i = 0; build && i < acceptance.plans; ++i) {
    auto status = graph->build_plan_at_index(i);
    if (status.is_good()) {
      acceptance.built = name_at(*graph, i);
      return acceptance;
    }
    acceptance.refusal = status.get_message();
  }
  return acceptance;
}

}  // namespace dermatome::cudnn
