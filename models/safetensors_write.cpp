// Writing tensors as safetensors files.
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "models/file.h"
#include "models/safetensors.h"
#include "models/safetensors_header.h"

namespace dermatome {
namespace {

using Json = nlohmann::ordered_json;
using Named = std::pair<std::string, Tensor>;

const char* type_in_file(DType type) {
  switch (type) {
    case DType::f32: return "F32";
    case DType::bf16: return "BF16";
    case DType::f64: return "F64";
    case DType::u8: return "U8";
    case DType::i32: return "I32";
  }
  return "";
}

// In host memory, larger elements first: with a header of whole words every tensor then lies at a multiple of its
// element.
std::vector<Named> in_file_order(const std::vector<Named>& tensors, const std::string& file) {
  std::set<std::string_view> names;
  std::vector<Named> ordered;
  for (const auto& [name, tensor] : tensors) {
    DERMATOME_CHECK(names.insert(name).second, "cannot write {}: two tensors are named '{}'", file, name);
    DERMATOME_CHECK(name != safetensors::kMetadataKey, "cannot write {}: no tensor can be named '{}'", file, name);
    DERMATOME_CHECK(tensor.defined(), "cannot write {}: tensor '{}' is undefined", file, name);
    ordered.emplace_back(name, tensor.to({DeviceKind::cpu, 0}));
  }
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const Named& a, const Named& b) { return size_of(a.second.type()) > size_of(b.second.type()); });
  return ordered;
}

// Length, JSON, and spaces up to a whole word.
std::vector<std::byte> header_of(const std::map<std::string, std::string>& metadata, const std::vector<Named>& tensors,
                                 const std::string& file) {
  Json json = Json::object();
  if (!metadata.empty()) json[safetensors::kMetadataKey] = metadata;
  std::size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto extents = tensor.shape().extents();
    json[name] = {{"dtype", type_in_file(tensor.type())},
                  {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
                  {"data_offsets", {offset, offset + tensor.bytes()}}};
    offset += tensor.bytes();
  }
  std::string text;
  try {
    text = json.dump();
  } catch (const Json::exception&) {
    fail("cannot write {}: a name or a metadata text is not UTF-8", file);
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  DERMATOME_CHECK(text.size() <= safetensors::kLongestHeader,
                  "cannot write {}: its header would have {} bytes, more than {}", file, text.size(),
                  safetensors::kLongestHeader);
  const std::uint64_t length = text.size();
  std::vector<std::byte> header(safetensors::kLengthBytes + text.size());
  std::memcpy(header.data(), &length, sizeof(length));
  std::memcpy(header.data() + safetensors::kLengthBytes, text.data(), text.size());
  return header;
}

void put_checksum(std::vector<std::byte>& header, std::span<const std::span<const std::byte>> data) {
  Checksum sum = safetensors::checksum_of_header(header);
  for (const auto part : data) sum.add(part);
  const std::string digits = fmt::format("{:016x}", sum.value());
  std::memcpy(header.data() + *safetensors::checksum_position(header), digits.data(), digits.size());
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const TensorFile& contents, Integrity integrity) {
  const std::vector<Named> tensors = in_file_order(contents.tensors, path.string());
  auto metadata = contents.metadata;
  metadata.erase(safetensors::kChecksumKey);
  const bool sealed = integrity == Integrity::required;
  if (sealed) metadata[safetensors::kChecksumKey] = std::string(safetensors::kChecksumDigits, '0');

  std::vector<std::byte> header = header_of(metadata, tensors, path.string());
  std::vector<std::span<const std::byte>> parts{header};
  for (const auto& [name, tensor] : tensors) parts.emplace_back(tensor.data(), tensor.bytes());
  if (sealed) put_checksum(header, std::span(parts).subspan(1));
  replace_file(path, parts);
}

}  // namespace dermatome
