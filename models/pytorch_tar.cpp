// The oldest generation: a TAR archive of sys_info, storages, tensors and pickle (torch/serialization.py, legacy_load).
#include <map>

#include "engine/core/error.h"
#include "models/pickle_reader.h"
#include "models/pytorch_file.h"
#include "models/tar_archive.h"

namespace dermatome {
namespace {

using pickle::Document;
using pickle::Global;
using pickle::Kind;
using pickle::Value;

PickleReader member_of(const std::map<std::string, std::span<const std::byte>>& members, const char* name,
                       const std::string& file) {
  const auto found = members.find(name);
  DERMATOME_CHECK(found != members.end(), "{}: the TAR archive has no member '{}', so torch.save did not write it",
                  file, name);
  return {found->second, fmt::format("{}: member '{}'", file, name)};
}

// Keys are addresses of objects in the process that wrote the file: integers, or their digits.
std::string key_of(const Value& value, const std::string& what) {
  if (value.kind == Kind::integer) return fmt::format("{}", value.integer);
  if (value.kind == Kind::large_integer) {
    std::string digits;
    for (const char c : value.text) digits += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return digits;
  }
  DERMATOME_CHECK(value.kind == Kind::text, "{}: a key is {}", what, pickle::name_of(value.kind));
  return std::string(value.text);
}

// What the members `storages` and `tensors` hold, by key.
struct Objects {
  StorageBytes bytes;
  std::map<std::string, pickle::Storage> storages;
  std::map<std::string, std::pair<std::string, StridedView>> tensors;  // the storage's key, and the view
};

// The three parts of (key, location or storage's key, type).
struct Description {
  pickle::Pickle read;
  const Value& part(std::size_t i) const { return read.document[read.value().items[i]]; }
};

Description next_description(PickleReader& member, Global kind) {
  Description description{member.next()};
  const Value& tuple = description.read.value();
  DERMATOME_CHECK(tuple.kind == Kind::tuple && tuple.items.size() == 3 && description.part(2).kind == Kind::global &&
                      static_cast<Global>(description.part(2).integer) == kind,
                  "{} describes something other than key, place and type", member.what());
  return description;
}

void read_storages(PickleReader member, Objects& objects) {
  for (std::int64_t left = member.next_count(); left > 0; --left) {
    const Description description = next_description(member, Global::storage_type);
    const std::string key = key_of(description.part(0), member.what());
    const ElementType type = description.part(2).element;
    const auto count = member.number<std::int64_t>();
    objects.bytes[key] = member.take(count, size_of(type));
    objects.storages[key] = {.key = key, .type = type, .count = count};
  }
  // Parts: (key, key of the whole, first element, elements).
  const auto parts = member.next();
  DERMATOME_CHECK(parts.value().kind == Kind::list, "{}: parts of storages are {}", member.what(),
                  pickle::name_of(parts.value().kind));
  for (const pickle::Id id : parts.value().items) {
    const Value& part = parts.document[id];
    DERMATOME_CHECK((part.kind == Kind::tuple || part.kind == Kind::list) && part.items.size() == 4,
                    "{}: a part of a storage is described by {}", member.what(), pickle::name_of(part.kind));
    const auto whole = objects.storages.find(key_of(parts.document[part.items[1]], member.what()));
    const std::int64_t begin = parts.document[part.items[2]].integer;
    const std::int64_t count = parts.document[part.items[3]].integer;
    DERMATOME_CHECK(whole != objects.storages.end() && !whole->second.part && begin >= 0 && count >= 0,
                    "{}: a part belongs to no storage", member.what());
    objects.storages[key_of(parts.document[part.items[0]], member.what())] = {
        .key = whole->second.key, .type = whole->second.type, .count = count, .begin = begin, .part = true};
  }
}

void read_tensors(PickleReader member, Objects& objects) {
  for (std::int64_t left = member.next_count(); left > 0; --left) {
    const Description description = next_description(member, Global::tensor_type);
    const std::string key = key_of(description.part(0), member.what());
    const std::string storage = key_of(description.part(1), member.what());
    const auto found = objects.storages.find(storage);
    DERMATOME_CHECK(found != objects.storages.end(), "{}: a tensor belongs to no storage", member.what());
    const auto axes = member.number<std::int32_t>();
    member.take(4, 1);  // padding
    DERMATOME_CHECK(axes >= 0 && axes <= Shape::kMaxRank, "{}: a tensor has {} axes; {} is the most", member.what(),
                    axes, Shape::kMaxRank);
    StridedView view{.type = found->second.type};
    view.sizes = member.numbers(static_cast<std::size_t>(axes));
    view.strides = member.numbers(static_cast<std::size_t>(axes));
    view.offset = member.number<std::int64_t>();
    check_view(view, found->second.count, member.what() + ": a tensor");
    objects.tensors[key] = {storage, std::move(view)};
  }
}

Value load_object(Document& document, const Value& id, const Objects& objects, const std::string& file) {
  const std::string key = key_of(id, file);
  if (const auto storage = objects.storages.find(key); storage != objects.storages.end())
    return document.add(storage->second);
  const auto tensor = objects.tensors.find(key);
  DERMATOME_CHECK(tensor != objects.tensors.end(), "{}: the pickle refers to an object that is not in the file", file);
  const auto& [storage, view] = tensor->second;
  const Value base = document.add(objects.storages.at(storage));
  return document.add(pickle::TensorOfStorage{.storage = static_cast<std::size_t>(base.integer), .view = view});
}

}  // namespace

PytorchFile read_pytorch_tar(std::span<const std::byte> bytes, const std::string& file) {
  const auto members = read_tar(bytes, file);
  check_little_endian(member_of(members, "sys_info", file).next(), file);
  Objects objects;
  read_storages(member_of(members, "storages", file), objects);
  read_tensors(member_of(members, "tensors", file), objects);
  const auto contents = members.find("pickle");
  DERMATOME_CHECK(contents != members.end(), "{}: the TAR archive has no member 'pickle'", file);
  auto read = pickle::unpickle(contents->second, file, [&](Document& document, const Value& id) {
    return load_object(document, id, objects, file);
  });
  return {
      .document = std::move(read.document), .root = read.root, .storage_bytes = by_key(std::move(objects.bytes), file)};
}

}  // namespace dermatome
