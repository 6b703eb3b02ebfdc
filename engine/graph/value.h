// Value: a handle to one tensor of a Graph.
#pragma once

namespace dermatome {

// Produced once, by a node, an input or a state (static single assignment). Absent where `id` is negative.
struct Value {
  int id = -1;
  explicit operator bool() const { return id >= 0; }
  friend bool operator==(Value, Value) = default;
};

}  // namespace dermatome
