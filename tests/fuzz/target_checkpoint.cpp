// Checkpoints of PyTorch. In a zip archive a checksum keeps changed pickles from being read, so the bytes are tried as
// a pickle as well.
#include "engine/core/error.h"
#include "models/pytorch_file.h"
#include "models/weight_file.h"
#include "tests/fuzz/targets.h"

namespace dermatome::fuzz {

void checkpoint(std::span<const std::byte> bytes) {
  try {
    parse_weights(bytes, "fuzz.pth");
  } catch (const Error&) {  // refused
  }
  try {
    pickle::unpickle(bytes, "fuzz.pkl", [](pickle::Document& document, const pickle::Value& id) {
      return load_storage(document, id, "fuzz.pkl");
    });
  } catch (const Error&) {
  }
}

}  // namespace dermatome::fuzz
