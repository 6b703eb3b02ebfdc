// Drawing a case's inputs and converting them between types.
#include "tests/harness/instance.h"

#include <algorithm>
#include <cmath>

#include "engine/core/philox.h"

namespace dermatome::harness {
namespace {

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

double uniform(Philox& random, const InputFill& fill) {
  return fill.low + (fill.high - fill.low) * static_cast<double>(random.next()) * 0x1p-32;
}

// Equidistant values from low to high in a random order.
std::vector<double> shuffled_ladder(std::size_t count, const InputFill& fill, Philox& random) {
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = fill.low + (fill.high - fill.low) * (static_cast<double>(i) + 0.5) / static_cast<double>(count);
  }
  for (std::size_t i = count; i > 1; --i) std::swap(values[i - 1], values[random.below(static_cast<std::uint32_t>(i))]);
  return values;
}

double draw_one(const InputFill& fill, Philox& random) {
  switch (fill.kind) {
    case InputFill::Kind::uniform: return uniform(random, fill);
    case InputFill::Kind::off_zero: {
      const double value = uniform(random, fill);
      return std::abs(value) >= 0.05 ? value : value < 0 && fill.low < 0 ? -0.05 : 0.05;
    }
    case InputFill::Kind::integers:
      return fill.low + random.below(static_cast<std::uint32_t>(std::lround(fill.high - fill.low)) + 1);
    case InputFill::Kind::binary: return random.below(2) == 0 ? fill.low : fill.high;
    case InputFill::Kind::constant: return fill.low;
    case InputFill::Kind::absent:
    case InputFill::Kind::distinct: break;
  }
  fail("this fill has no single values");
}

Tensor draw(const CaseInput& input, Philox random) {
  const bool whole = input.fill.kind == InputFill::Kind::integers || input.fill.kind == InputFill::Kind::binary ||
                     input.fill.kind == InputFill::Kind::constant;
  DERMATOME_CHECK(is_floating(input.desc.type) || whole, "an input of {} needs a fill with whole numbers",
                  to_string(input.desc));
  std::vector<double> values(static_cast<std::size_t>(input.desc.shape.elements()));
  if (input.fill.kind == InputFill::Kind::distinct) {
    values = shuffled_ladder(values.size(), input.fill, random);
  } else {
    for (double& value : values) value = draw_one(input.fill, random);
  }
  // An f64 case starts from numbers that f32 can hold too.
  if (is_floating(input.desc.type)) {
    for (double& value : values) value = static_cast<double>(static_cast<float>(value));
  }
  return tensor_from(values, input.desc);
}

std::uint16_t to_bf16(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  if (std::isnan(value)) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);  // to nearest, ties to even
}

float from_bf16(std::uint16_t word) {
  const std::uint32_t bits = static_cast<std::uint32_t>(word) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// In f64 all floating-point inputs change, in bf16 those that the op declares so; the rest only loses its finer digits.
Tensor converted(const Tensor& tensor, DType floating, Precision precision) {
  if (!is_floating(tensor.type())) return tensor;
  if (floating != DType::bf16) return tensor_from(values_of(tensor), {floating, tensor.shape()});
  const Tensor rounded = tensor_from(values_of(tensor), {DType::bf16, tensor.shape()});
  return precision == Precision::full ? tensor_from(values_of(rounded), tensor.desc()) : rounded;
}

Precision precision_of(const Op& op, std::size_t input) {
  const auto& specs = op.signature().inputs;
  return specs[std::min(input, specs.size() - 1)].precision;
}

void infer_outputs(Instance& instance, const std::string& name) {
  try {
    instance.outputs = instance.op.infer(call_of(instance));
  } catch (const Error& error) {
    fail("case {}: {}", name, error.what());
  }
}

// `input_of(i)`: the tensor of input i, which is not absent.
template <typename InputOf>
Instance instance_of(const OpCase& op_case, const InputOf& input_of) {
  const Op& op = op_named(op_case.op);
  Instance instance{.op = op, .attributes = Attributes(op.signature().attributes), .inputs = {}, .outputs = {}};
  for (const auto& [name, argument] : op_case.attributes) instance.attributes.set(name, argument);
  instance.attributes.check_complete();

  for (std::size_t i = 0; i < op_case.inputs.size(); ++i) {
    const bool absent = op_case.inputs[i].fill.kind == InputFill::Kind::absent;
    instance.inputs.push_back(absent ? Tensor{} : input_of(i));
  }
  // As Graph::add_node: inputs left out at the end are absent.
  const auto& specs = op.signature().inputs;
  const bool variadic = !specs.empty() && specs.back().variadic;
  while (!variadic && instance.inputs.size() < specs.size()) instance.inputs.emplace_back();

  infer_outputs(instance, name_of(op_case));
  return instance;
}

}  // namespace

Instance instantiate(const OpCase& op_case, std::optional<DType> floating, unsigned salt) {
  const std::uint64_t seed = hash_of(name_of(op_case)) + salt;
  return instance_of(op_case, [&](std::size_t i) {
    const Tensor tensor = draw(op_case.inputs[i], Philox(seed, i));
    return floating ? converted(tensor, *floating, precision_of(op_named(op_case.op), i)) : tensor;
  });
}

Instance without_contents(const OpCase& op_case, std::optional<DType> floating) {
  return instance_of(op_case, [&](std::size_t i) {
    TensorDesc desc = op_case.inputs[i].desc;
    const bool keeps = floating == DType::bf16 && precision_of(op_named(op_case.op), i) == Precision::full;
    if (floating && is_floating(desc.type) && !keeps) desc.type = *floating;
    return Tensor(desc);
  });
}

Instance widened(const Instance& instance) {
  Instance wide = instance;
  for (Tensor& input : wide.inputs) {
    if (input.defined()) input = converted(input, DType::f64, Precision::full);
  }
  infer_outputs(wide, instance.op.name());
  return wide;
}

bool has_bf16_form(const OpCase& op_case) {
  const Op& op = op_named(op_case.op);
  for (std::size_t i = 0; i < op_case.inputs.size(); ++i) {
    const CaseInput& input = op_case.inputs[i];
    const bool given = input.fill.kind != InputFill::Kind::absent && input.desc.type == DType::f32;
    if (given && precision_of(op, i) != Precision::full) return true;
  }
  return false;
}

OpCall call_of(const Instance& instance) {
  std::vector<const TensorDesc*> descs;
  for (const Tensor& input : instance.inputs) descs.push_back(input.defined() ? &input.desc() : nullptr);
  return {instance.attributes, std::move(descs)};
}

KernelRequest request_for(const Instance& instance, Device device, const std::vector<bool>& used) {
  KernelRequest request{.op = instance.op,
                        .attributes = instance.attributes,
                        .inputs = {},
                        .input_present = {},
                        .outputs = instance.outputs,
                        .output_used = used.empty() ? std::vector<bool>(instance.outputs.size(), true) : used,
                        .type = DType::f32,
                        .device = device,
                        .deterministic = true};  // bits are compared
  for (const Tensor& input : instance.inputs) {
    request.inputs.push_back(input.defined() ? input.desc() : TensorDesc{});
    request.input_present.push_back(input.defined());
  }
  request.type = instance.op.compute_type(call_of(instance), request.outputs);
  return request;
}

std::string name_of(const OpCase& op_case) {
  return op_case.op + "/" + op_case.name;
}

std::vector<double> values_of(const Tensor& tensor) {
  std::vector<double> values(static_cast<std::size_t>(tensor.shape().elements()));
  const auto widen = [&](const auto span) { std::copy(span.begin(), span.end(), values.begin()); };
  switch (tensor.type()) {
    case DType::f32: widen(tensor.as<float>()); break;
    case DType::f64: widen(tensor.as<double>()); break;
    case DType::u8: widen(tensor.as<std::uint8_t>()); break;
    case DType::i32: widen(tensor.as<std::int32_t>()); break;
    case DType::bf16: {
      const auto* words = reinterpret_cast<const std::uint16_t*>(tensor.data());
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(from_bf16(words[i]));
      break;
    }
  }
  return values;
}

Tensor tensor_from(const std::vector<double>& values, const TensorDesc& desc) {
  Tensor tensor(desc);
  const auto narrow = [&](const auto span) {
    using Element = std::remove_reference_t<decltype(span[0])>;
    std::transform(values.begin(), values.end(), span.begin(),
                   [](double value) { return static_cast<Element>(value); });
  };
  switch (desc.type) {
    case DType::f32: narrow(tensor.as<float>()); break;
    case DType::f64: narrow(tensor.as<double>()); break;
    case DType::u8: narrow(tensor.as<std::uint8_t>()); break;
    case DType::i32: narrow(tensor.as<std::int32_t>()); break;
    case DType::bf16: {
      auto* words = reinterpret_cast<std::uint16_t*>(tensor.data());
      for (std::size_t i = 0; i < values.size(); ++i) words[i] = to_bf16(static_cast<float>(values[i]));
      break;
    }
  }
  return tensor;
}

double largest_magnitude(const std::vector<double>& values) {
  double most = 0;
  for (const double value : values) {
    if (std::isnan(value)) return value;
    most = std::max(most, std::abs(value));
  }
  return most;
}

}  // namespace dermatome::harness
