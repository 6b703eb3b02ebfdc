// What the few functions and classes mean that a pickle may name.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "models/pickle.h"

namespace dermatome::pickle {

// The value of "torch._utils", "_rebuild_tensor_v2"; empty for whatever is not allowed.
std::optional<Value> find_global(std::string_view module, std::string_view name);

// callee(*arguments), by REDUCE or NEWOBJ. Throws Error with `what` in front.
Value call(Document& document, const Value& callee, const Value& arguments, const std::string& what);

// What BUILD makes of a parameter without data, as torch 0.1 pickles it: the tensor in its state. Throws Error with
// `what` in front for anything else.
Value value_of_state(const Document& document, const Value& object, const Value& state, const std::string& what);

}  // namespace dermatome::pickle
