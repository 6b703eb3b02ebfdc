// Safetensors, as weights and as a checkpoint.
#include "engine/core/error.h"
#include "models/safetensors.h"
#include "models/weight_file.h"
#include "tests/fuzz/targets.h"

namespace dermatome::fuzz {

void safetensors(std::span<const std::byte> bytes) {
  for (const Integrity integrity : {Integrity::optional, Integrity::required}) {
    try {
      parse_safetensors(bytes, "fuzz.safetensors", integrity);
    } catch (const Error&) {  // refused
    }
  }
  try {
    parse_weights(bytes, "fuzz.safetensors");
  } catch (const Error&) {
  }
}

}  // namespace dermatome::fuzz
