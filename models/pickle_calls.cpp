// The meaning of calls in pickles, as torch/_utils.py and torch/nn/parameter.py have it.
#include "models/pickle_calls.h"

#include <array>

#include "engine/core/error.h"

namespace dermatome::pickle {
namespace {

struct TypePrefix {
  std::string_view prefix;  // of "FloatStorage" and "FloatTensor"
  ElementType type;
};
constexpr std::array<TypePrefix, 10> kTypePrefixes{{{"Double", ElementType::f64},
                                                    {"Float", ElementType::f32},
                                                    {"Half", ElementType::f16},
                                                    {"BFloat16", ElementType::bf16},
                                                    {"Long", ElementType::i64},
                                                    {"Int", ElementType::i32},
                                                    {"Short", ElementType::i16},
                                                    {"Char", ElementType::i8},
                                                    {"Byte", ElementType::u8},
                                                    {"Bool", ElementType::boolean}}};

Value global_value(Global global, ElementType element = ElementType::f32) {
  Value value;
  value.kind = Kind::global;
  value.element = element;
  value.integer = static_cast<std::int64_t>(global);
  return value;
}

std::optional<Value> find_type(std::string_view name) {
  for (const auto& [prefix, type] : kTypePrefixes) {
    if (!name.starts_with(prefix)) continue;
    if (name.substr(prefix.size()) == "Storage") return global_value(Global::storage_type, type);
    if (name.substr(prefix.size()) == "Tensor") return global_value(Global::tensor_type, type);
  }
  return std::nullopt;
}

// Views arguments as positional ones of the kinds that a function needs.
class Arguments {
 public:
  Arguments(const Document& document, const Value& tuple, std::string what)
      : document_(document), what_(std::move(what)), items_(tuple.items) {
    DERMATOME_CHECK(tuple.kind == Kind::tuple, "{}: it is called with {} instead of arguments", what_,
                    name_of(tuple.kind));
  }

  std::size_t count() const { return items_.size(); }
  void need(std::size_t least, std::size_t most) const {
    DERMATOME_CHECK(items_.size() >= least && items_.size() <= most, "{}: it is called with {} arguments", what_,
                    items_.size());
  }
  const Value& at(std::size_t i, Kind kind) const {
    const Value& value = document_[items_[i]];
    DERMATOME_CHECK(value.kind == kind, "{}: argument {} is {} instead of {}", what_, i + 1, name_of(value.kind),
                    name_of(kind));
    return value;
  }
  std::vector<std::int64_t> integers(std::size_t i) const {
    std::vector<std::int64_t> numbers;
    for (const Id id : at(i, Kind::tuple).items) {
      DERMATOME_CHECK(document_[id].kind == Kind::integer, "{}: argument {} holds {} instead of integers", what_, i + 1,
                      name_of(document_[id].kind));
      numbers.push_back(document_[id].integer);
    }
    return numbers;
  }

 private:
  const Document& document_;
  std::string what_;
  const std::vector<Id>& items_;
};

// _rebuild_tensor(storage, offset, size, stride); v2 adds requires_grad, backward_hooks and perhaps metadata.
Value rebuild_tensor(Document& document, const Value& tuple, const std::string& what) {
  const Arguments arguments(document, tuple, what);
  arguments.need(4, 7);
  const auto storage = static_cast<std::size_t>(arguments.at(0, Kind::storage).integer);
  TensorOfStorage tensor{.storage = storage,
                         .view = {.type = document.storages[storage].type,
                                  .offset = arguments.at(1, Kind::integer).integer,
                                  .sizes = arguments.integers(2),
                                  .strides = arguments.integers(3)}};
  check_view(tensor.view, document.storages[storage].count, what + ": a tensor");
  return document.add(std::move(tensor));
}

// Parameter(data=None, requires_grad=True), and _rebuild_parameter(data, requires_grad, backward_hooks).
Value parameter(const Document& document, const Value& tuple, const std::string& what) {
  const Arguments arguments(document, tuple, what);
  arguments.need(0, 3);
  if (arguments.count() > 0) return arguments.at(0, Kind::tensor);
  Value value;
  value.kind = Kind::empty_parameter;
  return value;
}

// OrderedDict(), and OrderedDict([[key, value], ...]) as Python 2 pickles it.
Value ordered_dict(const Document& document, const Value& tuple, const std::string& what) {
  const Arguments arguments(document, tuple, what);
  arguments.need(0, 1);
  Value dictionary;
  dictionary.kind = Kind::dictionary;
  if (arguments.count() == 0) return dictionary;
  for (const Id id : arguments.at(0, Kind::list).items) {
    const Value& pair = document[id];
    DERMATOME_CHECK((pair.kind == Kind::list || pair.kind == Kind::tuple) && pair.items.size() == 2,
                    "{}: it is called with something other than pairs", what);
    dictionary.items.insert(dictionary.items.end(), pair.items.begin(), pair.items.end());
  }
  return dictionary;
}

}  // namespace

std::optional<Value> find_global(std::string_view module, std::string_view name) {
  if (module == "collections" && name == "OrderedDict") return global_value(Global::ordered_dict);
  if (module == "torch._utils") {
    if (name == "_rebuild_tensor") return global_value(Global::rebuild_tensor);
    if (name == "_rebuild_tensor_v2") return global_value(Global::rebuild_tensor_v2);
    if (name == "_rebuild_parameter") return global_value(Global::rebuild_parameter);
  }
  if (module == "torch.nn.parameter" && name == "Parameter") return global_value(Global::parameter);
  if (module == "torch" || module == "torch.cuda") return find_type(name);
  return std::nullopt;
}

Value call(Document& document, const Value& callee, const Value& arguments, const std::string& what) {
  DERMATOME_CHECK(callee.kind == Kind::global, "{}: the pickle calls {}", what, name_of(callee.kind));
  switch (static_cast<Global>(callee.integer)) {
    case Global::ordered_dict: return ordered_dict(document, arguments, what + ": OrderedDict");
    case Global::rebuild_tensor: return rebuild_tensor(document, arguments, what + ": _rebuild_tensor");
    case Global::rebuild_tensor_v2: return rebuild_tensor(document, arguments, what + ": _rebuild_tensor_v2");
    case Global::rebuild_parameter: return parameter(document, arguments, what + ": _rebuild_parameter");
    case Global::parameter: return parameter(document, arguments, what + ": Parameter");
    case Global::storage_type:
    case Global::tensor_type: break;
  }
  fail("{}: the pickle makes a storage or tensor by itself, which checkpoints do not", what);
}

Value value_of_state(const Document& document, const Value& object, const Value& state, const std::string& what) {
  DERMATOME_CHECK(object.kind == Kind::empty_parameter, "{}: the pickle sets attributes of {}", what,
                  name_of(object.kind));
  // Variable's state in torch 0.1: (data, creator, hooks, requires_grad, volatile).
  DERMATOME_CHECK(state.kind == Kind::tuple && state.items.size() == 5 && document[state.items[0]].kind == Kind::tensor,
                  "{}: the pickle holds a Parameter without a tensor", what);
  return document[state.items[0]];
}

}  // namespace dermatome::pickle
