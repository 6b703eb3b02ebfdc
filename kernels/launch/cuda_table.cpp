// Registration of CUDA tables, and what their kernels need of a stream.
#include "kernels/launch/cuda_table.h"

#include <fmt/ranges.h>

#include <set>

#include "engine/compile/kernel.h"
#include "kernels/vendor/cuda.h"

namespace dermatome::launch {
namespace {

std::string text_of(const Operand& operand) {
  const std::span<const std::int64_t> extents(operand.extent, static_cast<std::size_t>(operand.rank));
  return fmt::format("{}[{}]", name_of(operand.type), fmt::join(extents, ", "));
}

// Adds the op and its shapes to what a failing launch says.
class CudaFunctionKernel final : public Kernel {
 public:
  CudaFunctionKernel(std::string op, std::unique_ptr<Kernel> kernel) : op_(std::move(op)), kernel_(std::move(kernel)) {}
  std::size_t workspace_bytes() const override { return kernel_->workspace_bytes(); }
  std::optional<Work> work() const override { return kernel_->work(); }
  CopyDuty copy_duty() const override { return kernel_->copy_duty(); }
  std::string describe() const override { return kernel_->describe(); }
  void run(const Call& call) override {
    try {
      kernel_->run(call);
    } catch (const Error& error) {
      std::vector<std::string> shapes;
      for (int i = 0; i < call.input_count && i < 4; ++i) shapes.push_back(text_of(call.inputs[i]));
      fail("{} of {}: {}", op_, fmt::join(shapes, ", "), error.what());
    }
  }

 private:
  std::string op_;
  std::unique_ptr<Kernel> kernel_;
};

bool has_f64(const KernelRequest& request) {
  const auto is_f64 = [](const TensorDesc& desc) { return desc.type == DType::f64; };
  return std::any_of(request.inputs.begin(), request.inputs.end(), is_f64) ||
         std::any_of(request.outputs.begin(), request.outputs.end(), is_f64);
}

}  // namespace

CudaTableRegistrar::CudaTableRegistrar(const FunctionEntry* table, const char* implementation, int priority) {
  std::set<std::string> seen;
  for (const FunctionEntry* entry = table; entry->op != nullptr; ++entry) {
    const std::string op = entry->op;
    if (!seen.insert(op).second) continue;
    register_kernel({.op = op,
                     .device = DeviceKind::cuda,
                     .priority = priority,
                     .implementation = implementation,
                     .factory = [table, op, name = std::string(implementation)](
                                    const KernelRequest& request) -> std::unique_ptr<Kernel> {
                       if (has_f64(request)) return nullptr;
                       for (const auto* e = table; e->op != nullptr; ++e) {
                         if (e->op != op || e->type != request.type) continue;
                         if (auto kernel = make_function_kernel(*e, request, name)) {
                           return std::make_unique<CudaFunctionKernel>(op, std::move(kernel));
                         }
                       }
                       return nullptr;
                     }});
  }
}

namespace cuda {

void* stream_of(const Call& call) {
  return call.stream == nullptr ? nullptr : call.stream->native();
}

void check_launch() {
  dermatome::cuda::check(cudaGetLastError(), "launching its kernel");
}

}  // namespace cuda
}  // namespace dermatome::launch
