// Typed access to the operands and attributes of a Call, for every device.
#pragma once

#include <cstdint>

#include "engine/compile/call.h"
#include "kernels/launch/host_device.h"

namespace dermatome::launch {

template <typename T>
DERMATOME_HD const T* in(const Call& call, int i) {
  return static_cast<const T*>(call.inputs[i].data);
}
template <typename T>
DERMATOME_HD T* out(const Call& call, int i) {
  return static_cast<T*>(call.outputs[i].data);
}
DERMATOME_HD std::int64_t integer(const Call& call, int attribute) {
  return call.attributes[attribute].integer;
}
DERMATOME_HD double real(const Call& call, int attribute) {
  return call.attributes[attribute].real;
}

}  // namespace dermatome::launch
