// The kernel registry and kernels made of plain functions.
#include "engine/compile/kernel.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "engine/core/error.h"

namespace dermatome {
namespace {

std::vector<KernelEntry>& registry() {
  static std::vector<KernelEntry> instance;
  return instance;
}

// Brings an input into the layout that a function wants.
class PreparationKernel final : public Kernel {
 public:
  explicit PreparationKernel(const FunctionPreparation& preparation) : preparation_(preparation) {}
  void run(const Call& call) override { preparation_.run(call); }
  std::int64_t rows_at_a_time() const override { return preparation_.rows_at_a_time; }
  void run_rows(const Call& call, std::int64_t first, std::int64_t count) override {
    preparation_.run_rows(call, first, count);
  }
  std::string describe() const override { return preparation_.layout; }

 private:
  const FunctionPreparation& preparation_;
};

// Calls a plain function; keeps nothing of the entry but pointers.
class FunctionKernel final : public Kernel {
 public:
  FunctionKernel(const FunctionEntry& entry, const Call& call, std::string implementation)
      : run_(entry.run),
        workspace_(entry.workspace == nullptr ? 0 : static_cast<std::size_t>(entry.workspace(call))),
        work_(entry.work == nullptr ? std::nullopt : std::optional(entry.work(call))),
        copy_duty_(entry.copy_duty),
        implementation_(std::move(implementation)) {
    if (const FunctionPreparation* wanted = entry.preparation; wanted != nullptr) {
      prepared_.push_back({.input = wanted->input,
                           .layout = wanted->layout,
                           .bytes = static_cast<std::size_t>(wanted->bytes(call.inputs[wanted->input])),
                           .reorder = std::make_unique<PreparationKernel>(*wanted)});
    }
  }
  std::size_t workspace_bytes() const override { return workspace_; }
  std::vector<PreparedInput> take_prepared_inputs() override { return std::move(prepared_); }
  CopyDuty copy_duty() const override { return copy_duty_; }
  std::optional<Work> work() const override { return work_; }
  void run(const Call& call) override { run_(call); }
  std::string describe() const override { return implementation_; }

 private:
  void (*run_)(const Call&);
  std::size_t workspace_;
  std::optional<Work> work_;
  CopyDuty copy_duty_;
  std::string implementation_;
  std::vector<PreparedInput> prepared_;
};

// The first kernel that accepts, or null.
std::unique_ptr<Kernel> find_kernel(const KernelRequest& request, std::string_view implementation) {
  for (const auto& entry : registry()) {
    if (entry.op != request.op.name() || entry.device != request.device.kind) continue;
    if (!implementation.empty() && entry.implementation != implementation) continue;
    const auto& disabled = request.disabled;
    if (std::find(disabled.begin(), disabled.end(), entry.implementation) != disabled.end()) continue;
    if (auto kernel = entry.factory(request)) return kernel;
  }
  return nullptr;
}

}  // namespace

OpCall KernelRequest::op_call() const {
  std::vector<const TensorDesc*> pointers;
  for (std::size_t i = 0; i < inputs.size(); ++i) pointers.push_back(input_present[i] ? &inputs[i] : nullptr);
  return {attributes, std::move(pointers)};
}

KernelRequest request_of(const Graph& graph, const Node& node, std::vector<bool> output_used, Device device,
                         const CompileOptions& options) {
  KernelRequest request{.op = node.op[0],
                        .attributes = node.attributes,
                        .inputs = {},
                        .input_present = {},
                        .outputs = graph.output_descs(node),
                        .output_used = std::move(output_used),
                        .type = DType::f32,
                        .device = device,
                        .deterministic = options.deterministic,
                        .tf32 = options.tf32,
                        .disabled = options.disabled_kernels,
                        .plans = options.plans};
  for (const Value input : node.inputs) {
    request.inputs.push_back(input ? graph.desc(input) : TensorDesc{});
    request.input_present.push_back(static_cast<bool>(input));
  }
  request.type = node.op->compute_type(graph.call_of(node), request.outputs);
  return request;
}

void register_kernel(KernelEntry entry) {
  auto& entries = registry();
  const auto place = std::find_if(entries.begin(), entries.end(),
                                  [&](const KernelEntry& other) { return other.priority < entry.priority; });
  entries.insert(place, std::move(entry));
}

const std::vector<KernelEntry>& kernel_entries() {
  return registry();
}

bool has_implementation(std::string_view op, Device device, std::string_view implementation) {
  return std::any_of(registry().begin(), registry().end(), [&](const KernelEntry& entry) {
    return entry.op == op && entry.device == device.kind && entry.implementation == implementation;
  });
}

bool has_kernel(const KernelRequest& request) {
  return find_kernel(request, {}) != nullptr;
}

std::unique_ptr<Kernel> make_kernel(const KernelRequest& request, std::string_view implementation) {
  if (auto kernel = find_kernel(request, implementation)) return kernel;
  std::vector<std::string> shapes;
  for (std::size_t i = 0; i < request.inputs.size() && i < 4; ++i) {
    shapes.push_back(request.input_present[i] ? to_string(request.inputs[i]) : "none");
  }
  fail("no {} kernel{} on {} for {} with inputs {}", request.op.name(),
       implementation.empty() ? "" : fmt::format(" '{}'", implementation), to_string(request.device),
       name_of(request.type), fmt::join(shapes, ", "));
}

std::unique_ptr<Kernel> make_function_kernel(const FunctionEntry& entry, const KernelRequest& request,
                                             std::string implementation) {
  std::vector<Operand> inputs;
  std::vector<Operand> outputs;
  // A non-null mark tells presence apart while nothing is allocated yet; functions read only shapes here.
  static char present;
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    inputs.push_back(operand_of(request.inputs[i], request.input_present[i] ? &present : nullptr));
  }
  for (std::size_t i = 0; i < request.outputs.size(); ++i) {
    outputs.push_back(operand_of(request.outputs[i], request.output_used[i] ? &present : nullptr));
  }
  const Call call{.inputs = inputs.data(),
                  .outputs = outputs.data(),
                  .input_count = static_cast<int>(inputs.size()),
                  .output_count = static_cast<int>(outputs.size()),
                  .attributes = request.attributes.values().data(),
                  .workspace = nullptr,
                  .stream = nullptr};
  const auto fits = [&](const Operand& operand) {
    return operand.data == nullptr || !is_floating(operand.type) || operand.type == entry.type || entry.mixes_types;
  };
  if (!std::all_of(inputs.begin(), inputs.end(), fits) || !std::all_of(outputs.begin(), outputs.end(), fits))
    return nullptr;
  if (entry.accepts != nullptr && !entry.accepts(call)) return nullptr;
  return std::make_unique<FunctionKernel>(entry, call, std::move(implementation));
}

Operand operand_of(const TensorDesc& desc, void* data) {
  Operand operand{.data = data, .type = desc.type, .rank = desc.shape.rank(), .extent = {1, 1, 1, 1, 1}, .elements = 0};
  for (int i = 0; i < desc.shape.rank(); ++i) operand.extent[i] = desc.shape[i];
  operand.elements = desc.shape.elements();
  return operand;
}

}  // namespace dermatome
