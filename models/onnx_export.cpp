// The model's inference graph, operation by operation. Activations are NHWC here and NCHW in ONNX; weights are the
// same.
#include "models/onnx_export.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/core/error.h"
#include "models/file.h"
#include "models/onnx_graph.h"

namespace dermatome {
namespace {

constexpr int kIrVersion = 8;  // what ONNX 1.12 reads
constexpr int kOpset = 17;
constexpr int kSpatialAxes = 2;

std::vector<std::int64_t> twice(std::int64_t value) {
  return {value, value};
}

class Exporter {
 public:
  Exporter(const Model& model, const std::vector<std::pair<std::string, Tensor>>& states, const OnnxOptions& options,
           onnx::GraphProto& proto)
      : model_(model), options_(options), onnx_(proto) {
    for (const auto& [name, tensor] : states) states_[name] = tensor;
    const std::int64_t side = std::max<std::int64_t>(64, 2 * model.divisor());
    Builder builder(graph_);
    image_ = graph_.add_input("image", {DType::f32, {1, side, side, model.input_channels()}});
    output_ = model.append(builder, image_, inference_phase);
    find_folds();
  }

  void run() {
    const bool map = graph_.desc(output_).shape.rank() == 4;
    DERMATOME_CHECK(map || !options_.pad, "{} does not give a map, so nothing can be cut back to the picture's size",
                    model_.name());
    const OnnxGraph::Dimension batch{.name = "batch"};
    const auto type = options_.normalisation ? onnx::TensorProto::UINT8 : onnx::TensorProto::FLOAT;
    onnx_.declare_input("image", type,
                        {batch, {.size = model_.input_channels()}, {.name = "height"}, {.name = "width"}});
    names_[image_.id] = add_input();
    for (const Node& node : graph_.nodes()) emit(node);
    const std::string result = add_output(names_.at(output_.id));
    const OnnxGraph::Dimension channels{.size = graph_.desc(output_).shape[-1]};
    onnx_.declare_output(result, onnx::TensorProto::FLOAT,
                         map ? std::vector<OnnxGraph::Dimension>{batch, channels, {.name = "height"}, {.name = "width"}}
                             : std::vector<OnnxGraph::Dimension>{batch, channels});
  }

 private:
  // --- around the network ---
  std::string add_input() {
    std::string x = "image";
    if (options_.normalisation)
      x = onnx_.add("Cast", {x}, "image/f32", {{"to", std::int64_t{onnx::TensorProto::FLOAT}}});
    if (options_.pad) {
      const std::string shape = onnx_.add("Shape", {x}, "image/shape");
      size_ = onnx_.add("Slice",
                        {shape, onnx_.constant("image/first", std::vector<std::int64_t>{2}),
                         onnx_.constant("image/end", std::vector<std::int64_t>{4})},
                        "image/size");
      const std::string negative = onnx_.add("Neg", {size_}, "image/negative_size");
      const std::string divisor = onnx_.constant("image/divisor", twice(model_.divisor()));
      const std::string more = onnx_.add("Mod", {negative, divisor}, "image/rows_and_columns_added");
      const std::string none = onnx_.constant("image/no_padding", std::vector<std::int64_t>(6, 0));
      const std::string pads = onnx_.add("Concat", {none, more}, "image/pads", {{"axis", std::int64_t{0}}});
      x = onnx_.add("Pad", {x, pads}, "image/padded", {{"mode", "edge"}});
    }
    if (!options_.normalisation) return x;
    std::array<float, 3> factor{};
    std::array<float, 3> offset{};
    for (std::size_t c = 0; c < factor.size(); ++c) {
      factor[c] = 1 / (255 * options_.normalisation->deviation[c]);
      offset[c] = -options_.normalisation->mean[c] / options_.normalisation->deviation[c];
    }
    const std::vector<std::int64_t> dims{3, 1, 1};
    x = onnx_.add("Mul", {x, onnx_.constant("image/factor", factor, dims)}, "image/scaled");
    return onnx_.add("Add", {x, onnx_.constant("image/offset", offset, dims)}, "image/normalised");
  }

  std::string add_output(std::string y) {
    const std::string name = options_.probability ? "probability" : "logits";
    if (options_.probability) y = onnx_.add("Sigmoid", {y}, options_.pad ? "probability/padded" : name);
    if (options_.pad) {
      const std::string start = onnx_.constant("image/start", twice(0));
      const std::string axes = onnx_.constant("image/axes", std::vector<std::int64_t>{2, 3});
      return onnx_.add("Slice", {y, start, size_, axes}, name);
    }
    return options_.probability ? name : onnx_.add("Identity", {y}, name);
  }

  // --- the network ---
  const Tensor& state(Value value) const {
    const std::string& name = graph_.info(value).state;
    const auto found = states_.find(name);
    DERMATOME_CHECK(found != states_.end(), "the weights lack '{}'", name);
    DERMATOME_CHECK(found->second.desc() == graph_.desc(value), "'{}' is {} in the weights but {} in the model", name,
                    to_string(found->second.desc()), to_string(graph_.desc(value)));
    return found->second;
  }

  // Batch norms that follow a convolution which nobody else reads.
  void find_folds() {
    if (!options_.fold_batch_norm) return;
    const auto users = graph_.users();
    const auto& nodes = graph_.nodes();
    for (std::size_t n = 0; n < nodes.size(); ++n) {
      if (nodes[n].op->name() != "batch_norm") continue;
      const Value x = nodes[n].inputs[0];
      const int producer = graph_.info(x).producer;
      if (producer < 0 || nodes[static_cast<std::size_t>(producer)].op->name() != "conv2d") continue;
      if (users[static_cast<std::size_t>(x.id)].size() == 1 && !(x == output_)) folds_[x.id] = static_cast<int>(n);
    }
  }

  std::string input(const Node& node, std::size_t i) {
    const Value value = node.inputs[i];
    if (graph_.info(value).state.empty()) return names_.at(value.id);
    auto& name = names_[value.id];
    if (name.empty()) name = onnx_.constant(graph_.info(value).state, state(value));
    return name;
  }

  // Numbered, because not all nodes have names of their own.
  std::string output_name(const Node& node) const { return fmt::format("{}/{}", node.name, node.outputs[0].id); }

  void put(const Node& node, const char* type, const std::vector<std::string>& inputs,
           const std::vector<OnnxAttribute>& attributes = {}) {
    names_[node.outputs[0].id] = onnx_.add(type, inputs, output_name(node), attributes);
  }

  void put_convolution(const Node& node, const char* type) {
    const auto& a = node.attributes;
    const std::vector<OnnxAttribute> attributes{{"kernel_shape", twice(a.integer("kernel"))},
                                                {"strides", twice(a.integer("stride"))},
                                                {"pads", std::vector<std::int64_t>(4, a.integer("pad"))}};
    const auto fold = folds_.find(node.outputs[0].id);
    if (fold != folds_.end()) {
      const auto [weight, bias] = folded(node, graph_.nodes()[static_cast<std::size_t>(fold->second)]);
      const std::string& name = graph_.info(node.inputs[1]).state;
      put(node, type, {input(node, 0), onnx_.constant(name, weight), onnx_.constant(name + "/bias", bias)}, attributes);
      return;
    }
    std::vector<std::string> inputs{input(node, 0), input(node, 1)};
    if (has_bias(node)) inputs.push_back(input(node, 2));
    put(node, type, inputs, attributes);
  }

  static bool has_bias(const Node& node) { return node.inputs.size() > 2 && node.inputs[2]; }

  // Weight and bias of a convolution that also does what the batch norm does behind it.
  std::pair<Tensor, Tensor> folded(const Node& convolution, const Node& norm) const {
    const Tensor weight = state(convolution.inputs[1]).clone();
    const std::int64_t channels = weight.shape()[0];
    const Tensor bias({DType::f32, {channels}});
    const auto parameter = [&](std::size_t i, std::int64_t c) {
      return static_cast<double>(state(norm.inputs[i]).as<float>()[static_cast<std::size_t>(c)]);
    };
    const double eps = norm.attributes.real("eps");
    const auto each = static_cast<std::size_t>(weight.shape().elements() / channels);
    for (std::int64_t c = 0; c < channels; ++c) {
      const auto at = static_cast<std::size_t>(c);
      const double factor = parameter(1, c) / std::sqrt(parameter(4, c) + eps);
      for (float& value : weight.as<float>().subspan(at * each, each)) value = static_cast<float>(value * factor);
      const double before =
          has_bias(convolution) ? static_cast<double>(state(convolution.inputs[2]).as<float>()[at]) : 0.0;
      bias.as<float>()[at] = static_cast<float>((before - parameter(3, c)) * factor + parameter(2, c));
    }
    return {weight, bias};
  }

  void put_batch_norm(const Node& node) {
    if (folds_.contains(node.inputs[0].id)) {
      names_[node.outputs[0].id] = names_.at(node.inputs[0].id);
      return;
    }
    put(node, "BatchNormalization", {input(node, 0), input(node, 1), input(node, 2), input(node, 3), input(node, 4)},
        {{"epsilon", static_cast<float>(node.attributes.real("eps"))}});
  }

  void put_max_pool(const Node& node) {
    const auto& a = node.attributes;
    put(node, "MaxPool", {input(node, 0)},
        {{"kernel_shape", twice(a.integer("kernel"))},
         {"strides", twice(a.integer("stride"))},
         {"pads", std::vector<std::int64_t>(4, a.integer("pad"))}});
  }

  void put_concat(const Node& node) {
    std::vector<std::string> inputs;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) inputs.push_back(input(node, i));
    put(node, "Concat", inputs, {{"axis", std::int64_t{1}}});
  }

  void put_global_average_pool(const Node& node) {
    const std::string mean = onnx_.add("GlobalAveragePool", {input(node, 0)}, output_name(node) + "/mean");
    put(node, "Flatten", {mean});
  }

  void put_linear(const Node& node) {
    std::vector<std::string> inputs{input(node, 0), input(node, 1)};
    if (has_bias(node)) inputs.push_back(input(node, 2));
    put(node, "Gemm", inputs, {{"transB", std::int64_t{1}}});
  }

  void emit(const Node& node) {
    const std::string& op = node.op->name();
    if (op == "conv2d") return put_convolution(node, "Conv");
    if (op == "conv_transpose2d") return put_convolution(node, "ConvTranspose");
    if (op == "batch_norm") return put_batch_norm(node);
    if (op == "max_pool") return put_max_pool(node);
    if (op == "concat") return put_concat(node);
    if (op == "global_average_pool") return put_global_average_pool(node);
    if (op == "linear") return put_linear(node);
    if (op == "add") return put(node, "Add", {input(node, 0), input(node, 1)});
    if (op == "relu") return put(node, "Relu", {input(node, 0)});
    if (op == "sigmoid") return put(node, "Sigmoid", {input(node, 0)});
    const std::string place = to_string(node.at);
    fail("{}{}the operation {} has no ONNX form here, so {} cannot be exported", place, place.empty() ? "" : ": ", op,
         model_.name());
  }

  const Model& model_;
  const OnnxOptions& options_;
  OnnxGraph onnx_;
  Graph graph_;
  Value image_, output_;
  std::map<std::string, Tensor> states_;
  std::map<int, std::string> names_;  // in ONNX, by value
  std::map<int, int> folds_;          // batch norm's node, by the value of the convolution in front
  std::string size_;                  // height and width of the image
};

}  // namespace

void write_onnx(const std::filesystem::path& path, const Model& model,
                const std::vector<std::pair<std::string, Tensor>>& states, const OnnxOptions& options) {
  onnx::ModelProto proto;
  proto.set_ir_version(kIrVersion);
  proto.set_producer_name("dermatome");
  proto.add_opset_import()->set_version(kOpset);
  for (const auto& [key, value] : options.metadata) {
    auto* entry = proto.add_metadata_props();
    entry->set_key(key);
    entry->set_value(value);
  }
  proto.mutable_graph()->set_name(model.name());
  Exporter(model, states, options, *proto.mutable_graph()).run();
  std::string bytes;
  DERMATOME_CHECK(proto.SerializeToString(&bytes), "cannot write {}: the model is too large for one ONNX file",
                  path.string());
  const std::span<const std::byte> part(reinterpret_cast<const std::byte*>(bytes.data()), bytes.size());
  replace_file(path, std::span(&part, 1));
}

}  // namespace dermatome
