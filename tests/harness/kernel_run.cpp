// Guarded memory around single kernel runs.
#include "tests/harness/kernel_run.h"

#include <algorithm>

namespace dermatome::harness {
namespace {

constexpr std::size_t kGuard = 64;

// Poisoned device memory between two strips of guard bytes.
class GuardedMemory {
 public:
  GuardedMemory(std::size_t bytes, Device device, unsigned char poison, Stream& stream)
      : bytes_(bytes),
        poison_(poison),
        storage_({DType::u8, {static_cast<std::int64_t>((bytes + kGuard - 1) / kGuard * kGuard + 2 * kGuard)}},
                 device) {
    backend_of(device.kind).fill_bytes(storage_.data(), poison, storage_.bytes(), stream);
    stream.synchronize();
  }

  std::byte* data() const { return storage_.data() + kGuard; }
  Tensor tensor(const TensorDesc& desc) const { return storage_.view(kGuard, desc); }

  bool guards_hold() const {
    Tensor host({DType::u8, storage_.shape()});
    host.copy_from(storage_);
    const auto bytes = host.as<std::uint8_t>();
    const auto untouched = [&](std::uint8_t byte) { return byte == poison_; };
    return std::all_of(bytes.begin(), bytes.begin() + kGuard, untouched) &&
           std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(kGuard + bytes_), bytes.end(), untouched);
  }

 private:
  std::size_t bytes_;
  unsigned char poison_;
  Tensor storage_;
};

bool same_bytes(const Tensor& a, const Tensor& b) {
  return std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

Tensor on_host(const Tensor& tensor) {
  Tensor host(tensor.desc());
  host.copy_from(tensor);
  return host;
}

// Memory of one kernel call, alive while it runs.
struct CallMemory {
  std::vector<Tensor> inputs;  // on the device
  std::vector<GuardedMemory> guarded;
  std::vector<Operand> input_operands;
  std::vector<Operand> output_operands;
};

}  // namespace

ReadyKernel::ReadyKernel(std::unique_ptr<Kernel> kernel) : kernel_(std::move(kernel)) {
  prepared_ = kernel_->take_prepared_inputs();
}

bool ReadyKernel::prepares(int input) const {
  return std::any_of(prepared_.begin(), prepared_.end(), [&](const PreparedInput& p) { return p.input == input; });
}

std::vector<Tensor> ReadyKernel::run(const Instance& instance, Device device, const Settings& settings) const {
  const auto stream = backend_of(device.kind).make_stream(device.index);
  CallMemory memory;
  memory.guarded.reserve(instance.inputs.size() + instance.outputs.size() + 2 * prepared_.size() + 1);
  const auto allocate = [&](std::size_t bytes) -> GuardedMemory& {
    return memory.guarded.emplace_back(bytes, device, settings.poison, *stream);
  };

  for (const Tensor& input : instance.inputs) {
    if (!input.defined()) {
      memory.inputs.emplace_back();
      memory.input_operands.push_back(operand_of(TensorDesc{}, nullptr));
      continue;
    }
    memory.inputs.push_back(allocate(input.bytes()).tensor(input.desc()));
    memory.inputs.back().copy_from(input);
    memory.input_operands.push_back(operand_of(input.desc(), memory.inputs.back().data()));
  }
  std::vector<Tensor> outputs(instance.outputs.size());
  for (std::size_t i = 0; i < instance.outputs.size(); ++i) {
    const TensorDesc& desc = instance.outputs[i];
    const bool used = settings.used.empty() || settings.used[i];
    if (used && settings.shared.output == static_cast<int>(i)) {
      outputs[i] = memory.inputs[static_cast<std::size_t>(settings.shared.input)].view(0, desc);
    } else if (used) {
      outputs[i] = allocate(desc.bytes()).tensor(desc);
    }
    memory.output_operands.push_back(operand_of(desc, outputs[i].data()));
  }

  for (const PreparedInput& prepared : prepared_) {
    Operand& input = memory.input_operands[static_cast<std::size_t>(prepared.input)];
    Operand copy = input;
    copy.data = allocate(prepared.bytes).data();
    const std::size_t workspace = prepared.reorder->workspace_bytes();
    prepared.reorder->run({.inputs = &input,
                           .outputs = &copy,
                           .input_count = 1,
                           .output_count = 1,
                           .attributes = nullptr,
                           .workspace = workspace > 0 ? allocate(workspace).data() : nullptr,
                           .stream = stream.get()});
    input = copy;
  }

  const std::size_t workspace = kernel_->workspace_bytes();
  kernel_->run({.inputs = memory.input_operands.data(),
                .outputs = memory.output_operands.data(),
                .input_count = static_cast<int>(memory.input_operands.size()),
                .output_count = static_cast<int>(memory.output_operands.size()),
                .attributes = instance.attributes.values().data(),
                .workspace = workspace > 0 ? allocate(workspace).data() : nullptr,
                .stream = stream.get()});
  stream->synchronize();

  for (const GuardedMemory& guarded : memory.guarded) {
    DERMATOME_CHECK(guarded.guards_hold(), "{} writes outside its memory", describe());
  }
  for (std::size_t i = 0; i < instance.inputs.size(); ++i) {
    if (!instance.inputs[i].defined() || settings.shared.input == static_cast<int>(i)) continue;
    DERMATOME_CHECK(same_bytes(on_host(memory.inputs[i]), instance.inputs[i]), "{} changes its input {}", describe(),
                    i);
  }
  for (Tensor& output : outputs) {
    if (output.defined()) output = on_host(output);
  }
  return outputs;
}

std::vector<Implementation> implementations_of(std::string_view op) {
  std::vector<Implementation> found;
  for (const KernelEntry& entry : kernel_entries()) {
    const bool known = std::any_of(found.begin(), found.end(), [&](const Implementation& other) {
      return other.device == entry.device && other.name == entry.implementation;
    });
    if (entry.op == op && !known) found.push_back({entry.op, entry.device, entry.implementation});
  }
  return found;
}

std::unique_ptr<Kernel> make(const Implementation& implementation, const KernelRequest& request) {
  for (const KernelEntry& entry : kernel_entries()) {
    if (entry.op != implementation.op || entry.device != implementation.device) continue;
    if (entry.implementation != implementation.name) continue;
    if (auto kernel = entry.factory(request)) return kernel;
  }
  return nullptr;
}

}  // namespace dermatome::harness
