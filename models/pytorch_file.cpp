// What the three generations of PyTorch's checkpoints share.
#include "models/pytorch_file.h"

#include <cstring>

#include "engine/core/error.h"

namespace dermatome {
namespace {

using pickle::Document;
using pickle::Global;
using pickle::Kind;
using pickle::Value;

const Value& item(const Document& document, const Value& tuple, std::size_t i, Kind kind, const std::string& file) {
  const Value& value = document[tuple.items[i]];
  DERMATOME_CHECK(value.kind == kind, "{}: part {} of a storage's id is {} instead of {}", file, i + 1,
                  pickle::name_of(value.kind), pickle::name_of(kind));
  return value;
}

bool starts_with(std::span<const std::byte> bytes, std::string_view start, std::size_t at = 0) {
  return bytes.size() >= at + start.size() && std::memcmp(bytes.data() + at, start.data(), start.size()) == 0;
}

}  // namespace

bool is_zip(std::span<const std::byte> bytes) {
  return starts_with(bytes, "PK\x03\x04") || starts_with(bytes, "PK\x05\x06");
}
bool is_pickle(std::span<const std::byte> bytes) {
  return starts_with(bytes, "\x80");
}
bool is_tar(std::span<const std::byte> bytes) {
  return starts_with(bytes, "ustar", 257);
}

std::span<const std::byte> elements_of(const PytorchFile& pytorch, const pickle::Storage& storage,
                                       const std::string& file) {
  const auto bytes = pytorch.storage_bytes(storage.key);
  const std::uint64_t element = size_of(storage.type);
  const std::uint64_t there = bytes.size() / element;
  const auto count = static_cast<std::uint64_t>(storage.count);
  const auto begin = static_cast<std::uint64_t>(storage.begin);
  const bool fits = begin <= there && count <= there - begin;
  DERMATOME_CHECK(fits && (storage.part || count * element == bytes.size()),
                  "{}: storage '{}' has {} bytes, and {} elements of {} are wanted of it", file,
                  pickle::printable(storage.key), bytes.size(), storage.count, name_of(storage.type));
  return bytes.subspan(begin * element, count * element);
}

Value load_storage(Document& document, const Value& id, const std::string& file) {
  DERMATOME_CHECK(id.kind == Kind::tuple && (id.items.size() == 5 || id.items.size() == 6),
                  "{}: the pickle refers to something other than a storage", file);
  const Value& type = item(document, id, 1, Kind::global, file);
  DERMATOME_CHECK(item(document, id, 0, Kind::text, file).text == "storage" &&
                      static_cast<Global>(type.integer) == Global::storage_type,
                  "{}: the pickle refers to something other than a storage", file);
  pickle::Storage storage{.key = std::string(item(document, id, 2, Kind::text, file).text),
                          .type = type.element,
                          .count = item(document, id, 4, Kind::integer, file).integer};
  // A part of another storage: (its key, first element, elements).
  if (id.items.size() == 6 && document[id.items[5]].kind != Kind::none) {
    const Value& part = item(document, id, 5, Kind::tuple, file);
    DERMATOME_CHECK(part.items.size() == 3, "{}: a part of a storage is described by {} values", file,
                    part.items.size());
    storage.part = true;
    storage.begin = item(document, part, 1, Kind::integer, file).integer;
    storage.count = item(document, part, 2, Kind::integer, file).integer;
  }
  DERMATOME_CHECK(storage.begin >= 0 && storage.count >= 0, "{}: a storage has {} elements from {} on", file,
                  storage.count, storage.begin);
  return document.add(std::move(storage));
}

std::function<std::span<const std::byte>(const std::string&)> by_key(StorageBytes storages, const std::string& file) {
  return [storages = std::move(storages), file](const std::string& key) {
    const auto found = storages.find(key);
    DERMATOME_CHECK(found != storages.end(), "{}: the file holds no storage '{}'", file, pickle::printable(key));
    return found->second;
  };
}

void check_little_endian(const pickle::Pickle& information, const std::string& file) {
  const Document& document = information.document;
  const auto& items = information.value().items;
  if (information.value().kind == Kind::dictionary) {
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      if (document[items[i]].text != "little_endian") continue;
      DERMATOME_CHECK(document[items[i + 1]].integer == 1, "{}: the file was written on a big-endian machine", file);
      return;
    }
  }
  fail("{}: the file's system information does not say which byte order it has", file);
}

}  // namespace dermatome
