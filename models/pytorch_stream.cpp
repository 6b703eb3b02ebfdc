// The middle generation: pickles of a magic number, a protocol, system information, the contents, and the storages'
// keys; then, for each key, the number of elements and the elements.
#include <map>

#include "engine/core/error.h"
#include "models/pickle_reader.h"
#include "models/pytorch_file.h"

namespace dermatome {
namespace {

constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";  // 0x1950a86a20f9469cfc6c
constexpr std::int64_t kProtocol = 1001;

void check_start(PickleReader& stream, const std::string& file) {
  const auto magic = stream.next();
  DERMATOME_CHECK(magic.value().kind == pickle::Kind::large_integer && magic.value().text == kMagic,
                  "{}: this is a pickle, but none that torch.save wrote: it does not start with PyTorch's magic number",
                  file);
  const auto protocol = stream.next();
  DERMATOME_CHECK(protocol.value().kind == pickle::Kind::integer && protocol.value().integer == kProtocol,
                  "{}: the file is of PyTorch's protocol {}; {} can be read", file, protocol.value().integer,
                  kProtocol);
  check_little_endian(stream.next(), file);
}

StorageBytes take_storages(PickleReader& stream, const pickle::Document& document, const std::string& file) {
  std::map<std::string, ElementType> types;
  for (const auto& storage : document.storages) types.emplace(storage.key, storage.type);
  const auto keys = stream.next();
  DERMATOME_CHECK(keys.value().kind == pickle::Kind::list, "{}: the storages' keys are {} instead of a list", file,
                  pickle::name_of(keys.value().kind));
  StorageBytes storages;
  for (const pickle::Id id : keys.value().items) {
    const pickle::Value& key = keys.document[id];
    const auto known = types.find(std::string(key.text));
    DERMATOME_CHECK(key.kind == pickle::Kind::text && known != types.end(),
                    "{}: there is a storage that no tensor is made of", file);
    const auto count = stream.number<std::int64_t>();
    storages[known->first] = stream.take(count, size_of(known->second));
  }
  return storages;
}

}  // namespace

PytorchFile read_pytorch_stream(std::span<const std::byte> bytes, const std::string& file) {
  PickleReader stream(bytes, file);
  check_start(stream, file);
  auto read = stream.next(
      [&](pickle::Document& document, const pickle::Value& id) { return load_storage(document, id, file); });
  auto storage_bytes = by_key(take_storages(stream, read.document, file), file);
  return {.document = std::move(read.document), .root = read.root, .storage_bytes = std::move(storage_bytes)};
}

}  // namespace dermatome
