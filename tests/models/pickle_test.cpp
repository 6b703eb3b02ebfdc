// The restricted unpickler: what a checkpoint holds is read, everything else is refused by name.
#include "models/pickle.h"

#include "tests/models/support.h"

namespace dermatome::pickle {
namespace {

using testing::expect_parts;
using testing::message_of;
using namespace std::string_literals;

std::span<const std::byte> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

Pickle read(const std::string& program) {
  return unpickle(bytes_of(program), "x.pth");
}

void expect_refused(const std::string& program, const std::vector<std::string>& parts) {
  const std::string message = message_of([&] { read(program); });
  expect_parts(message, parts);
  EXPECT_TRUE(message.starts_with("x.pth: ")) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

template <typename T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

const std::string kOrderedDict = "ccollections\nOrderedDict\n";
const std::string kRebuild = "ctorch._utils\n_rebuild_tensor_v2\n";

// A loader for which every id is a storage of that many f32.
PersistentLoader storages_of(std::int64_t count) {
  return [count](Document& document, const Value&) {
    document.storages.push_back({.key = "0", .count = count});
    Value value;
    value.kind = Kind::storage;
    return value;
  };
}

// _rebuild_tensor_v2(storage, offset, sizes, strides, False, OrderedDict()).
std::string tensor(const std::string& offset, const std::string& sizes, const std::string& strides) {
  return "\x80\x02" + kRebuild + "(N" + "Q" + offset + "(" + sizes + "t(" + strides + "t\x89" + kOrderedDict + ")RtR.";
}

TEST(Pickle, ReadsNumbersTextsAndContainers) {
  const std::string program =
      "\x80\x02}(X\x01\0\0\0aK\x07U\x01"
      "b](M\x01\x02J\xff\xff\xff\xff\x8a\x01\xfe"
      "e\x8c\x01"
      "cG?\xe0\0\0\0\0\0\0"s
      "U\x01"
      "dNU\x01"
      "e\x88\x89\x86u.";
  const auto one = read(program);
  const Document& document = one.document;
  const auto& items = one.value().items;
  EXPECT_EQ(one.value().kind, Kind::dictionary);
  ASSERT_EQ(items.size(), 10u);
  EXPECT_EQ(document[items[0]].text, "a");
  EXPECT_EQ(document[items[1]].integer, 7);
  const auto& list = document[items[3]].items;
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(document[list[0]].integer, 513);
  EXPECT_EQ(document[list[1]].integer, -1);
  EXPECT_EQ(document[list[2]].integer, -2);
  EXPECT_EQ(document[items[5]].real, 0.5);
  EXPECT_EQ(document[items[7]].kind, Kind::none);
  EXPECT_EQ(document[items[9]].items.size(), 2u);
}

TEST(Pickle, ReadsOrderedDictionariesOfBothPythons) {
  EXPECT_TRUE(read(kOrderedDict + ")R.").value().items.empty());
  const auto old = read(kOrderedDict +
                        "(](](U\x01"
                        "aK\x01"
                        "eetR.");
  ASSERT_EQ(old.value().items.size(), 2u);
  EXPECT_EQ(old.document[old.value().items[1]].integer, 1);
  EXPECT_EQ(read(kOrderedDict + ")R}(U\x09_metadataNub.").value().kind, Kind::dictionary);
}

TEST(Pickle, ReadsTensorsOfEveryRebuilder) {
  const auto read_tensor = unpickle(bytes_of(tensor("K\x01", "K\x02K\x03", "K\x03K\x01")), "x.pth", storages_of(7));
  ASSERT_EQ(read_tensor.document.tensors.size(), 1u);
  EXPECT_EQ(read_tensor.document.tensors[0].view.offset, 1);
  EXPECT_EQ(read_tensor.document.tensors[0].view.sizes, (std::vector<std::int64_t>{2, 3}));
  for (const std::string outer : {"ctorch._utils\n_rebuild_parameter\n", "ctorch.nn.parameter\nParameter\n"}) {
    const auto parameter =
        unpickle(bytes_of(outer + "(ctorch._utils\n_rebuild_tensor\n(NQK\0K\x01\x85K\x01\x85tR\x88tR."s), "x.pth",
                 storages_of(1));
    EXPECT_EQ(parameter.value().kind, Kind::tensor) << outer;
  }
  // torch 0.1: Parameter() by NEWOBJ, and (data, creator, hooks, requires_grad, volatile).
  const auto oldest = unpickle(
      bytes_of(
          "ctorch.nn.parameter\nParameter\n)\x81(ctorch._utils\n_rebuild_tensor\n(NQK\0K\x01\x85K\x01\x85tRNN\x88\x89tb."s),
      "x.pth", storages_of(1));
  EXPECT_EQ(oldest.value().kind, Kind::tensor);
}

TEST(Pickle, RefusesEveryOtherGlobalByName) {
  expect_refused("cos\nsystem\n(U\x02lstR.", {"os.system", "refused", "state_dict"});
  expect_refused(
      "\x80\x04\x8c\x08"
      "builtins\x8c\x04"
      "eval\x93.",
      {"builtins.eval", "refused"});
  expect_refused("ctorch\nFloatFunction\n.", {"torch.FloatFunction"});
  expect_refused("ctorch._utils\n_rebuild_tensor_v3\n.", {"torch._utils._rebuild_tensor_v3"});
  expect_refused("c__main__\nNet\x1b[31m\n.", {"__main__.Net?[31m"});
}

TEST(Pickle, RefusesEveryOtherOpcodeByName) {
  const std::vector<std::pair<std::string, std::string>> refused{{"i", "INST"},
                                                                 {"o", "OBJ"},
                                                                 {"F", "FLOAT"},
                                                                 {"I", "INT"},
                                                                 {"L", "LONG"},
                                                                 {"S", "STRING"},
                                                                 {"V", "UNICODE"},
                                                                 {"P", "PERSID"},
                                                                 {"g", "GET"},
                                                                 {"p", "PUT"},
                                                                 {"2", "DUP"},
                                                                 {"B", "BINBYTES"},
                                                                 {"C", "SHORT_BINBYTES"},
                                                                 {"\x82", "EXT1"},
                                                                 {"\x83", "EXT2"},
                                                                 {"\x84", "EXT4"},
                                                                 {"\x8b", "LONG4"},
                                                                 {"\x8e", "BINBYTES8"},
                                                                 {"\x8f", "EMPTY_SET"},
                                                                 {"\x90", "ADDITEMS"},
                                                                 {"\x91", "FROZENSET"},
                                                                 {"\x92", "NEWOBJ_EX"},
                                                                 {"\x96", "BYTEARRAY8"},
                                                                 {"\x97", "NEXT_BUFFER"},
                                                                 {"\x98", "READONLY_BUFFER"},
                                                                 {"\xff", "0xff"},
                                                                 {"NQ", "BINPERSID"}};
  for (const auto& [program, name] : refused) {
    expect_refused(program + ".", {"opcode " + name + " at its byte " + std::to_string(program.size() - 1), "refused"});
  }
}

TEST(Pickle, RefusesWhatIsCutShortOrDoesNotFit) {
  expect_refused("", {"byte 0", "1 bytes are wanted and 0 are left"});
  expect_refused("K", {"1 bytes are wanted and 0"});
  expect_refused(
      "X\xff\xff\xff\xff"
      "abc",
      {"4294967295 bytes are wanted and 3 are left"});
  expect_refused("\x8d" + raw(~0ull), {"18446744073709551615 bytes"});
  expect_refused("\x8a\x09", {"9 bytes are wanted"});
  expect_refused("\x80\x04\x95" + raw(1ull << 40), {"a frame of 1099511627776 bytes, 0 are left"});
  expect_refused("\x80\x01.", {"protocol 1"});
  expect_refused("\x80\x06.", {"protocol 6"});
  expect_refused("ccollections", {"a name does not end"});
  expect_refused(".", {"a value is wanted and none is there"});
  expect_refused("(.", {"a value is wanted"});
  expect_refused("t", {"a mark is wanted"});
  expect_refused(
      "(K\x01"
      "0K\x02s",
      {"a value is wanted"});
  expect_refused("](K\x01u", {"a dictionary is wanted and a list is there"});
  expect_refused("}(K\x01u", {"a key has no value"});
  expect_refused(
      "}K\x01"
      "a",
      {"a list is wanted and a dictionary is there"});
  expect_refused("h\x05", {"nothing was remembered as 5"});
  expect_refused("q\x05", {"a value is wanted"});
  expect_refused("K\x01K\x02\x93", {"the name of a global is no text"});
}

TEST(Pickle, RefusesCallsThatMakeNoSense) {
  expect_refused("K\x01)R.", {"calls an integer"});
  expect_refused(kOrderedDict + "K\x01R.", {"called with an integer instead of arguments"});
  expect_refused(kOrderedDict + "(K\x01K\x02tR.", {"called with 2 arguments"});
  expect_refused(kOrderedDict +
                     "(](K\x01"
                     "etR.",
                 {"something other than pairs"});
  expect_refused("ctorch\nFloatStorage\n)R.", {"by itself"});
  expect_refused(kRebuild + "(K\x01K\x01K\x01K\x01tR.", {"_rebuild_tensor_v2", "is an integer instead of a storage"});
  expect_refused("K\x01Nb.", {"sets attributes of an integer"});
  expect_refused("ctorch.nn.parameter\nParameter\n)RNb.", {"a Parameter without a tensor"});
}

TEST(Pickle, RefusesViewsBeyondTheirStorage) {
  const std::vector<std::pair<std::string, std::string>> refused{
      {tensor("K\x02", "K\x02K\x03", "K\x03K\x01"), "beyond its storage of 7"},
      {tensor("K\x08", "", ""), "starts at element 8"},
      {tensor("J\xff\xff\xff\xff", "", ""), "starts at element -1"},
      {tensor("K\x00"s, "J\xff\xff\xff\xff", "K\x01"), "negative size or stride"},
      {tensor("K\x00"s, "K\x01", "J\xff\xff\xff\xff"), "negative size or stride"},
      {tensor("K\x00"s, "K\x08", "K\x00"s), "beyond its storage"},  // the same element again and again
      {tensor("K\x00"s, "K\x02", "\x8a\x08" + raw(INT64_MAX)), "beyond its storage"},
      {tensor("K\x00"s, "\x8a\x08" + raw(INT64_MAX) + "\x8a\x08" + raw(INT64_MAX), "K\x01K\x01"), "beyond its storage"},
      {tensor("K\x00"s, "K\0\x8a\x08"s + raw(INT64_MAX), "K\x01K\x01"), "impossible shape"},
      {tensor("K\x00"s, "K\x01", ""), "1 sizes and 0 strides"},
      {tensor("K\x00"s, "K\x01K\x01K\x01K\x01K\x01K\x01", "K\x01K\x01K\x01K\x01K\x01K\x01"), "6 axes"},
      {tensor("K\x00"s,
              "U\x01"
              "a",
              "K\x01"),
       "a text instead of integers"}};
  for (const auto& [program, part] : refused) {
    const std::string message = message_of([&] { unpickle(bytes_of(program), "x.pth", storages_of(7)); });
    expect_parts(message, {"x.pth: ", part});
  }
  const auto odd_stride = tensor("K\x00"s, "K\x01K\x07", "\x8a\x08" + raw(INT64_MAX) + "K\x01");
  EXPECT_EQ(unpickle(bytes_of(odd_stride), "x.pth", storages_of(7)).document.tensors.size(), 1u);
}

TEST(Pickle, ALoopOfContainersAndDeepOnesCostNothing) {
  EXPECT_EQ(read("]q\x01h\x01"
                 "a.")
                .value()
                .kind,
            Kind::list);
  std::string deep;
  for (int i = 0; i < 1'000'000; ++i) deep += ']';
  for (int i = 0; i < 999'999; ++i) deep += 'a';
  EXPECT_EQ(read(deep + ".").value().kind, Kind::list);
}

TEST(Pickle, SmallProgramsCannotAskForManyValues) {
  expect_refused(std::string(2'100'000, 'N') + ".", {"more than 2000000 values"});
  // One list of ten thousand pairs, copied by every call.
  std::string copies = "](" + [] {
    std::string pairs;
    for (int i = 0; i < 10'000; ++i) pairs += "NN\x86";
    return pairs;
  }() + "e\x85q\x01";
  for (int i = 0; i < 1000; ++i) copies += kOrderedDict + "h\x01R";
  expect_refused(copies + ".", {"more than 2000000 values"});
}

}  // namespace
}  // namespace dermatome::pickle
