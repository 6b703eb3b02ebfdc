// Checkpoints: what goes in comes out, and every kind of wrong file is refused with its reason.
#include "tools/training/checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "models/safetensors.h"
#include "tests/training/support.h"
#include "tools/version.h"

namespace dermatome::training {
namespace {

using namespace testing;

CheckpointInfo some_info() {
  return {.graph_text = two_groups().canonical_text(),
          .recipe = "seed = 3\n",
          .preprocessing = {.size = 96,
                            .threshold = 0.25,
                            .resize = data::Resize::pad,
                            .colours = data::ColourConstancy::max_rgb},
          .position = {.stage = 1,
                       .epoch = 2,
                       .step = 3,
                       .epochs_done = 4,
                       .steps_done = 1234567890123,
                       .best_jaccard = 0.5,
                       .best_epoch = 3},
          .sums = {.images = 5, .loss = 0.1, .metrics = {1, 2, 3, 4, 5, 1.0 / 3}, .seconds = 2.5},
          .data = {.train = {{"b", 0x123456789abcdef0}, {"a", 1}}, .validation = {{"c", 0xffffffffffffffff}}},
          .seed = 18446744073709551615u,
          .threads = 7,
          .instruction_set = "x86-64-v3",
          .type = "bf16",
          .device = "cpu",
          .processor = "a processor",
          .disabled = {"add_relu"},
          .version = kVersion};
}

class CheckpointFile : public ::testing::Test {
 protected:
  CheckpointFile() : model_(two_groups()), path_(folder_ / "c.safetensors") {
    const StagePrograms programs{.model = model_, .stage = stage_, .resident = 1};
    store_.create(states_of(model_, DType::f32), 11);
    store_.create(optimizer_states(programs), 11);
    store_.create_contiguous(gradient_states(programs));
  }

  std::set<std::string> stored_names() const {
    std::set<std::string> names;
    for (const auto& [name, tensor] : read_checkpoint(path_).states) names.insert(name);
    return names;
  }

  TemporaryFolder folder_;
  Model model_;
  StageSettings stage_;
  StateStore store_;
  std::filesystem::path path_;
};

TEST_F(CheckpointFile, GivesBackWhatWasWritten) {
  store_.get(kStepState).tensor.as<float>()[0] = 17;
  write_checkpoint(path_, store_, some_info(), false);
  const Checkpoint checkpoint = read_checkpoint(path_);
  EXPECT_EQ(checkpoint.info.graph_text, some_info().graph_text);
  EXPECT_EQ(checkpoint.info.recipe, "seed = 3\n");
  EXPECT_EQ(checkpoint.info.preprocessing.size, 96);
  EXPECT_EQ(checkpoint.info.preprocessing.threshold, 0.25);
  EXPECT_EQ(checkpoint.info.preprocessing.resize, data::Resize::pad);
  EXPECT_EQ(checkpoint.info.preprocessing.colours, data::ColourConstancy::max_rgb);
  EXPECT_EQ(checkpoint.info.position.stage, 1);
  EXPECT_EQ(checkpoint.info.position.epoch, 2);
  EXPECT_EQ(checkpoint.info.position.step, 3);
  EXPECT_EQ(checkpoint.info.position.epochs_done, 4);
  EXPECT_EQ(checkpoint.info.position.best_jaccard, 0.5);
  EXPECT_EQ(checkpoint.info.position.steps_done, 1234567890123);
  EXPECT_EQ(checkpoint.info.position.best_epoch, 3);
  EXPECT_EQ(checkpoint.info.sums.images, 5);
  EXPECT_EQ(checkpoint.info.sums.loss, 0.1);
  EXPECT_EQ(checkpoint.info.sums.metrics, some_info().sums.metrics);
  EXPECT_EQ(checkpoint.info.sums.seconds, 2.5);
  EXPECT_EQ(checkpoint.info.data.train, some_info().data.train);
  EXPECT_EQ(checkpoint.info.data.validation, some_info().data.validation);
  EXPECT_EQ(checkpoint.info.type, "bf16");
  EXPECT_EQ(checkpoint.info.device, "cpu");
  EXPECT_EQ(checkpoint.info.processor, "a processor");
  EXPECT_EQ(checkpoint.info.disabled, some_info().disabled);
  EXPECT_EQ(checkpoint.info.seed, some_info().seed);
  EXPECT_EQ(checkpoint.info.threads, 7);
  EXPECT_EQ(checkpoint.info.instruction_set, "x86-64-v3");
  EXPECT_EQ(checkpoint.info.version, kVersion);
  for (const auto& [name, tensor] : checkpoint.states) EXPECT_EQ(bytes_of(tensor), bytes_of(store_.read(name))) << name;

  StateStore other;
  load_weights(checkpoint, states_of(model_, DType::f32), other);
  for (const auto& name : other.names()) EXPECT_EQ(bytes_of(other.read(name)), bytes_of(store_.read(name))) << name;
}

TEST_F(CheckpointFile, HoldsNoGradients) {
  write_checkpoint(path_, store_, some_info(), false);
  std::set<std::string> expected;
  for (const auto& name : store_.names()) {
    if (!name.starts_with("gradient/")) expected.insert(name);
  }
  EXPECT_EQ(stored_names(), expected);
  EXPECT_TRUE(expected.contains("adam/first_moment/conv1.weight"));
}

TEST_F(CheckpointFile, OfWeightsOnlyHoldsNoMoments) {
  write_checkpoint(path_, store_, some_info(), true);
  std::set<std::string> expected;
  for (const auto& state : states_of(model_, DType::f32)) expected.insert(state.name);
  EXPECT_EQ(stored_names(), expected);
}

TEST_F(CheckpointFile, IsReadForItsWeightsOnlyButCheckedWhole) {
  write_checkpoint(path_, store_, some_info(), false);
  std::set<std::string> read;
  for (const auto& [name, tensor] : read_checkpoint(path_, true).states) read.insert(name);
  std::set<std::string> expected;
  for (const auto& state : states_of(model_, DType::f32)) expected.insert(state.name);
  EXPECT_EQ(read, expected);

  std::string bytes = text_of(path_);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  std::ofstream(path_, std::ios::binary) << bytes;
  expect_error([&] { read_checkpoint(path_, true); }, {"the checksum does not match"});
}

TEST_F(CheckpointFile, OfWeightsOnlyNamesNoPhotograph) {
  write_checkpoint(path_, store_, some_info(), true);
  EXPECT_TRUE(read_checkpoint(path_).info.data.train.empty());
  EXPECT_EQ(text_of(path_).find("ffffffffffffffff"), std::string::npos);
}

TEST_F(CheckpointFile, RestoresEveryStateBitForBit) {
  store_.get(kStepState).tensor.as<float>()[0] = 17;
  store_.get("adam/second_moment/conv1.weight").tensor.as<float>()[3] = 0.25f;
  write_checkpoint(path_, store_, some_info(), false);
  StateStore other;
  const StagePrograms programs{.model = model_, .stage = stage_, .resident = 1};
  other.create(states_of(model_, DType::f32), 12);
  other.create(optimizer_states(programs), 12);
  other.create_contiguous(gradient_states(programs));
  restore_states(read_checkpoint(path_), other);
  for (const auto& name : store_.names()) EXPECT_EQ(bytes_of(other.read(name)), bytes_of(store_.read(name))) << name;

  write_checkpoint(path_, store_, some_info(), true);
  expect_error([&] { restore_states(read_checkpoint(path_), other); }, {"lacks the state 'adam/"});
  StateStore empty;
  expect_error([&] { restore_states(read_checkpoint(path_), empty); }, {"there is no state"});
}

TEST_F(CheckpointFile, FindsAValueThatIsNoNumber) {
  EXPECT_EQ(first_state_not_finite(store_), "");
  store_.get("gradient/conv1.weight").tensor.as<float>()[0] = std::nanf("");
  EXPECT_EQ(first_state_not_finite(store_), "");
  store_.get("bn1.running_var").tensor.as<float>()[1] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(first_state_not_finite(store_), "bn1.running_var");
  store_.get("bn1.running_var").tensor.as<float>()[1] = std::numeric_limits<float>::max();
  store_.get("adam/first_moment/conv2.bias").tensor.as<float>()[0] = -std::nanf("");
  EXPECT_EQ(first_state_not_finite(store_), "adam/first_moment/conv2.bias");
}

TEST_F(CheckpointFile, WithAFlippedBitIsRefused) {
  write_checkpoint(path_, store_, some_info(), true);
  const std::string whole = text_of(path_);
  for (const std::size_t at : {std::size_t{20}, whole.size() / 2, whole.size() - 1}) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    folder_.add("c.safetensors", damaged);
    expect_error([&] { read_checkpoint(path_); }, {"c.safetensors"});
  }
  std::string damaged = whole;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  folder_.add("c.safetensors", damaged);
  expect_error([&] { read_checkpoint(path_); }, {"the checksum does not match"});
}

TEST_F(CheckpointFile, CutShortIsRefused) {
  write_checkpoint(path_, store_, some_info(), true);
  const std::string whole = text_of(path_);
  for (const std::size_t length : {std::size_t{0}, std::size_t{5}, std::size_t{100}, whole.size() - 1}) {
    folder_.add("c.safetensors", std::string_view(whole).substr(0, length));
    expect_error([&] { read_checkpoint(path_); }, {"c.safetensors"});
  }
}

TEST_F(CheckpointFile, OfANewerProgramIsRefused) {
  write_checkpoint(path_, store_, some_info(), true);
  TensorFile file = read_safetensors(path_);
  auto json = nlohmann::json::parse(file.metadata.at("dermatome"));
  json["format"] = kCheckpointVersion + 1;
  json["version"] = "99.0";
  file.metadata["dermatome"] = json.dump();
  write_safetensors(path_, file, Integrity::required);
  expect_error([&] { read_checkpoint(path_); }, {"newer dermatome (99.0)", "this one is"});
  json["format"] = kCheckpointVersion;
  json.erase("graph");
  file.metadata["dermatome"] = json.dump();
  write_safetensors(path_, file, Integrity::required);
  expect_error([&] { read_checkpoint(path_); }, {"is damaged", "graph"});
}

TEST_F(CheckpointFile, OfAnotherProgramIsRefused) {
  TensorFile file;
  file.tensors.emplace_back("conv1.weight", tensor_of<float>(std::vector<float>{1, 2}, {2}));
  write_safetensors(path_, file);
  expect_error([&] { read_checkpoint(path_); }, {"no checkpoint"});
  write_safetensors(path_, file, Integrity::required);
  expect_error([&] { read_checkpoint(path_); }, {"is a safetensors file but no checkpoint of dermatome"});
}

TEST_F(CheckpointFile, OfAnotherGraphIsRefusedNamingTheState) {
  write_checkpoint(path_, store_, some_info(), true);
  const Checkpoint checkpoint = read_checkpoint(path_);
  const auto load = [&](const std::string& text) {
    StateStore other;
    load_weights(checkpoint, states_of(Model::parse(text, "other.graph"), DType::f32), other);
  };
  expect_error([&] { load("model m(image: 3 channels) {\n  conv9 = conv2d(image, 4, kernel=3)\n  return conv9\n}\n"); },
               {"lacks the state 'conv9.weight'"});
  expect_error(
      [&] {
        load("model m(image: 3 channels) {\n  conv1 = conv2d(image, 5, kernel=3, bias=false)\n  return conv1\n}\n");
      },
      {"state 'conv1.weight' is f32[", "in the checkpoint", "in the model"});
}

TEST_F(CheckpointFile, ThatCannotBeWrittenIsAnError) {
  expect_error([&] { write_checkpoint(folder_ / "nowhere" / "c.safetensors", store_, some_info(), true); },
               {"c.safetensors"});
}

}  // namespace
}  // namespace dermatome::training
