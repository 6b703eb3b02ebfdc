// The test-only ops and their kernels.
#include "tests/harness/test_ops.h"

#include "kernels/launch/cpu.h"

namespace dermatome::harness {
namespace {

using launch::in;
using launch::out;

class PartsOp final : public Op {
 public:
  explicit PartsOp(OpParts parts) : Op(std::move(parts.signature)), parts_(std::move(parts)) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    return parts_.infer ? parts_.infer(call) : std::vector{call.input(0)};
  }
  void gradient(GradientContext& context) const override {
    if (!parts_.gradient) return Op::gradient(context);
    parts_.gradient(context);
  }
  std::vector<InPlace> in_place(const OpCall&) const override { return parts_.in_place; }
  std::vector<Value> composition(Builder& builder, const Attributes& attributes,
                                 const std::vector<Value>& inputs) const override {
    return parts_.composition ? parts_.composition(builder, attributes, inputs) : std::vector<Value>{};
  }

 private:
  OpParts parts_;
};

template <typename T>
void square(const Call& call) {
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) out<T>(call, 0)[i] = in<T>(call, 0)[i] * in<T>(call, 0)[i];
}

template <typename T>
void multiply(const Call& call) {
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) out<T>(call, 0)[i] = in<T>(call, 0)[i] * in<T>(call, 1)[i];
}

template <typename T>
void increment(const Call& call) {
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) out<T>(call, 0)[i] = in<T>(call, 0)[i] + 1;
}

template <typename T>
void wrong_increment(const Call& call) {
  increment<T>(call);
  out<T>(call, 0)[call.outputs[0].elements - 1] += T(0.5);
}

template <typename T>
void reverse(const Call& call) {
  const std::int64_t n = call.inputs[0].elements;
  for (std::int64_t i = 0; i < n; ++i) out<T>(call, 0)[i] = in<T>(call, 0)[n - 1 - i];
}

template <typename T>
void total(const Call& call) {
  T sum = 0;
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) sum += in<T>(call, 0)[i];
  out<T>(call, 0)[0] = sum;
}

template <typename T>
void fill_with_first(const Call& call) {
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) out<T>(call, 0)[i] = in<T>(call, 0)[0];
}

template <typename T>
void halves(const Call& call) {
  const std::int64_t half = call.inputs[0].elements / 2;
  for (int o = 0; o < 2; ++o) {
    if (call.outputs[o].data == nullptr) continue;
    for (std::int64_t i = 0; i < half; ++i) out<T>(call, o)[i] = in<T>(call, 0)[o * half + i];
  }
}

template <typename T>
void scratch(const Call& call) {
  const std::int64_t n = call.inputs[0].elements;
  T* workspace = static_cast<T*>(call.workspace);
  for (std::int64_t i = 0; i < 2 * n; ++i) workspace[i] = in<T>(call, 0)[i % n] + 1;
  for (std::int64_t i = 0; i < n; ++i) out<T>(call, 0)[i] = workspace[n + i];
}

std::int64_t two_inputs_of_workspace(const Call& call) {
  return 2 * call.inputs[0].elements * static_cast<std::int64_t>(size_of(call.inputs[0].type));
}

template <typename T>
void counts(const Call& call) {
  if (call.outputs[0].data != nullptr) total<T>(call);
  if (call.outputs[1].data == nullptr) return;
  std::int32_t positive = 0;
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) positive += in<T>(call, 0)[i] > 0 ? 1 : 0;
  out<std::int32_t>(call, 1)[0] = positive;
}

int reorders = 0;
int reorders_of_rows = 0;  // in a test's one thread

template <typename T>
class ReverseKernel final : public Kernel {
 public:
  void run(const Call& call) override {
    ++reorders;
    reverse<T>(call);
  }
  std::string describe() const override { return "test reverse"; }
};

template <typename T>
class ReverseRowsKernel final : public Kernel {
 public:
  void run(const Call& call) override { whole_.run(call); }
  std::int64_t rows_at_a_time() const override { return 2; }
  void run_rows(const Call& call, std::int64_t first, std::int64_t count) override {
    ++reorders_of_rows;
    const std::int64_t n = call.inputs[0].elements;
    for (std::int64_t i = first; i < first + count; ++i) out<T>(call, 0)[n - 1 - i] = in<T>(call, 0)[i];
  }
  std::string describe() const override { return "test reverse by rows"; }

 private:
  ReverseKernel<T> whole_;
};

template <typename T>
class WeightedKernel final : public Kernel {
 public:
  WeightedKernel(std::size_t weight_bytes, bool by_rows) : weight_bytes_(weight_bytes), by_rows_(by_rows) {}
  std::vector<PreparedInput> take_prepared_inputs() override {
    std::unique_ptr<Kernel> reorder = std::make_unique<ReverseKernel<T>>();
    if (by_rows_) reorder = std::make_unique<ReverseRowsKernel<T>>();
    std::vector<PreparedInput> prepared;
    prepared.push_back({.input = 1,
                        .layout = by_rows_ ? "reversed by rows" : "reversed",
                        .bytes = weight_bytes_,
                        .reorder = std::move(reorder)});
    return prepared;
  }
  void run(const Call& call) override {
    const std::int64_t n = call.inputs[0].elements;
    for (std::int64_t i = 0; i < n; ++i) out<T>(call, 0)[i] = in<T>(call, 0)[i] * in<T>(call, 1)[n - 1 - i];
  }
  std::string describe() const override { return "test weighted"; }

 private:
  std::size_t weight_bytes_;
  bool by_rows_;
};

std::unique_ptr<Kernel> make_weighted(const KernelRequest& request) {
  const bool by_rows = request.op.name() == "test_weighted_by_rows";
  if (request.type == DType::f64) return std::make_unique<WeightedKernel<double>>(request.inputs[1].bytes(), by_rows);
  return std::make_unique<WeightedKernel<float>>(request.inputs[1].bytes(), by_rows);
}

Signature unary(std::string name) {
  return {.name = std::move(name), .summary = "test only", .inputs = {{"x"}}, .outputs = {{"y"}}, .attributes = {}};
}

Signature binary(std::string name, std::string a, std::string b) {
  return {.name = std::move(name),
          .summary = "test only",
          .inputs = {{std::move(a)}, {std::move(b)}},
          .outputs = {{"y"}},
          .attributes = {}};
}

bool register_elementwise() {
  register_test_op({.signature = unary("test_square"),
                    .gradient =
                        [](GradientContext& c) {
                          const Value product = c.builder().call("test_multiply", {c.upstream(), c.input(0)});
                          c.set(0, c.builder().add(product, product));
                        },
                    .in_place = {{0, 0}}});
  register_test_kernels("test_square", square<float>, square<double>);
  register_test_op({.signature = binary("test_multiply", "a", "b"),
                    .gradient =
                        [](GradientContext& c) {
                          for (int i = 0; i < 2; ++i) {
                            if (c.wants(i)) c.set(i, c.builder().call("test_multiply", {c.upstream(), c.input(1 - i)}));
                          }
                        },
                    .in_place = {{0, 0}}});
  register_test_kernels("test_multiply", multiply<float>, multiply<double>);
  register_test_op({.signature = unary("test_increment"),
                    .gradient = [](GradientContext& c) { c.set(0, c.upstream()); },
                    .in_place = {{0, 0}}});
  register_test_kernels("test_increment", increment<float>, increment<double>);
  register_test_op({.signature = unary("test_wrong")});
  register_test_kernels("test_wrong", DeviceKind::cpu, wrong_increment<float>, wrong_increment<double>);
  register_test_kernels("test_wrong", DeviceKind::reference, increment<float>, increment<double>);
  return true;
}

bool register_others() {
  register_test_op({.signature = unary("test_reverse"), .gradient = [](GradientContext& c) {
                      c.set(0, c.builder().call("test_reverse", {c.upstream()}));
                    }});
  register_test_kernels("test_reverse", reverse<float>, reverse<double>);
  register_test_op({.signature = unary("test_total"),
                    .infer =
                        [](const OpCall& call) {
                          return std::vector<TensorDesc>{{call.input(0).type, {1}}};
                        },
                    .gradient =
                        [](GradientContext& c) {
                          c.set(0, c.builder().call("test_spread", {c.upstream(), c.input(0)}));
                        }});
  register_test_kernels("test_total", total<float>, total<double>);
  register_test_op({.signature = binary("test_spread", "x", "like"),
                    .infer = [](const OpCall& call) { return std::vector<TensorDesc>{call.input(1)}; }});
  register_test_kernels("test_spread", fill_with_first<float>, fill_with_first<double>);
  Signature halved = unary("test_halves");
  halved.outputs = {{"first"}, {"second"}};
  register_test_op({.signature = halved, .infer = [](const OpCall& call) {
                      const TensorDesc half{call.input(0).type, {call.shape(0)[0] / 2}};
                      return std::vector<TensorDesc>{half, half};
                    }});
  register_test_kernels("test_halves", halves<float>, halves<double>);
  Signature large = unary("test_large");
  large.attributes = {required_integer("count", 1)};
  register_test_op({.signature = large, .infer = [](const OpCall& call) {
                      return std::vector<TensorDesc>{{call.input(0).type, {call.attributes.integer("count")}}};
                    }});
  register_test_kernels("test_large", fill_with_first<float>, fill_with_first<double>);
  register_test_op({.signature = unary("test_scratch")});
  register_test_kernels("test_scratch", scratch<float>, scratch<double>, two_inputs_of_workspace);
  register_test_op({.signature = unary("test_without_kernel")});
  Signature counted = unary("test_counts");
  counted.outputs = {{"total"}, {"positive", false}};
  register_test_op({.signature = counted,
                    .infer =
                        [](const OpCall& call) {
                          return std::vector<TensorDesc>{{call.input(0).type, {1}}, {DType::i32, {1}}};
                        },
                    .gradient =
                        [](GradientContext& c) {
                          c.set(0, c.builder().call("test_spread", {c.upstream(), c.input(0)}));
                        }});
  register_test_kernels("test_counts", counts<float>, counts<double>);
  for (const char* weighted : {"test_weighted", "test_weighted_by_rows"}) {
    register_test_op({.signature = binary(weighted, "x", "weight")});
    register_kernel({.op = weighted, .device = DeviceKind::cpu, .implementation = "test", .factory = make_weighted});
    register_test_kernels(weighted, DeviceKind::reference, multiply<float>, multiply<double>);
  }
  return true;
}

[[maybe_unused]] const bool elementwise = register_elementwise();
[[maybe_unused]] const bool others = register_others();

}  // namespace

int weighted_reorders() {
  return reorders;
}
int weighted_rows() {
  return reorders_of_rows;
}

const Op& register_test_op(OpParts parts) {
  return register_op(std::make_unique<PartsOp>(std::move(parts)));
}

void register_test_kernels(const std::string& op, DeviceKind device, KernelFunction f32, KernelFunction f64,
                           WorkspaceFunction workspace) {
  register_kernel({.op = op,
                   .device = device,
                   .implementation = "test",
                   .factory = [=](const KernelRequest& request) -> std::unique_ptr<Kernel> {
                     const bool wide = request.type == DType::f64;
                     const FunctionEntry entry{
                         .op = "", .type = request.type, .run = wide ? f64 : f32, .workspace = workspace};
                     return make_function_kernel(entry, request, "test");
                   }});
}

void register_test_kernels(const std::string& op, KernelFunction f32, KernelFunction f64, WorkspaceFunction workspace) {
  register_test_kernels(op, DeviceKind::cpu, f32, f64, workspace);
  register_test_kernels(op, DeviceKind::reference, f32, f64, workspace);
}

bool is_test_op(std::string_view name) {
  return name.substr(0, 5) == "test_";
}

}  // namespace dermatome::harness
