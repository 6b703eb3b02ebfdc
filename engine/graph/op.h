// Op: what an operation means, free of any device. One family's op.cpp defines its ops and their gradient ops; nothing
// else in the engine knows an op by name, but for the core set that autograd emits itself (add, scale, cast, fill).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/graph/attributes.h"
#include "engine/graph/value.h"

namespace dermatome {

class Builder;
class GradientContext;

// What the type policy (engine/compile/type_policy.h) may make of a floating-point input when activations are bf16.
enum class Precision : std::uint8_t {
  full,     // stays f32: weights, statistics, logits
  follows,  // bf16 where another input of the node is bf16 already: arithmetic that only moves memory
  reduced,  // always bf16: arithmetic that is worth a cast
};

struct InputSpec {
  std::string name;
  bool optional = false;
  bool state = false;     // the graph language makes this input a named state of the layer (see Op::states)
  bool variadic = false;  // the last input only: any number of tensors
  Precision precision = Precision::full;
};
inline InputSpec follows(std::string name) {
  return {.name = std::move(name), .precision = Precision::follows};
}
inline InputSpec reduced(std::string name) {
  return {.name = std::move(name), .precision = Precision::reduced};
}

struct OutputSpec {
  std::string name;
  bool differentiable = true;  // false for counts, indices, running statistics
};

// Names, order and defaults: all that a caller, the graph language and an error message need to know.
struct Signature {
  std::string name;
  std::string summary;  // one line for `dermatome info --ops` and the documentation
  std::vector<InputSpec> inputs;
  std::vector<OutputSpec> outputs;  // an op may infer fewer: trailing ones can depend on attributes
  std::vector<AttributeSpec> attributes;
};

// How a state starts. Names as in PyTorch; fans are computed by the op that declares the state.
struct Initializer {
  enum class Kind : std::uint8_t { constant, normal, uniform };
  Kind kind = Kind::constant;
  double value = 0;  // the constant, the standard deviation, or the bound of U(-bound, bound)
};

// A persistent tensor that a layer of this op owns.
struct StateSpec {
  std::string suffix;  // "weight", "running_mean": appended to the layer's name
  TensorDesc desc;
  Initializer initializer;
  bool trainable = true;
  int input = 0;            // the input of the op that reads it
  int written_output = -1;  // the output that becomes its next value, or -1
};

// How a node takes part in a program; a freezable op (batch norm) sets its attributes accordingly.
struct Phase {
  bool training = false;         // false: inference
  bool live_statistics = false;  // batch statistics are used and running statistics move
};

struct Cost {
  double flops = 0;  // a multiply-add counts as two
  double bytes = 0;  // that must move to and from memory
};

// Output `output` may be given the memory of input `input`: the kernels of this op may overwrite it as they read.
struct InPlace {
  int output = 0;
  int input = 0;
};

// One application of an op: attributes and operand descriptions. Null for absent inputs.
class OpCall {
 public:
  OpCall(const Attributes& attributes, std::vector<const TensorDesc*> inputs)
      : attributes(attributes), inputs_(std::move(inputs)) {}

  const Attributes& attributes;

  int input_count() const { return static_cast<int>(inputs_.size()); }
  bool has_input(int i) const { return i < input_count() && inputs_[static_cast<std::size_t>(i)] != nullptr; }
  // Throws Error when the input is absent.
  const TensorDesc& input(int i) const;
  const Shape& shape(int i) const { return input(i).shape; }

 private:
  std::vector<const TensorDesc*> inputs_;
};

class Op {
 public:
  explicit Op(Signature signature) : signature_(std::move(signature)) {}
  virtual ~Op() = default;
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  const Signature& signature() const { return signature_; }
  const std::string& name() const { return signature_.name; }

  // Descriptions of the outputs. Throws Error stating the shapes when the inputs do not fit together.
  virtual std::vector<TensorDesc> infer(const OpCall& call) const = 0;

  // Adds the nodes that compute the gradients of the inputs. Without an override: an error for whoever needs one.
  virtual void gradient(GradientContext& context) const;

  // Default: no arithmetic, every present operand moved once.
  virtual Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const;

  virtual std::vector<InPlace> in_place(const OpCall&) const { return {}; }

  // States of a layer of this op applied to `x`, its first data input. Empty: a plain function.
  virtual std::vector<StateSpec> states(const Attributes&, const TensorDesc& /*x*/) const { return {}; }

  virtual void specialise(Attributes&, Phase) const {}

  // For an op that accumulates in f32 and can write its first output so although its inputs are bf16: sets the
  // attribute that asks for it. The type policy calls it where nobody wants the output in bf16 (logits). False: it
  // cannot.
  virtual bool write_full_precision(Attributes&) const { return false; }

  // Type under which kernels are looked up: that of the first floating-point output, or else input.
  virtual DType compute_type(const OpCall& call, const std::vector<TensorDesc>& outputs) const;

  // For a fused op: its unfused meaning, against which the harness proves every kernel. One value per output, absent
  // where the composition has no equal. Default: none, the reference kernel is the meaning.
  virtual std::vector<Value> composition(Builder&, const Attributes&, const std::vector<Value>& /*inputs*/) const {
    return {};
  }

 private:
  Signature signature_;
};

// The registry. Ops register themselves when the program starts and live until it ends.
const Op& register_op(std::unique_ptr<Op> op);
const Op* find_op(std::string_view name);   // null when unknown
const Op& op_named(std::string_view name);  // throws UsageError with the nearest name
std::vector<const Op*> all_ops();           // by name

}  // namespace dermatome

// Registers an Op class that has a default constructor.
#define DERMATOME_REGISTER_OP(OpClass)                                  \
  [[maybe_unused]] static const ::dermatome::Op& registered_##OpClass = \
      ::dermatome::register_op(std::make_unique<OpClass>())
