// Safetensors files: what is written reads back, whatever is malformed is refused with its reason.
#include "models/safetensors.h"

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include "engine/core/philox.h"
#include "tests/models/support.h"

namespace dermatome {
namespace {

using testing::bytes_of;
using testing::expect_parts;
using testing::message_of;
using testing::put_bytes;
using testing::TemporaryFolder;

template <typename T>
Tensor numbers(std::initializer_list<T> values, const Shape& shape) {
  return tensor_of<T>(std::span(values.begin(), values.size()), shape);
}

void expect_equal(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.desc(), b.desc());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.bytes()), 0);
}

// A file of every type, a scalar, an empty tensor, and lengths that are no whole words.
TensorFile sample() {
  Tensor brain({DType::bf16, {3}});
  std::memcpy(brain.data(), "\x80\x3f\x00\x40\x40\x40", 6);
  return {.metadata = {{"epoch", "3"}, {"graph", "model \"m\" {\n  # \\ \xc3\xa4\n}"}, {"empty", ""}},
          .tensors = {{"conv1.weight", numbers<float>({1, -2.5f, 3e-40f, 4, 5, 6}, {1, 2, 3, 1})},
                      {"f64", numbers<double>({0.1, -1e300, 3}, {3})},
                      {"mask", numbers<std::uint8_t>({0, 255, 7, 1, 2}, {5})},
                      {"step", numbers<std::int32_t>({-7}, {})},
                      {"nothing", Tensor({DType::f32, {2, 0, 3}})},
                      {"brain", brain}}};
}

// A file of that JSON header and that many bytes of data.
std::string file_of(std::string_view json, std::size_t data_bytes) {
  const std::uint64_t length = json.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof(length));
  bytes += json;
  bytes.append(data_bytes, '\x01');
  return bytes;
}

class Safetensors : public ::testing::Test {
 protected:
  // Reading a file of these bytes must fail with one line that names the file and all of these parts.
  void expect_refused(const std::string& bytes, const std::vector<std::string>& parts,
                      Integrity integrity = Integrity::optional) {
    put_bytes(path_, bytes);
    const std::string message = message_of([&] { read_safetensors(path_, integrity); });
    expect_parts(message, parts);
    expect_parts(message, {path_.string()});
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
  void expect_header_refused(std::string_view json, std::size_t data_bytes, const std::vector<std::string>& parts) {
    SCOPED_TRACE(std::string(json));
    expect_refused(file_of(json, data_bytes), parts);
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "weights.safetensors";
};

TEST_F(Safetensors, ReadsBackWhatWasWritten) {
  for (const Integrity integrity : {Integrity::optional, Integrity::required}) {
    const TensorFile written = sample();
    write_safetensors(path_, written, integrity);
    const TensorFile read = read_safetensors(path_, integrity);
    EXPECT_EQ(read.metadata, written.metadata);
    ASSERT_EQ(read.tensors.size(), written.tensors.size());
    for (const auto& [name, tensor] : written.tensors) {
      ASSERT_NE(read.find(name), nullptr) << name;
      expect_equal(*read.find(name), tensor);
    }
    EXPECT_EQ(read.find("conv2.weight"), nullptr);
    EXPECT_EQ(folder_.files(), 1u) << "nothing but the file is left behind";
  }
}

TEST_F(Safetensors, KeepsTheOrderOfTensorsOfOneType) {
  TensorFile written;
  for (const char* name : {"z", "a", "m", "layer10", "layer2"})
    written.tensors.emplace_back(name, numbers<float>({1}, {1}));
  write_safetensors(path_, written);
  const TensorFile read = read_safetensors(path_);
  for (std::size_t i = 0; i < written.tensors.size(); ++i) EXPECT_EQ(read.tensors[i].first, written.tensors[i].first);
}

TEST_F(Safetensors, WritesTheSameBytesEachTime) {
  write_safetensors(path_, sample(), Integrity::required);
  const std::string first = bytes_of(path_);
  write_safetensors(path_, read_safetensors(path_), Integrity::required);
  EXPECT_EQ(bytes_of(path_), first);
}

TEST_F(Safetensors, WritesAlignedData) {
  write_safetensors(path_, sample());
  const std::string bytes = bytes_of(path_);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  EXPECT_EQ(length % 8, 0u);
  const double first = 0.1;  // the f64 tensor comes before smaller types
  EXPECT_EQ(std::memcmp(bytes.data() + 8 + length, &first, 8), 0);
}

TEST_F(Safetensors, HoldsNothingAtAll) {
  write_safetensors(path_, {});
  const TensorFile read = read_safetensors(path_);
  EXPECT_TRUE(read.metadata.empty());
  EXPECT_TRUE(read.tensors.empty());
}

TEST_F(Safetensors, ReadsTypesThatOnlyFilesHave) {
  std::string bytes = file_of(R"({"half":{"dtype":"F16","shape":[6],"data_offsets":[0,12]},)"
                              R"("long":{"dtype":"I64","shape":[2],"data_offsets":[12,28]}})",
                              0);
  const std::uint16_t half[6] = {0x3c00, 0xc100, 0x0001, 0x8000, 0x7bff, 0xfc00};
  const std::int64_t whole[2] = {2147483647, -2147483648ll};
  bytes.append(reinterpret_cast<const char*>(half), sizeof(half))
      .append(reinterpret_cast<const char*>(whole), sizeof(whole));
  put_bytes(path_, bytes);
  const TensorFile read = read_safetensors(path_);
  const auto values = read.find("half")->as<float>();
  const float expected[6] = {1.0f, -2.5f, 0x1p-24f, -0.0f, 65504.0f, -INFINITY};
  EXPECT_EQ(std::memcmp(values.data(), expected, sizeof(expected)), 0);
  expect_equal(*read.find("long"), numbers<std::int32_t>({2147483647, -2147483647 - 1}, {2}));

  const std::int64_t large = 2147483648ll;
  std::memcpy(bytes.data() + bytes.size() - 8, &large, 8);
  expect_refused(bytes, {"'long' holds 2147483648", "32 bits"});
}

TEST_F(Safetensors, ReadsUnalignedDataAndTrailingSpaces) {
  std::string bytes = file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}   )", 0);
  EXPECT_NE(bytes.size() % 4, 0u);
  const float value = 1.5f;
  bytes.append(reinterpret_cast<const char*>(&value), 4);
  put_bytes(path_, bytes);
  EXPECT_EQ(read_safetensors(path_).find("a")->as<float>()[0], 1.5f);
}

TEST_F(Safetensors, NamesAFileThatCannotBeRead) {
  expect_parts(message_of([&] { read_safetensors(path_); }), {path_.string(), "No such file"});
  std::filesystem::create_directory(folder_ / "folder");
  expect_parts(message_of([&] { read_safetensors(folder_ / "folder"); }), {"folder", "not a regular file"});
}

TEST_F(Safetensors, RefusesAHeaderOfTheWrongLength) {
  expect_refused("", {"0 bytes are too few"});
  expect_refused("1234567", {"7 bytes are too few"});
  expect_refused(std::string(8, '\xff'), {"no safetensors file", "18446744073709551615"});
  expect_refused("PK\x03\x04 this is a zip archive, as torch.save writes it", {"no safetensors file"});
  expect_refused(file_of("{}", 0).substr(0, 9), {"cut short", "2 bytes", "1 are there"});
}

TEST_F(Safetensors, RefusesAHeaderThatIsNoJsonObject) {
  expect_header_refused("", 0, {"does not start with '{'"});
  expect_header_refused(" {}", 0, {"does not start with '{'"});
  expect_header_refused("[]", 0, {"does not start with '{'"});
  expect_header_refused(R"({"a":)", 0, {"not valid JSON at its byte 6"});
  expect_header_refused("{\"\xff\":1}", 0, {"not valid JSON"});
  expect_header_refused("{}{}", 0, {"not valid JSON at its byte 3"});
  expect_header_refused(R"({"a":1e999})", 0, {"too large"});
  expect_header_refused("{\"a\":" + std::string(200000, '[') + "}", 0, {"not valid JSON"});
}

TEST_F(Safetensors, RefusesDescriptionsThatMakeNoSense) {
  expect_header_refused(R"({"a":7})", 0, {"tensor 'a'", "other than an object"});
  expect_header_refused(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4, {"tensor 'a' has no dtype"});
  expect_header_refused(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4, {"tensor 'a' has no shape"});
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[1]}})", 4, {"tensor 'a' has no data_offsets"});
  expect_header_refused(R"({"a":{"dtype":5,"shape":[1],"data_offsets":[0,4]}})", 4, {"dtype that is no text"});
  expect_header_refused(R"({"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}})", 4, {"type F8_E4M3", "F32"});
  expect_header_refused(R"({"a":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}})", 4, {"type F4", "none of"});
  expect_header_refused(R"({"a":{"dtype":"U16","shape":[4],"data_offsets":[0,4]}})", 4, {"U16[4]", "takes 8 bytes"});
  expect_header_refused(R"({"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}})", 4, {"type f32"});
  expect_header_refused(R"({"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", 4, {"shape", "no list"});
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, {"shape", "whole numbers"});
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4, {"shape", "whole numbers"});
  expect_header_refused(R"({"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}})", 4, {"shape", "whole numbers"});
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}})", 4,
                        {"whole numbers"});
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
                        {"impossible shape"});
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[4294967296,0,4294967296],"data_offsets":[0,0]}})", 0,
                        {"impossible shape"});
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1],"data_offsets":[0,4]}})", 4, {"6 axes", "5"});
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, {"no begin and end"});
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", 4, {"no begin and end"});
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", 4,
                        {"data_offsets", "whole numbers"});
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
                        {"tensor 'a' is F32[2], which takes 8 bytes, but has 4"});
}

TEST_F(Safetensors, RefusesDataThatDoesNotFitTogether) {
  constexpr const char* kTwo = R"({{"a":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}},)"
                               R"("b":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}}}})";
  const auto two = [&](int a, int b, int c, int d) {
    return fmt::format(fmt::runtime(kTwo), b - a, a, b, d - c, c, d);
  };
  put_bytes(path_, file_of(two(0, 4, 4, 8), 8));
  EXPECT_EQ(read_safetensors(path_).tensors.size(), 2u);
  put_bytes(path_, file_of(two(4, 8, 0, 4), 8));
  EXPECT_EQ(read_safetensors(path_).tensors[0].first, "b");
  expect_header_refused(two(0, 4, 4, 8), 7, {"cut short", "'b' ends at byte 8", "7 are there"});
  expect_header_refused(two(0, 4, 4, 8), 9, {"1 bytes at the end"});
  expect_header_refused(two(0, 4, 5, 8), 8, {"1 bytes in front of tensor 'b'"});
  expect_header_refused(two(1, 4, 4, 8), 8, {"1 bytes in front of tensor 'a'"});
  expect_header_refused(two(0, 5, 4, 8), 8, {"'b' overlaps"});
  expect_header_refused(two(0, 8, 2, 4), 8, {"'b' overlaps"});
  expect_header_refused(two(0, 8, 0, 8), 8, {"'b' overlaps"});
  expect_header_refused(two(0, 4, 4, 9000000), 8, {"cut short"});
}

TEST_F(Safetensors, RefusesNamesTwice) {
  const std::string one = R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  expect_header_refused("{" + one + "," + one + "}", 1, {"names 'a' twice"});
  expect_header_refused(R"({"a":{"dtype":"U8","dtype":"I32","shape":[1],"data_offsets":[0,1]}})", 1,
                        {"names 'dtype' twice"});
  expect_header_refused(R"({"__metadata__":{"k":"1","k":"2"}})", 0, {"names 'k' twice"});
}

TEST_F(Safetensors, RefusesMetadataOtherThanTexts) {
  expect_header_refused(R"({"__metadata__":3})", 0, {"__metadata__ is no object"});
  expect_header_refused(R"({"__metadata__":{"k":3}})", 0, {"metadata 'k' is no text"});
  expect_header_refused(R"({"__metadata__":{"k":{"l":"m"}}})", 0, {"metadata 'k' is no text"});
}

TEST_F(Safetensors, RefusesEveryShorterFile) {
  for (const Integrity integrity : {Integrity::optional, Integrity::required}) {
    write_safetensors(path_, sample(), integrity);
    const std::string whole = bytes_of(path_);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      SCOPED_TRACE(length);
      expect_refused(whole.substr(0, length), {});
    }
    expect_refused(whole + '\0', {"1 bytes at the end"});
  }
}

TEST_F(Safetensors, ChecksumRefusesEveryFlippedBit) {
  write_safetensors(path_, sample(), Integrity::required);
  const std::string whole = bytes_of(path_);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    SCOPED_TRACE(at);
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    expect_refused(damaged, {}, Integrity::required);
  }
  std::string damaged = whole;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  expect_refused(damaged, {"checksum does not match", "damaged"});
}

TEST_F(Safetensors, ChecksumNoticesSwappedWords) {
  write_safetensors(path_, {.metadata = {}, .tensors = {{"a", numbers<double>({1, 2}, {2})}}}, Integrity::required);
  std::string bytes = bytes_of(path_);
  std::swap_ranges(bytes.end() - 16, bytes.end() - 8, bytes.end() - 8);
  expect_refused(bytes, {"checksum does not match"});
}

TEST_F(Safetensors, CheckpointsMustHaveAChecksum) {
  write_safetensors(path_, sample());
  expect_refused(bytes_of(path_), {"has no checksum"}, Integrity::required);
}

TEST_F(Safetensors, AMetadataTextCannotPassForTheChecksum) {
  TensorFile file = sample();
  file.metadata["a"] = R"("dermatome.checksum":"0123456789abcdef")";
  file.metadata["dermatome.checksum"] = "stale";
  write_safetensors(path_, file, Integrity::required);
  EXPECT_EQ(read_safetensors(path_, Integrity::required).metadata.at("a"), file.metadata["a"]);
}

TEST_F(Safetensors, AnyFlippedByteOfTheHeaderIsReadOrRefused) {
  write_safetensors(path_, sample());
  const std::string whole = bytes_of(path_);
  Philox random(1);
  for (std::size_t round = 0; round < 4000; ++round) {
    std::string damaged = whole;
    for (std::uint32_t k = 0; k <= random.below(3); ++k) {
      damaged[random.below(static_cast<std::uint32_t>(whole.size() - 60))] = static_cast<char>(random.next());
    }
    put_bytes(path_, damaged);
    try {
      read_safetensors(path_);
    } catch (const Error&) {
    }
  }
}

TEST_F(Safetensors, RefusesToWriteWhatItCouldNotRead) {
  const Tensor one = numbers<float>({1}, {1});
  const auto message = [&](const TensorFile& file) { return message_of([&] { write_safetensors(path_, file); }); };
  expect_parts(message({.metadata = {}, .tensors = {{"a", one}, {"b", one}, {"a", one}}}),
               {"weights", "two tensors", "'a'"});
  expect_parts(message({.metadata = {}, .tensors = {{"a", Tensor()}}}), {"'a' is undefined"});
  expect_parts(message({.metadata = {}, .tensors = {{"__metadata__", one}}}), {"'__metadata__'"});
  expect_parts(message({.metadata = {}, .tensors = {{"\xff", one}}}), {"UTF-8"});
  expect_parts(message({.metadata = {{"k", "\xc3"}}, .tensors = {}}), {"UTF-8"});
  EXPECT_EQ(folder_.files(), 0u);
}

// After a failed write the old file must be there, whole and alone.
class SafetensorsKeepsTheOldFile : public Safetensors {
 protected:
  void SetUp() override {
    write_safetensors(path_, sample());
    old_ = bytes_of(path_);
  }
  void TearDown() override { EXPECT_EQ(bytes_of(path_), old_); }
  std::string failed_write() {
    return message_of([&] {
      write_safetensors(path_, {.metadata = {}, .tensors = {{"a", Tensor({DType::f32, {5000}})}}});
    });
  }

  std::string old_;
};

TEST_F(SafetensorsKeepsTheOldFile, WhenTheDiskIsFull) {
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small { .rlim_cur = 4096, .rlim_max = before.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message = failed_write();
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  expect_parts(message, {path_.string(), "File too large"});
  EXPECT_EQ(folder_.files(), 1u) << "the partial file is gone";
}

TEST_F(SafetensorsKeepsTheOldFile, WhenThePartialFileCannotBeOpened) {
  std::filesystem::create_directory(path_.string() + ".partial");
  expect_parts(failed_write(), {path_.string(), "Is a directory"});
}

TEST_F(SafetensorsKeepsTheOldFile, WhenTheFolderIsUnwritable) {
  if (::geteuid() == 0) GTEST_SKIP() << "nothing is unwritable for root";
  std::filesystem::permissions(path_.parent_path(),
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  const std::string message = failed_write();
  std::filesystem::permissions(path_.parent_path(), std::filesystem::perms::owner_all);
  expect_parts(message, {path_.string(), "Permission denied"});
}

TEST_F(Safetensors, NamesAFileThatCannotBeWritten) {
  expect_parts(message_of([&] { write_safetensors(folder_ / "none" / "a", {}); }), {"none/a", "No such file"});
  std::filesystem::create_directory(path_);
  expect_parts(message_of([&] { write_safetensors(path_, {}); }), {path_.string(), "directory"});
  EXPECT_EQ(folder_.files(), 1u) << "the partial file is gone";
}

}  // namespace
}  // namespace dermatome
