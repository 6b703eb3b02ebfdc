// Safetensors: named tensors and a map of texts in one file (https://github.com/huggingface/safetensors, "Format").
// Weight files and checkpoints are such files, so that Python reads them without our help.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/tensor.h"

namespace dermatome {

struct TensorFile {
  std::map<std::string, std::string> metadata;
  std::vector<std::pair<std::string, Tensor>> tensors;

  // Null when there is none of that name.
  const Tensor* find(std::string_view name) const;
};

// Whether a file vouches for itself: metadata "dermatome.checksum" over all its bytes but that value's own.
enum class Integrity : std::uint8_t {
  optional,  // writing: without; reading: checked where present
  required,  // writing: with; reading: a file without one is refused
};

// Tensors in host memory, in the order of the data. F32, F64, BF16, U8 and I32 as they are, F16 as f32, I64 as i32
// where all values fit. The checksum is no part of the metadata handed out. Throws Error, one sentence naming the file:
// missing or unreadable, cut short, a header that is no such header, types other than these, more than 5 axes, sizes
// that contradict shapes, overlaps, gaps, two tensors of one name, a checksum that does not match.
// `wanted`: tensors of which it says no are checked but not read; empty: all are.
using WantedTensor = std::function<bool(const std::string& name)>;
TensorFile read_safetensors(const std::filesystem::path& path, Integrity integrity = Integrity::optional,
                            const WantedTensor& wanted = {});
// The same for a file's bytes, which messages call `file`.
TensorFile parse_safetensors(std::span<const std::byte> bytes, const std::string& file, Integrity integrity,
                             const WantedTensor& wanted = {});

// Tensors from any device. Larger element types come first, so that all data is aligned; apart from that the order
// stays. The file is replaced as a whole or not at all (see replace_file). Throws Error: two tensors of one name, an
// undefined tensor, a name or text that is not UTF-8, a file that cannot be written.
void write_safetensors(const std::filesystem::path& path, const TensorFile& contents,
                       Integrity integrity = Integrity::optional);

}  // namespace dermatome
