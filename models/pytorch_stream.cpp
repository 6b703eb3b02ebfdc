// The middle generation: pickles of a magic number, a protocol, system information, the contents, and the storages'
// keys; then, for each key, the number of elements and the elements.
#include <cstring>
#include <map>

#include "engine/core/error.h"
#include "models/pytorch_file.h"

namespace dermatome {
namespace {

constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";  // 0x1950a86a20f9469cfc6c
constexpr std::int64_t kProtocol = 1001;

class PickleStream {
 public:
  PickleStream(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  pickle::Pickle next(const pickle::PersistentLoader& loader = {}) {
    auto read = pickle::unpickle(bytes_.subspan(at_), file_, loader);
    at_ += read.length;
    return read;
  }
  std::span<const std::byte> take(std::uint64_t count, const std::string& what) {
    DERMATOME_CHECK(count <= bytes_.size() - at_, "{}: the file is cut short: {} has {} bytes, {} are there", file_,
                    what, count, bytes_.size() - at_);
    const auto taken = bytes_.subspan(at_, static_cast<std::size_t>(count));
    at_ += taken.size();
    return taken;
  }
  std::int64_t number(const std::string& what) {
    std::int64_t value = 0;
    std::memcpy(&value, take(sizeof(value), what).data(), sizeof(value));
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& file_;
  std::size_t at_ = 0;
};

void check_start(PickleStream& stream, const std::string& file) {
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

using Storages = std::map<std::string, std::span<const std::byte>>;

Storages take_storages(PickleStream& stream, const pickle::Document& document, const std::string& file) {
  std::map<std::string, ElementType> types;
  for (const auto& storage : document.storages) types.emplace(storage.key, storage.type);
  const auto keys = stream.next();
  DERMATOME_CHECK(keys.value().kind == pickle::Kind::list, "{}: the storages' keys are {} instead of a list", file,
                  pickle::name_of(keys.value().kind));
  Storages storages;
  for (const pickle::Id id : keys.value().items) {
    const pickle::Value& key = keys.document[id];
    const auto known = types.find(std::string(key.text));
    DERMATOME_CHECK(key.kind == pickle::Kind::text && known != types.end(),
                    "{}: there is a storage that no tensor is made of", file);
    const std::string what = "storage '" + pickle::printable(key.text) + "'";
    const std::int64_t count = stream.number(what);
    const auto element = static_cast<std::int64_t>(size_of(known->second));
    DERMATOME_CHECK(count >= 0 && count <= INT64_MAX / element, "{}: {} would have {} elements", file, what, count);
    storages[known->first] = stream.take(static_cast<std::uint64_t>(count * element), what);
  }
  return storages;
}

}  // namespace

PytorchFile read_pytorch_stream(std::span<const std::byte> bytes, const std::string& file) {
  PickleStream stream(bytes, file);
  check_start(stream, file);
  auto read = stream.next(
      [&](pickle::Document& document, const pickle::Value& id) { return load_storage(document, id, file); });
  const Storages storages = take_storages(stream, read.document, file);
  const auto storage_bytes = [storages, file](const std::string& key) {
    const auto found = storages.find(key);
    DERMATOME_CHECK(found != storages.end(), "{}: the file holds no storage '{}'", file, pickle::printable(key));
    return found->second;
  };
  return {.document = std::move(read.document), .root = read.root, .storage_bytes = storage_bytes};
}

}  // namespace dermatome
