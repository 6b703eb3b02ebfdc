// The networks that come with the program: their text prints and reads back, and their parameters are PyTorch's.
#include <set>

#include "models/builtin.h"
#include "tests/language/support.h"

namespace dermatome::language {
namespace {

bool operator==(const Initializer& a, const Initializer& b) {
  return a.kind == b.kind && a.value == b.value;
}

// Everything but the places in the text.
void expect_equal(const Graph& a, const Graph& b) {
  ASSERT_EQ(a.nodes().size(), b.nodes().size());
  for (std::size_t i = 0; i < a.nodes().size(); ++i) {
    const Node& x = a.nodes()[i];
    const Node& y = b.nodes()[i];
    EXPECT_EQ(x.op, y.op);
    EXPECT_EQ(x.attributes, y.attributes);
    EXPECT_EQ(x.inputs, y.inputs);
    EXPECT_EQ(x.outputs, y.outputs);
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.group, y.group);
    EXPECT_EQ(x.order, y.order);
  }
  ASSERT_EQ(a.values().size(), b.values().size());
  for (std::size_t i = 0; i < a.values().size(); ++i) {
    EXPECT_EQ(a.values()[i].desc, b.values()[i].desc);
    EXPECT_EQ(a.values()[i].name, b.values()[i].name);
    EXPECT_EQ(a.values()[i].state, b.values()[i].state);
  }
  ASSERT_EQ(a.states().size(), b.states().size());
  for (std::size_t i = 0; i < a.states().size(); ++i) {
    const StateDeclaration& x = a.states()[i];
    const StateDeclaration& y = b.states()[i];
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.desc, y.desc);
    EXPECT_TRUE(x.initializer == y.initializer);
    EXPECT_EQ(x.group, y.group);
    EXPECT_EQ(x.trainable, y.trainable);
  }
  ASSERT_EQ(a.state_writes().size(), b.state_writes().size());
  for (std::size_t i = 0; i < a.state_writes().size(); ++i) {
    EXPECT_EQ(a.state_writes()[i].name, b.state_writes()[i].name);
    EXPECT_EQ(a.state_writes()[i].value, b.state_writes()[i].value);
  }
}

class EveryNetwork : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryNetwork, PrintsAsItIsReadBack) {
  const File file = parse(builtin_model_text(GetParam()), GetParam());
  const std::string printed = print(file);
  EXPECT_EQ(print(parse(printed, "printed")), printed);
  EXPECT_EQ(find_model(GetParam()).canonical_text(), printed);
  EXPECT_EQ(printed.find('#'), std::string::npos);
}

TEST_P(EveryNetwork, ItsCanonicalTextMakesTheSameGraph) {
  const Model model = find_model(GetParam());
  const Model again = Model::parse(model.canonical_text(), "canonical.graph");
  expect_equal(net_of(model, 2, 64).graph, net_of(again, 2, 64).graph);
}

INSTANTIATE_TEST_SUITE_P(Builtin, EveryNetwork, ::testing::ValuesIn(builtin_model_names()),
                         [](const auto& network) { return network.param; });

std::int64_t parameter_count(const std::string& model) {
  std::int64_t count = 0;
  const Net net = net_of(find_model(model), 1, 64);
  for (const auto& state : net.graph.states()) count += state.trainable ? state.desc.shape.elements() : 0;
  return count;
}

TEST(Networks, HaveThePublishedNumberOfParameters) {
  EXPECT_EQ(parameter_count("unet34"), 22'009'665);
  EXPECT_EQ(parameter_count("unet34_large_head"), 22'016'921);
  EXPECT_EQ(parameter_count("resnet34"), 21'797'672);
}

using Keys = std::map<std::string, Shape>;

Keys keys_of(const std::string& model) {
  Keys keys;
  const Net net = net_of(find_model(model), 1, 64);
  for (const auto& state : net.graph.states()) keys[state.name] = state.desc.shape;
  return keys;
}

void add_batch_norm(Keys& keys, const std::string& name, std::int64_t channels) {
  for (const char* kind : {"weight", "bias", "running_mean", "running_var"}) keys[name + "." + kind] = {channels};
}

// torchvision.models.resnet34().state_dict() without fc and num_batches_tracked.
Keys encoder_keys() {
  Keys keys;
  keys["conv1.weight"] = {64, 3, 7, 7};
  add_batch_norm(keys, "bn1", 64);
  const int blocks[] = {3, 4, 6, 3};
  std::int64_t in = 64;
  for (int layer = 1; layer <= 4; ++layer) {
    const std::int64_t width = 32 << layer;
    for (int i = 0; i < blocks[layer - 1]; ++i) {
      const std::string name = fmt::format("layer{}.{}.", layer, i);
      keys[name + "conv1.weight"] = {width, in, 3, 3};
      add_batch_norm(keys, name + "bn1", width);
      keys[name + "conv2.weight"] = {width, width, 3, 3};
      add_batch_norm(keys, name + "bn2", width);
      if (in != width) {
        keys[name + "downsample.0.weight"] = {width, in, 1, 1};
        add_batch_norm(keys, name + "downsample.1", width);
      }
      in = width;
    }
  }
  return keys;
}

// A block of fastai 0.7's decoder.
void add_up(Keys& keys, const std::string& name, std::int64_t in, std::int64_t skip, std::int64_t width) {
  keys[name + ".x_conv.weight"] = {width / 2, skip, 1, 1};
  keys[name + ".x_conv.bias"] = {width / 2};
  keys[name + ".tr_conv.weight"] = {in, width / 2, 2, 2};
  keys[name + ".tr_conv.bias"] = {width / 2};
  add_batch_norm(keys, name + ".bn", width);
}

Keys unet_keys() {
  Keys keys = encoder_keys();
  add_up(keys, "up1", 512, 256, 256);
  add_up(keys, "up2", 256, 128, 256);
  add_up(keys, "up3", 256, 64, 256);
  add_up(keys, "up4", 256, 64, 256);
  return keys;
}

TEST(Networks, UNet34HasTorchvisionsAndFastaisKeys) {
  Keys expected = unet_keys();
  expected["up5.weight"] = {256, 1, 2, 2};
  expected["up5.bias"] = {1};
  EXPECT_EQ(keys_of("unet34"), expected);
}

TEST(Networks, TheLargeHeadSeesTheImage) {
  Keys expected = unet_keys();
  add_up(expected, "up5", 256, 3, 16);
  expected["up6.weight"] = {16, 1, 1, 1};
  expected["up6.bias"] = {1};
  EXPECT_EQ(keys_of("unet34_large_head"), expected);
}

TEST(Networks, ResNet34HasTorchvisionsKeys) {
  Keys expected = encoder_keys();
  expected["fc.weight"] = {1000, 512};
  expected["fc.bias"] = {1000};
  EXPECT_EQ(keys_of("resnet34"), expected);
}

TEST(Networks, GiveAMapOfTheImagesSize) {
  for (const char* name : {"unet34", "unet34_large_head"}) {
    const Net net = net_of(find_model(name), 3, 96);
    EXPECT_EQ(net.graph.desc(net.result).shape, (Shape{3, 96, 96, 1}));
  }
  const Net net = net_of(find_model("resnet34"), 3, 100);
  EXPECT_EQ(net.graph.desc(net.result).shape, (Shape{3, 1000}));
}

TEST(Networks, CanBeBuiltInDoublePrecision) {
  for (const auto& name : builtin_model_names()) {
    const Net net = net_of(find_model(name), 1, 64, training_phase, DType::f64);
    for (const auto& state : net.graph.states()) EXPECT_EQ(state.desc.type, DType::f64) << name << " " << state.name;
  }
}

TEST(Networks, DeclareTheGroupsOfTheRecipe) {
  const Model model = find_model("unet34");
  EXPECT_EQ(model.groups(), (std::vector<std::string>{"encoder.early", "encoder.late", "decoder"}));
  std::map<std::string, std::string> group_of;
  const Net net = net_of(model, 1, 64);
  for (const auto& state : net.graph.states()) group_of[state.name] = state.group;
  EXPECT_EQ(group_of.at("conv1.weight"), "encoder.early");
  EXPECT_EQ(group_of.at("layer2.3.bn2.running_var"), "encoder.early");
  EXPECT_EQ(group_of.at("layer3.0.downsample.0.weight"), "encoder.late");
  EXPECT_EQ(group_of.at("layer4.2.bn2.bias"), "encoder.late");
  EXPECT_EQ(group_of.at("up1.x_conv.weight"), "decoder");
  EXPECT_EQ(group_of.at("up5.bias"), "decoder");
}

TEST(Networks, APhaseIsChosenForEachGroup) {
  const Model model = find_model("unet34");
  const auto frozen_encoder = [](const std::string& group) {
    return Phase{.training = true, .live_statistics = group == "decoder"};
  };
  const Net net = net_of(model, 1, 64, frozen_encoder);
  std::set<std::string> written;
  for (const auto& write : net.graph.state_writes()) written.insert(write.name);
  EXPECT_EQ(written.size(), 8u);  // mean and variance of four blocks
  EXPECT_TRUE(written.contains("up1.bn.running_mean"));
  EXPECT_TRUE(net_of(model, 1, 64, inference_phase).graph.state_writes().empty());
  EXPECT_EQ(net_of(model, 1, 64, training_phase).graph.state_writes().size(), 2u * (1 + 32 + 3 + 4));
}

TEST(Networks, SayWhichSizesWouldDo) {
  const auto message = [](std::int64_t side) {
    try {
      net_of(find_model("unet34"), 1, side);
      return std::string();
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
  };
  EXPECT_EQ(message(100), "unet34 needs sides divisible by 32, and 100 x 100 is not; 96 or 128 would do");
  EXPECT_EQ(message(31), "unet34 needs sides divisible by 32, and 31 x 31 is not; 32 would do");
  EXPECT_EQ(message(0), "unet34 needs sides divisible by 32, and 0 x 0 is not; 32 would do");
  EXPECT_EQ(message(96), "");
}

TEST(Networks, RefuseImagesOfAnotherKind) {
  const Model model = find_model("unet34");
  for (const Shape& shape : {Shape{1, 64, 64, 4}, Shape{64, 64, 3}}) {
    Graph graph;
    const Value image = graph.add_input("image", {DType::f32, shape});
    Builder builder(graph);
    try {
      model.append(builder, image, training_phase);
      ADD_FAILURE();
    } catch (const UsageError& error) {
      EXPECT_EQ(error.what(), "unet34 takes images [n, height, width, 3], not " + to_string(shape));
    }
  }
}

}  // namespace
}  // namespace dermatome::language
