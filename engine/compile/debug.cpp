// Trace, dump and verification of single steps.
#include "engine/compile/debug.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "engine/core/npy.h"

namespace dermatome {
namespace {

TensorDesc desc_of(const Operand& operand) {
  return {operand.type, Shape(std::span(operand.extent, static_cast<std::size_t>(operand.rank)))};
}

std::vector<double> as_doubles(const Tensor& tensor) {
  std::vector<double> values(static_cast<std::size_t>(tensor.shape().elements()));
  const auto widen = [&](const auto span) { std::copy(span.begin(), span.end(), values.begin()); };
  switch (tensor.type()) {
    case DType::f32: widen(tensor.as<float>()); break;
    case DType::f64: widen(tensor.as<double>()); break;
    case DType::u8: widen(tensor.as<std::uint8_t>()); break;
    case DType::i32: widen(tensor.as<std::int32_t>()); break;
    case DType::bf16: {
      const auto* words = reinterpret_cast<const std::uint16_t*>(tensor.data());
      for (std::size_t i = 0; i < values.size(); ++i) {
        const std::uint32_t bits = static_cast<std::uint32_t>(words[i]) << 16;
        float value = 0;
        std::memcpy(&value, &bits, sizeof(value));
        values[i] = value;
      }
      break;
    }
  }
  return values;
}

double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double value : values) most = std::isnan(value) ? value : std::max(most, std::abs(value));
  return most;
}

std::string file_name(std::string name) {
  for (char& c : name) {
    if (c == '/' || c == ' ') c = '_';
  }
  return name;
}

// The reference computes in f32 where a node does in bf16.
TensorDesc reference_desc(TensorDesc desc) {
  if (desc.type == DType::bf16) desc.type = DType::f32;
  return desc;
}

Tensor reference_input(const Tensor& tensor) {
  if (!tensor.defined() || tensor.type() != DType::bf16) return tensor;
  Tensor wide(reference_desc(tensor.desc()));
  const auto values = as_doubles(tensor);
  std::transform(values.begin(), values.end(), wide.as<float>().begin(),
                 [](double value) { return static_cast<float>(value); });
  return wide;
}

double tolerance_of(DType type) {
  switch (type) {
    case DType::f64: return 1e-9;
    case DType::bf16: return 3e-2;
    case DType::f32: return 1e-3;
    default: return 0;
  }
}

}  // namespace

Tensor host_copy(const Operand& operand, Device device) {
  Tensor copy(desc_of(operand));
  Backend& backend = backend_of(device.kind);
  const auto stream = backend.make_stream(device.index);
  backend.copy_to_host(copy.data(), operand.data, copy.bytes(), *stream);
  stream->synchronize();
  return copy;
}

void trace_step(int index, const Step& step, Device device, double seconds) {
  std::string result = "no output";
  if (!step.outputs.empty() && step.outputs[0].data != nullptr) {
    const Tensor output = host_copy(step.outputs[0], device);
    result = fmt::format("{} max |y| {:.6g}", to_string(output.desc()), largest(as_doubles(output)));
  }
  fmt::print(stderr, "{:4} {:<44} {:9.3f} ms  {:<28} {}\n", index, step.name, seconds * 1e3, step.kernel->describe(),
             result);
}

void dump_step(const std::string& folder, int index, const Step& step, Device device) {
  std::filesystem::create_directories(folder);
  for (std::size_t i = 0; i < step.outputs.size(); ++i) {
    if (step.outputs[i].data == nullptr) continue;
    const std::string suffix = i == 0 ? "" : fmt::format(".{}", i);
    write_npy(std::filesystem::path(folder) / fmt::format("{:04}_{}{}.npy", index, file_name(step.name), suffix),
              host_copy(step.outputs[i], device));
  }
}

void verify_step(const Node& node, const Step& step, const std::vector<Tensor>& inputs_before, Device device) {
  std::vector<Tensor> reference_inputs;
  std::vector<TensorDesc> input_descs;
  std::vector<bool> present;
  for (const Tensor& tensor : inputs_before) {
    reference_inputs.push_back(reference_input(tensor));
    input_descs.push_back(tensor.defined() ? reference_inputs.back().desc() : TensorDesc{});
    present.push_back(tensor.defined());
  }
  std::vector<TensorDesc> output_descs;
  std::vector<bool> used;
  std::vector<Tensor> expected;
  for (const Operand& output : step.outputs) {
    output_descs.push_back(reference_desc(desc_of(output)));
    used.push_back(output.data != nullptr);
    expected.emplace_back(output_descs.back());
  }
  KernelRequest request{.op = node.op[0],
                        .attributes = node.attributes,
                        .inputs = input_descs,
                        .input_present = present,
                        .outputs = output_descs,
                        .output_used = used,
                        .type = DType::f32,
                        .device = {DeviceKind::reference, 0}};
  request.type = node.op->compute_type(request.op_call(), output_descs);
  const auto kernel = make_kernel(request);
  std::vector<Operand> inputs;
  std::vector<Operand> outputs;
  for (const Tensor& tensor : reference_inputs) {
    inputs.push_back(operand_of(tensor.defined() ? tensor.desc() : TensorDesc{}, tensor.data()));
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    outputs.push_back(operand_of(expected[i].desc(), used[i] ? expected[i].data() : nullptr));
  }
  const auto is_bf16 = [](const Operand& operand) { return operand.type == DType::bf16; };
  const bool in_bf16 = std::any_of(step.inputs.begin(), step.inputs.end(), is_bf16) ||
                       std::any_of(step.outputs.begin(), step.outputs.end(), is_bf16);
  const Buffer workspace({DeviceKind::reference, 0}, kernel->workspace_bytes());
  kernel->run({.inputs = inputs.data(),
               .outputs = outputs.data(),
               .input_count = static_cast<int>(inputs.size()),
               .output_count = static_cast<int>(outputs.size()),
               .attributes = node.attributes.values().data(),
               .workspace = workspace.data(),
               .stream = nullptr});
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (!used[i]) continue;
    const auto want = as_doubles(expected[i]);
    const auto got = as_doubles(host_copy(step.outputs[i], device));
    const double bound = tolerance_of(in_bf16 ? DType::bf16 : expected[i].type()) * (largest(want) + 1e-6);
    for (std::size_t k = 0; k < want.size(); ++k) {
      const double difference = std::abs(want[k] - got[k]);
      DERMATOME_CHECK(difference <= bound,
                      "{} ({}, {}): output {} differs from the reference at element {}: {} instead of {}", step.name,
                      node.op->name(), step.kernel->describe(), i, k, got[k], want[k]);
    }
  }
}

}  // namespace dermatome
