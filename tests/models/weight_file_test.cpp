// Weight files of every kind: PyTorch's three generations and safetensors give the same tensors, and what is damaged or
// dangerous is refused with its reason. The files are written by weights/make_weights.py.
#include "models/weight_file.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <span>

#include "models/weight_names.h"
#include "tests/golden/formula.h"
#include "tests/models/support.h"

namespace dermatome {
namespace {

using testing::bytes_of;
using testing::expect_parts;
using testing::message_of;
using testing::put_bytes;
using testing::TemporaryFolder;

std::filesystem::path sample(const std::string& name) {
  return std::filesystem::path(DERMATOME_SOURCE_DIR) / "tests/models/weights" / name;
}

std::map<std::string, Tensor> tensors_of(const WeightFile& file) {
  std::map<std::string, Tensor> tensors;
  for (const auto& weight : file.weights) {
    if (weight.left_out.empty()) tensors.emplace(weight.name, weight.tensor);
  }
  return tensors;
}

const Weight& weight_of(const WeightFile& file, const std::string& key) {
  for (const auto& weight : file.weights) {
    if (weight.key == key) return weight;
  }
  throw std::out_of_range(key);
}

void expect_same(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    ASSERT_EQ(tensor.desc(), b.at(name).desc()) << name;
    EXPECT_EQ(std::memcmp(tensor.data(), b.at(name).data(), tensor.bytes()), 0) << name;
  }
}

struct Sample {
  std::string name, format;
};
const std::vector<Sample> kSamples{{"zip.pth", "PyTorch (zip)"},
                                   {"zip_protocol5.pth", "PyTorch (zip)"},
                                   {"stream.pth", "PyTorch (stream)"},
                                   {"stream_protocol4.pth", "PyTorch (stream)"},
                                   {"tar.pth", "PyTorch (TAR)"},
                                   {"plain.safetensors", "safetensors"},
                                   {"parameters.pth", "PyTorch (zip)"},
                                   {"strides.pth", "PyTorch (zip)"},
                                   {"strides_stream.pth", "PyTorch (stream)"},
                                   {"fastai.h5", "PyTorch (stream)"},
                                   {"wrapped.pth", "PyTorch (zip)"},
                                   {"wrapped_stream.pth", "PyTorch (stream)"}};

TEST(WeightFile, EveryKindGivesTheSameTensors) {
  const auto expected = tensors_of(read_weights(sample("plain.safetensors")));
  EXPECT_EQ(expected.size(), 7u);
  for (const auto& [name, format] : kSamples) {
    SCOPED_TRACE(name);
    const WeightFile file = read_weights(sample(name));
    EXPECT_EQ(file.format, format);
    expect_same(tensors_of(file), expected);
  }
}

TEST(WeightFile, TheTensorsAreThoseThatPyTorchWrote) {
  const auto tensors = tensors_of(read_weights(sample("tar.pth")));
  for (const auto& [name, tensor] : tensors) {
    const std::vector<float> expected = golden::values_of(name, tensor.shape());
    EXPECT_EQ(std::memcmp(expected.data(), tensor.data(), tensor.bytes()), 0) << name;
  }
}

TEST(WeightFile, KindsAreToldApartByContent) {
  const TemporaryFolder folder;
  for (const auto& [name, format] : kSamples) {
    for (const char* other : {"weights.pt", "weights.h5", "weights.safetensors", "weights"}) {
      put_bytes(folder / other, bytes_of(sample(name)));
      EXPECT_EQ(read_weights(folder / other).format, format) << name << " as " << other;
    }
  }
}

TEST(WeightFile, OtherFloatingPointTypesBecomeF32) {
  for (const char* name : {"types.pth", "types_stream.pth"}) {
    const WeightFile file = read_weights(sample(name));
    const auto exact = tensors_of(read_weights(sample("plain.safetensors")));
    EXPECT_EQ(weight_of(file, "conv1.weight").type, "f16");
    EXPECT_EQ(weight_of(file, "bn1.weight").type, "bf16");
    EXPECT_EQ(weight_of(file, "bn1.bias").type, "f64");
    for (const auto& [weight, tensor] : tensors_of(file)) {
      const auto a = tensor.as<float>();
      const auto b = exact.at(weight).as<float>();
      const float tolerance = weight == "bn1.weight" ? 0x1p-8f : weight == "bn1.bias" ? 0.0f : 0x1p-11f;
      for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], std::abs(b[i]) * tolerance) << weight;
    }
  }
}

TEST(WeightFile, IntegersAndOtherValuesAreLeftOutAndNamed) {
  const WeightFile file = read_weights(sample("stream.pth"));
  EXPECT_EQ(weight_of(file, "bn1.num_batches_tracked").left_out, "no floating-point numbers");
  EXPECT_EQ(weight_of(file, "bn1.num_batches_tracked").type, "i64");
  EXPECT_EQ(weight_of(file, "conv1.weight").shape, "[4, 3, 3, 3]");
}

// A safetensors file of a weight "kept", and behind it a tensor of that name, type and size with zeros.
std::string beside_a_weight(const std::string& name, const std::string& type, std::size_t element) {
  const std::string header = fmt::format(R"({{"kept":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}},)"
                                         R"("{}":{{"dtype":"{}","shape":[3],"data_offsets":[4,{}]}}}})",
                                         name, type, 4 + 3 * element);
  const std::uint64_t length = header.size();
  const std::string start(reinterpret_cast<const char*>(&length), sizeof(length));
  return start + header + std::string(4 + 3 * element, '\0');
}

TEST(WeightFile, SafetensorsLeaveOutWhatIsNoWeightToo) {
  const std::map<std::string, std::size_t> types{{"BOOL", 1}, {"I8", 1},      {"U8", 1},     {"I16", 2},
                                                 {"U16", 2},  {"I32", 4},     {"U32", 4},    {"I64", 8},
                                                 {"U64", 8},  {"F8_E4M3", 1}, {"F8_E5M2", 1}};
  for (const auto& [type, element] : types) {
    SCOPED_TRACE(type);
    const std::string bytes = beside_a_weight("other", type, element);
    const WeightFile file = parse_weights(std::as_bytes(std::span(bytes)), "x.safetensors");
    ASSERT_EQ(file.weights.size(), 2u);
    const Weight& other = weight_of(file, "other");
    EXPECT_EQ(other.left_out, type.starts_with("F8") ? "numbers of 8 bits, which are no weights without their scale"
                                                     : "no floating-point numbers");
    EXPECT_EQ(other.shape, "[3]");
    EXPECT_EQ(tensors_of(file).size(), 1u);
  }
  const std::string truths = beside_a_weight("other", "BOOL", 1);
  EXPECT_EQ(weight_of(parse_weights(std::as_bytes(std::span(truths)), "x"), "other").type, "bool");
}

TEST(WeightFile, StatesOfARunAreLeftOut) {
  for (const auto& [name, reason] : std::vector<std::pair<std::string, std::string>>{
           {"adam/first/kept", "state of the optimiser"}, {"average/kept", "moving average of a weight"}}) {
    const std::string bytes = beside_a_weight(name, "F32", 4);
    const WeightFile file = parse_weights(std::as_bytes(std::span(bytes)), "last.safetensors");
    EXPECT_EQ(weight_of(file, name).left_out, reason);
    EXPECT_EQ(tensors_of(file).size(), 1u);
  }
}

TEST(WeightFile, NamesLoseTheirWrappers) {
  EXPECT_EQ(canonical_weight_name("module.encoder.layer1.0.conv1.weight"), "layer1.0.conv1.weight");
  EXPECT_EQ(canonical_weight_name("backbone.module.fc.bias"), "fc.bias");
  EXPECT_EQ(canonical_weight_name("module.rn.0.weight"), "conv1.weight");
  EXPECT_EQ(canonical_weight_name("rn.1.running_var"), "bn1.running_var");
  EXPECT_EQ(canonical_weight_name("rn.4.2.bn2.bias"), "layer1.2.bn2.bias");
  EXPECT_EQ(canonical_weight_name("rn.7.0.downsample.1.running_mean"), "layer4.0.downsample.1.running_mean");
  EXPECT_EQ(canonical_weight_name("up1.x_conv.weight"), "up1.x_conv.weight");
  EXPECT_EQ(canonical_weight_name("rn.2.weight"), "rn.2.weight");
  EXPECT_EQ(canonical_weight_name("decoder.module.x"), "decoder.module.x");
}

class BadWeightFile : public ::testing::Test {
 protected:
  void expect_refused(const std::string& bytes, const std::vector<std::string>& parts) {
    put_bytes(path_, bytes);
    const std::string message = message_of([&] { read_weights(path_); });
    expect_parts(message, parts);
    expect_parts(message, {path_.string()});
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "weights.pth";
};

TEST_F(BadWeightFile, CommandsAndModulesAreRefusedByName) {
  for (const char* name : {"refused_command.pth", "refused_command_stream.pth"})
    expect_parts(message_of([&] { read_weights(sample(name)); }), {name, "posix.system, which is refused"});
  expect_parts(message_of([&] { read_weights(sample("refused_module.pth")); }), {"__main__.Tiny", "state_dict()"});
}

TEST_F(BadWeightFile, OtherFilesAreNamedForWhatTheyAre) {
  expect_parts(message_of([&] { read_weights(path_); }), {path_.string(), "No such file"});
  expect_refused("", {"no weight file", "it is empty"});
  expect_refused("<!DOCTYPE html>", {"no weight file", "web page"});
  expect_refused("version https://git-lfs.github.com/spec/v1\n", {"git lfs pull"});
  expect_refused("\x89HDF\r\n", {"HDF5"});
  expect_refused("some text that is long enough", {"neither a checkpoint of PyTorch nor safetensors"});
  expect_refused("\x80\x02K\x01.", {"does not start with PyTorch's magic number"});
}

// Whatever is missing at the end, the file is refused: nothing is read beyond it, and no half of a tensor is taken.
TEST_F(BadWeightFile, EveryShorterFileIsRefused) {
  for (const auto& [name, format] : kSamples) {
    const std::string whole = bytes_of(sample(name));
    // The TAR's tail of zeros is padding.
    const std::size_t needed = format == "PyTorch (TAR)" ? 7 * 512 : whole.size();
    for (std::size_t length = 0; length < needed; length += length < 64 ? 1 : 53) {
      put_bytes(path_, std::string_view(whole).substr(0, length));
      EXPECT_THROW(read_weights(path_), Error) << name << " cut to " << length;
    }
  }
}

TEST_F(BadWeightFile, DamageInAZipArchiveIsNoticed) {
  std::string bytes = bytes_of(sample("zip.pth"));
  const auto weight = bytes.find("/data/0");
  bytes[weight + 80] ^= 1;
  expect_refused(bytes, {"member 'zip/data/0' is cut short or damaged"});
}

TEST_F(BadWeightFile, DamageInATarHeaderIsNoticed) {
  std::string bytes = bytes_of(sample("tar.pth"));
  bytes[512 * 2 + 3] ^= 1;
  expect_refused(bytes, {"the TAR archive is damaged at its byte 1024"});
}

// Replaces the first `from`, which must be there.
std::string with(std::string bytes, std::string_view from, std::string_view to) {
  const auto at = bytes.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return bytes.replace(at, from.size(), to);
}

TEST_F(BadWeightFile, LengthsThatTheFileDoesNotHaveAreRefused) {
  const std::string stream = bytes_of(sample("stream.pth"));
  // conv1.weight has 108 elements, in the pickle ("K\x6c") and in front of its data.
  const std::string count("\x6c\0\0\0\0\0\0\0", 8);
  const std::string huge("\xff\xff\xff\xff\xff\xff\xff\x7f", 8);
  expect_refused(with(stream, count, huge), {"would have 9223372036854775807 elements"});
  const std::string large("\xff\xff\xff\xff\xff\xff\xff\x0f", 8);
  expect_refused(with(stream, count, large), {".pth is cut short", "4611686018427387900 bytes"});
  const std::string fewer("\x6b\0\0\0\0\0\0\0", 8);
  put_bytes(path_, with(stream, count, fewer));
  EXPECT_THROW(read_weights(path_), Error);
  const std::string tar = bytes_of(sample("tar.pth"));
  expect_refused(with(tar, count, huge), {"member 'storages'", "would have 9223372036854775807 elements"});
  expect_refused(with(tar, count, large), {"member 'storages' is cut short"});
}

TEST_F(BadWeightFile, ABigEndianFileIsRefused) {
  const std::string stream = bytes_of(sample("stream.pth"));
  const auto at = stream.find("little_endian");
  const auto truth = stream.find('\x88', at);
  std::string bytes = stream;
  bytes[truth] = '\x89';
  expect_refused(bytes, {"big-endian"});
  expect_refused(with(stream, "little_endian", "little_ending"), {"byte order"});
}

TEST_F(BadWeightFile, AFileWithoutTensorsSaysWhatItHolds) {
  const std::string start("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.");
  const std::string system("\x80\x02}(U\x0dlittle_endian\x88u.");
  expect_refused(start + system +
                     "}(U\x05"
                     "epochK\x01U\x03"
                     "betNu.].",
                 {"holds no tensors", "epoch, bet"});
  expect_refused(start + system + "K\x01.].", {"holds an integer instead of a dictionary"});
  expect_refused(start + system +
                     "}(U\x05"
                     "modelK\x01u.].",
                 {"holds an integer"});
  expect_refused("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02K\x01.", {"PyTorch's protocol 1"});
}

TEST_F(BadWeightFile, TwoWeightsOfOneNameAreRefused) {
  const std::string fastai = bytes_of(sample("fastai.h5"));
  expect_refused(with(fastai, "rn.1.running_mean", "backbone.bn1.bias"),
                 {"'rn.1.bias' and 'backbone.bn1.bias' are both weights called bn1.bias"});
}

}  // namespace
}  // namespace dermatome
