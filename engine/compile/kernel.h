// Kernel: one op at one shape and type on one device. A family's files register factories; the compiler asks them in
// order of priority and takes the first that accepts.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/compile/call.h"
#include "engine/compile/options.h"
#include "engine/core/device.h"
#include "engine/graph/graph.h"

namespace dermatome {

// What a kernel is to do. Valid only while the factory runs.
struct KernelRequest {
  const Op& op;
  const Attributes& attributes;
  std::vector<TensorDesc> inputs;  // where absent: rank 0
  std::vector<bool> input_present;
  std::vector<TensorDesc> outputs;
  std::vector<bool> output_used;  // an unused output gets a null pointer and need not be computed
  DType type;                     // Op::compute_type
  Device device;
  bool deterministic = false;
  bool tf32 = false;                       // f32 convolutions may round what they read to tf32
  std::vector<std::string> disabled = {};  // implementations that are not to be asked
  std::string plans = {};                  // CompileOptions::plans

  bool has_input(int i) const {
    return static_cast<std::size_t>(i) < input_present.size() && input_present[static_cast<std::size_t>(i)];
  }
  bool uses_output(int i) const {
    return static_cast<std::size_t>(i) < output_used.size() && output_used[static_cast<std::size_t>(i)];
  }
  OpCall op_call() const;
};

// That of a node of the graph; `output_used`: one a output.
KernelRequest request_of(const Graph& graph, const Node& node, std::vector<bool> output_used, Device device,
                         const CompileOptions& options);

class Kernel;

// "I want input `input` in another layout." The program keeps a copy of a state's contents for as long as the state
// does not change, and reorders before each run what is no state. In Call the input then points at the copy.
struct PreparedInput {
  int input = 0;
  std::string layout;  // equal texts mean equal contents for the same state
  std::size_t bytes = 0;
  std::unique_ptr<Kernel> reorder;          // input 0: the plain tensor; output 0: the copy
  std::optional<DType> channels_last = {};  // the copy is a ChannelsLastCopy of f32, of this type
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  // Bytes of scratch memory that run() may use; planned like any value.
  virtual std::size_t workspace_bytes() const { return 0; }
  // Moves the wanted layouts out; called once, before the first run.
  virtual std::vector<PreparedInput> take_prepared_inputs() { return {}; }
  // Whether it may write the output to the input's memory, where the op says that kernels may (Op::in_place).
  virtual bool works_in_place(int /*output*/, int /*input*/) const { return true; }
  // Neither allocates nor synchronises nor reads anything but its arguments' memory, so any program can be captured.
  virtual void run(const Call& call) = 0;
  // Runs many calls of kernels that name the same function in one go, where starting each costs more than its work.
  using RunTogether = void (*)(std::span<const Call>);
  virtual RunTogether together() const { return nullptr; }
  virtual CopyDuty copy_duty() const { return CopyDuty::none; }
  // A reorder that also works on some rows of the plain tensor at a time, on the thread that asks: on how many; 0: it
  // works on the whole alone.
  virtual std::int64_t rows_at_a_time() const { return 0; }
  virtual void run_rows(const Call& /*call*/, std::int64_t /*first*/, std::int64_t /*count*/) {}
  // What run() executes; empty: what the op's cost says.
  virtual std::optional<Work> work() const { return std::nullopt; }
  // What was chosen: "onednn brgemm:avx512_core", "cpu x86-64-v4".
  virtual std::string describe() const = 0;
};

// Returns null when this implementation does not serve the request.
using KernelFactory = std::function<std::unique_ptr<Kernel>(const KernelRequest&)>;

struct KernelEntry {
  std::string op;
  DeviceKind device;
  int priority = 0;  // higher is asked first
  std::string implementation;
  KernelFactory factory;
};

void register_kernel(KernelEntry entry);
const std::vector<KernelEntry>& kernel_entries();

// Whether a kernel of that name is registered for the op on that kind of device.
bool has_implementation(std::string_view op, Device device, std::string_view implementation);

// The first kernel that accepts. Throws Error naming op, device, type and shapes when none does.
// `implementation`: only that one is asked (benchmarks, tests); empty asks all.
std::unique_ptr<Kernel> make_kernel(const KernelRequest& request, std::string_view implementation = {});

// Whether make_kernel would find one.
bool has_kernel(const KernelRequest& request);

// Wraps a function; null when its accepts() refuses.
std::unique_ptr<Kernel> make_function_kernel(const FunctionEntry& entry, const KernelRequest& request,
                                             std::string implementation);

Operand operand_of(const TensorDesc& desc, void* data);

// Static registration of kernels: DERMATOME_REGISTER_KERNEL("conv2d", cpu, 10, "onednn", make_conv2d);
struct KernelRegistrar {
  explicit KernelRegistrar(KernelEntry entry) { register_kernel(std::move(entry)); }
};

}  // namespace dermatome

#define DERMATOME_CONCAT_(a, b) a##b
#define DERMATOME_CONCAT(a, b) DERMATOME_CONCAT_(a, b)
#define DERMATOME_REGISTER_KERNEL(op, kind, priority, implementation, factory)                 \
  static const ::dermatome::KernelRegistrar DERMATOME_CONCAT(kernel_registrar_, __COUNTER__) { \
    ::dermatome::KernelEntry {                                                                 \
      op, ::dermatome::DeviceKind::kind, priority, implementation, factory                     \
    }                                                                                          \
  }
