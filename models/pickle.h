// A restricted unpickler: the values that a checkpoint of PyTorch is made of, and nothing else. A pickle is a program
// that may name any function for Python to call; here only these exist: OrderedDict, storages, tensors of them,
// Parameter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/element_type.h"

namespace dermatome::pickle {

enum class Kind : std::uint8_t {
  none,
  boolean,  // integer: 0 or 1
  integer,
  large_integer,  // text: little-endian two's complement of more than 8 bytes
  real,
  text,
  list,
  tuple,
  dictionary,  // items: key, value, key, value, ...
  global,      // integer: one of Global; a storage or tensor type has its ElementType in `element`
  storage,     // integer: index into Document::storages
  tensor,      // integer: index into Document::tensors
  empty_parameter,
};

enum class Global : std::uint8_t {
  ordered_dict,
  rebuild_tensor,
  rebuild_tensor_v2,
  rebuild_parameter,
  parameter,
  storage_type,
  tensor_type,
};

// Values live in their document and name each other by number, so that neither cycles nor depth cost anything.
using Id = std::uint32_t;

struct Value {
  Kind kind = Kind::none;
  ElementType element = ElementType::f32;
  std::int64_t integer = 0;
  double real = 0;
  std::string_view text;  // into the bytes that were read
  std::vector<Id> items;
};

struct Storage {
  std::string key;
  ElementType type = ElementType::f32;
  std::int64_t count = 0;  // elements; as the pickle says
  std::int64_t begin = 0;  // of a part: its first element in the storage of that key
  bool part = false;
};

struct TensorOfStorage {
  std::size_t storage = 0;  // index into Document::storages
  StridedView view;         // was checked against the storage's count
};

struct Document {
  std::vector<Value> values;
  std::vector<Storage> storages;
  std::vector<TensorOfStorage> tensors;

  const Value& operator[](Id id) const { return values[id]; }
  // Each gives the value that stands for what was added.
  Value add(Storage storage);
  Value add(TensorOfStorage tensor);
};

std::string_view name_of(Kind kind);  // "a list"
// For messages: control characters and what is beyond 80 bytes replaced.
std::string printable(std::string_view text);

// What a persistent id stands for; may add storages and tensors to the document.
using PersistentLoader = std::function<Value(Document&, const Value& id)>;

struct Pickle {
  Document document;
  Id root = 0;
  std::size_t length = 0;  // bytes that it takes

  const Value& value() const { return document[root]; }
};

// Reads the pickle (protocol 2 to 5) at the start of `bytes`, which the document refers to. No length is believed
// before it is checked against the bytes that are there. Throws Error, one sentence with `what` in front, that names
// the opcode or global which is refused. Without a loader persistent ids are refused too.
Pickle unpickle(std::span<const std::byte> bytes, const std::string& what, const PersistentLoader& loader = {});

}  // namespace dermatome::pickle
