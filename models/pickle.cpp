// The machine that a pickle is a program for (Python's Lib/pickletools.py describes it), with everything left out that
// checkpoints do without.
#include "models/pickle.h"

#include <bit>
#include <cstring>
#include <unordered_map>

#include "engine/core/error.h"
#include "models/pickle_calls.h"
#include "models/pickle_opcodes.h"

namespace dermatome::pickle {
namespace {

// A value takes some 80 bytes, an opcode one: this bounds what a file of any size can ask for. ResNet34 needs 5000.
constexpr std::size_t kMostValues = 2'000'000;

class Unpickler {
 public:
  Unpickler(std::span<const std::byte> bytes, const std::string& what, const PersistentLoader& loader)
      : bytes_(bytes), what_(what), loader_(loader) {}

  Pickle run() {
    while (true) {
      opcode_at_ = at_;
      const auto code = static_cast<std::uint8_t>(take(1)[0]);
      if (code == kStop) break;
      if (!push_constant(code) && !push_container(code) && !change(code) && !remember(code)) refuse(code);
    }
    const Id root = pop();
    return {.document = std::move(document_), .root = root, .length = at_};
  }

 private:
  template <typename... Args>
  [[noreturn]] void broken(fmt::format_string<Args...> format, Args&&... args) const {
    fail("{}: the pickle is damaged at its byte {}: {}", what_, opcode_at_,
         fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void refuse(std::uint8_t code) const {
    fail(
        "{}: the pickle's opcode {} at its byte {} is refused: a checkpoint holds tensors, dictionaries, numbers and "
        "texts",
        what_, name_of_opcode(code), opcode_at_);
  }

  // --- the bytes ---
  std::span<const std::byte> take(std::uint64_t count) {
    if (count > bytes_.size() - at_) broken("{} bytes are wanted and {} are left", count, bytes_.size() - at_);
    const auto taken = bytes_.subspan(at_, static_cast<std::size_t>(count));
    at_ += taken.size();
    return taken;
  }
  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string_view text(std::uint64_t length) {
    const auto taken = take(length);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }
  std::string_view line() {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_, bytes_.size() - at_);
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) broken("a name does not end");
    at_ += end + 1;
    return rest.substr(0, end);
  }

  // --- the stack ---
  void push(Value value) {
    if (document_.values.size() >= kMostValues) broken("it holds more than {} values", kMostValues);
    stack_.push_back(static_cast<Id>(document_.values.size()));
    document_.values.push_back(std::move(value));
  }
  void push(Kind kind, std::int64_t integer = 0, std::string_view words = {}) {
    Value value;
    value.kind = kind;
    value.integer = integer;
    value.text = words;
    push(std::move(value));
  }
  void push_items(Kind kind, std::vector<Id> items) {
    Value value;
    value.kind = kind;
    value.items = std::move(items);
    push(std::move(value));
  }
  std::size_t bottom() const { return marks_.empty() ? 0 : marks_.back(); }
  Id pop() {
    if (stack_.size() <= bottom()) broken("a value is wanted and none is there");
    const Id id = stack_.back();
    stack_.pop_back();
    return id;
  }
  Value& top() {
    if (stack_.size() <= bottom()) broken("a value is wanted and none is there");
    return document_.values[stack_.back()];
  }
  std::vector<Id> pop_to_mark() {
    if (marks_.empty()) broken("a mark is wanted and none is there");
    std::vector<Id> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  std::vector<Id> pop_several(std::size_t count) {
    std::vector<Id> items(count);
    while (count > 0) items[--count] = pop();
    return items;
  }

  // --- opcodes, by family; false: another family's ---
  bool push_constant(std::uint8_t code) {
    switch (code) {
      case kNone: push(Kind::none); return true;
      case kNewTrue: push(Kind::boolean, 1); return true;
      case kNewFalse: push(Kind::boolean, 0); return true;
      case kBinInt: push(Kind::integer, number<std::int32_t>()); return true;
      case kBinInt1: push(Kind::integer, number<std::uint8_t>()); return true;
      case kBinInt2: push(Kind::integer, number<std::uint16_t>()); return true;
      case kLong1: push_long(); return true;
      case kBinFloat: push_float(); return true;
      case kBinString: push(Kind::text, 0, text(number<std::uint32_t>())); return true;
      case kShortBinString: push(Kind::text, 0, text(number<std::uint8_t>())); return true;
      case kBinUnicode: push(Kind::text, 0, text(number<std::uint32_t>())); return true;
      case kShortBinUnicode: push(Kind::text, 0, text(number<std::uint8_t>())); return true;
      case kBinUnicode8: push(Kind::text, 0, text(number<std::uint64_t>())); return true;
      default: return false;
    }
  }

  bool push_container(std::uint8_t code) {
    switch (code) {
      case kMark: marks_.push_back(stack_.size()); return true;
      case kEmptyDict: push(Kind::dictionary); return true;
      case kEmptyList: push(Kind::list); return true;
      case kEmptyTuple: push(Kind::tuple); return true;
      case kTuple1: push_items(Kind::tuple, pop_several(1)); return true;
      case kTuple2: push_items(Kind::tuple, pop_several(2)); return true;
      case kTuple3: push_items(Kind::tuple, pop_several(3)); return true;
      case kTuple: push_items(Kind::tuple, pop_to_mark()); return true;
      case kList: push_items(Kind::list, pop_to_mark()); return true;
      case kDict: {
        auto items = pop_to_mark();
        push(Kind::dictionary);
        extend(Kind::dictionary, items);
        return true;
      }
      default: return false;
    }
  }

  bool change(std::uint8_t code) {
    switch (code) {
      case kProto: check_protocol(); return true;
      case kFrame: take_frame(); return true;
      case kPop: pop_one(); return true;
      case kPopMark: pop_to_mark(); return true;
      case kAppend: extend(Kind::list, pop_several(1)); return true;
      case kAppends: extend(Kind::list, pop_to_mark()); return true;
      case kSetItem: extend(Kind::dictionary, pop_several(2)); return true;
      case kSetItems: extend(Kind::dictionary, pop_to_mark()); return true;
      case kGlobal: push_global(); return true;
      case kStackGlobal: push_stack_global(); return true;
      case kReduce:
      case kNewObj: apply(); return true;
      case kBuild: set_state(); return true;
      case kBinPersId: load_persistent(); return true;
      default: return false;
    }
  }

  bool remember(std::uint8_t code) {
    switch (code) {
      case kBinPut: put(number<std::uint8_t>()); return true;
      case kLongBinPut: put(number<std::uint32_t>()); return true;
      case kMemoize: put(static_cast<std::uint32_t>(memo_.size())); return true;
      case kBinGet: get(number<std::uint8_t>()); return true;
      case kLongBinGet: get(number<std::uint32_t>()); return true;
      default: return false;
    }
  }

  void check_protocol() {
    const int protocol = number<std::uint8_t>();
    if (protocol < 2 || protocol > 5) {
      fail("{}: the pickle is of protocol {}; 2 to 5 can be read", what_, protocol);
    }
  }
  void take_frame() {
    const auto length = number<std::uint64_t>();
    if (length > bytes_.size() - at_) broken("a frame of {} bytes, {} are left", length, bytes_.size() - at_);
  }
  void push_long() {
    const std::size_t length = number<std::uint8_t>();
    const std::string_view digits = text(length);
    if (length > sizeof(std::int64_t)) {
      push(Kind::large_integer, 0, digits);
      return;
    }
    const bool negative = length > 0 && (static_cast<unsigned char>(digits.back()) & 0x80u) != 0;
    std::int64_t value = negative ? -1 : 0;
    std::memcpy(&value, digits.data(), length);
    push(Kind::integer, value);
  }
  void push_float() {  // big-endian, unlike everything else
    std::uint64_t bits = 0;
    for (const std::byte byte : take(sizeof(bits))) bits = bits << 8 | static_cast<std::uint64_t>(byte);
    Value value;
    value.kind = Kind::real;
    value.real = std::bit_cast<double>(bits);
    push(std::move(value));
  }
  void pop_one() {
    if (!marks_.empty() && stack_.size() == marks_.back()) {
      marks_.pop_back();
    } else {
      pop();
    }
  }
  void extend(Kind kind, const std::vector<Id>& items) {
    Value& container = top();
    if (container.kind != kind) broken("{} is wanted and {} is there", name_of(kind), name_of(container.kind));
    if (kind == Kind::dictionary && items.size() % 2 != 0) broken("a key has no value");
    container.items.insert(container.items.end(), items.begin(), items.end());
  }

  void push_named(std::string_view module, std::string_view name) {
    auto value = find_global(module, name);
    DERMATOME_CHECK(value.has_value(),
                    "{}: the pickle asks for {}.{}, which is refused: only dictionaries of tensors are read "
                    "(in Python: torch.save(model.state_dict(), FILE))",
                    what_, printable(module), printable(name));
    push(*std::move(value));
  }
  void push_global() {
    const std::string_view module = line();
    push_named(module, line());
  }
  void push_stack_global() {
    const auto names = pop_several(2);
    const Value& module = document_[names[0]];
    const Value& name = document_[names[1]];
    if (module.kind != Kind::text || name.kind != Kind::text) broken("the name of a global is no text");
    push_named(module.text, name.text);
  }
  void apply() {
    const auto operands = pop_several(2);
    // Copies: the document may grow.
    const Value callee = document_[operands[0]];
    const Value arguments = document_[operands[1]];
    // One list may be the argument of many calls that copy it.
    if (arguments.items.size() == 1) copied_ += document_[arguments.items[0]].items.size();
    if (copied_ > kMostValues) broken("it holds more than {} values", kMostValues);
    push(call(document_, callee, arguments, what_));
  }
  void set_state() {
    const Id state = pop();
    const Value& object = top();
    if (object.kind == Kind::dictionary || object.kind == Kind::tensor) return;  // attributes, hooks
    Value whole = value_of_state(document_, object, document_[state], what_);
    top() = std::move(whole);
  }
  void load_persistent() {
    if (!loader_) refuse(kBinPersId);
    const Value id = document_[pop()];
    push(loader_(document_, id));
  }

  void put(std::uint32_t slot) {
    top();  // that there is one
    memo_[slot] = stack_.back();
  }
  void get(std::uint32_t slot) {
    const auto found = memo_.find(slot);
    if (found == memo_.end()) broken("nothing was remembered as {}", slot);
    if (stack_.size() >= kMostValues) broken("it holds more than {} values", kMostValues);
    stack_.push_back(found->second);
  }

  std::span<const std::byte> bytes_;
  const std::string& what_;
  const PersistentLoader& loader_;
  std::size_t at_ = 0;
  std::size_t opcode_at_ = 0;
  std::size_t copied_ = 0;
  Document document_;
  std::vector<Id> stack_;
  std::vector<std::size_t> marks_;  // sizes of the stack
  std::unordered_map<std::uint32_t, Id> memo_;
};

}  // namespace

Value Document::add(Storage storage) {
  Value value;
  value.kind = Kind::storage;
  value.integer = static_cast<std::int64_t>(storages.size());
  storages.push_back(std::move(storage));
  return value;
}

Value Document::add(TensorOfStorage tensor) {
  Value value;
  value.kind = Kind::tensor;
  value.integer = static_cast<std::int64_t>(tensors.size());
  tensors.push_back(std::move(tensor));
  return value;
}

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::none: return "None";
    case Kind::boolean: return "a truth value";
    case Kind::integer:
    case Kind::large_integer: return "an integer";
    case Kind::real: return "a number";
    case Kind::text: return "a text";
    case Kind::list: return "a list";
    case Kind::tuple: return "a tuple";
    case Kind::dictionary: return "a dictionary";
    case Kind::global: return "a function";
    case Kind::storage: return "a storage";
    case Kind::tensor: return "a tensor";
    case Kind::empty_parameter: return "an empty parameter";
  }
  return "";
}

std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  std::string shown(text.substr(0, kLongest));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text.size() > kLongest ? shown + "..." : shown;
}

Pickle unpickle(std::span<const std::byte> bytes, const std::string& what, const PersistentLoader& loader) {
  return Unpickler(bytes, what, loader).run();
}

}  // namespace dermatome::pickle
