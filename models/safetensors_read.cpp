// Reading safetensors files into tensors.
#include <cstring>
#include <future>
#include <limits>
#include <map>

#include "models/element_type.h"
#include "models/file.h"
#include "models/safetensors.h"
#include "models/safetensors_header.h"

namespace dermatome {
namespace {

using safetensors::Entry;
using safetensors::Header;

DType type_in_memory(const Entry& entry, const std::string& file) {
  static const std::map<std::string, DType> types{{"F32", DType::f32}, {"F64", DType::f64},   {"F16", DType::f32},
                                                  {"U8", DType::u8},   {"BF16", DType::bf16}, {"I32", DType::i32},
                                                  {"I64", DType::i32}};
  const auto found = types.find(entry.type);
  DERMATOME_CHECK(found != types.end(),
                  "{}: tensor '{}' has the type {}; F32, F64, F16, BF16, U8, I32 and I64 are read", file, entry.name,
                  entry.type);
  return found->second;
}

// The i-th number at `data`, which need not be aligned.
template <typename T>
T number_at(const std::byte* data, std::size_t i) {
  T value;
  std::memcpy(&value, data + i * sizeof(T), sizeof(T));
  return value;
}

Tensor tensor_of_entry(const Entry& entry, const std::byte* data, const std::string& file) {
  const Tensor tensor({type_in_memory(entry, file), entry.shape});
  if (entry.type == "F16") {
    const auto values = tensor.as<float>();
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = widen_half(number_at<std::uint16_t>(data, i));
  } else if (entry.type == "I64") {
    const auto values = tensor.as<std::int32_t>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto value = number_at<std::int64_t>(data, i);
      values[i] = static_cast<std::int32_t>(value);
      DERMATOME_CHECK(values[i] == value, "{}: tensor '{}' holds {}, which is too large for 32 bits", file, entry.name,
                      value);
    }
  } else if (entry.end > entry.begin) {
    std::memcpy(tensor.data(), data, entry.end - entry.begin);
  }
  return tensor;
}

void check_integrity(std::span<const std::byte> bytes, const Header& header, Integrity integrity,
                     const std::string& file) {
  DERMATOME_CHECK(integrity == Integrity::optional || header.metadata.contains(safetensors::kChecksumKey),
                  "{}: the file has no checksum, so it is no checkpoint", file);
  safetensors::check_checksum(bytes, header, file);
}

}  // namespace

const Tensor* TensorFile::find(std::string_view name) const {
  for (const auto& [known, tensor] : tensors) {
    if (known == name) return &tensor;
  }
  return nullptr;
}

TensorFile read_safetensors(const std::filesystem::path& path, Integrity integrity, const WantedTensor& wanted) {
  const MappedFile mapped(path);
  return parse_safetensors(mapped.bytes(), path.string(), integrity, wanted);
}

TensorFile parse_safetensors(std::span<const std::byte> bytes, const std::string& file, Integrity integrity,
                             const WantedTensor& wanted) {
  Header header = safetensors::parse_header(bytes, file);
  // Beside the copying below: on one core after the other each takes a quarter of the start of a prediction.
  auto integrity_checked = std::async(std::launch::async, [&] { check_integrity(bytes, header, integrity, file); });
  TensorFile contents;
  for (const Entry& entry : header.entries) {
    if (wanted && !wanted(entry.name)) continue;
    contents.tensors.emplace_back(entry.name,
                                  tensor_of_entry(entry, bytes.data() + header.data_begin + entry.begin, file));
  }
  integrity_checked.get();
  contents.metadata = std::move(header.metadata);
  contents.metadata.erase(safetensors::kChecksumKey);
  return contents;
}

}  // namespace dermatome
