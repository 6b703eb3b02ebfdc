// Finding the weights in files of any kind.
#include "models/weight_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>

#include "engine/core/error.h"
#include "models/file.h"
#include "models/pytorch_file.h"
#include "models/safetensors_header.h"
#include "models/weight_names.h"

namespace dermatome {
namespace {

using pickle::Id;
using pickle::Kind;
using pickle::Value;

constexpr const char* kNoNumbers = "no floating-point numbers";
constexpr const char* kTooCoarse = "numbers of 8 bits, which are no weights without their scale";
constexpr const char* kOptimizer = "state of the optimiser";
constexpr const char* kAverages = "moving average of a weight";

// Checkpoints hold each weight once or twice; a small file must not ask for any amount of memory by naming one storage
// again and again.
class Budget {
 public:
  Budget(std::size_t file_bytes, const std::string& file) : left_(8 * file_bytes), file_(file) {}
  void spend(const std::vector<std::int64_t>& sizes) {
    std::size_t bytes = sizeof(float);
    for (const auto size : sizes) bytes *= static_cast<std::size_t>(size);
    DERMATOME_CHECK(bytes <= left_, "{}: the tensors would be more than eight times as large as the file", file_);
    left_ -= bytes;
  }

 private:
  std::size_t left_;
  const std::string& file_;
};

Weight weight_named(std::string_view key, const std::string& file) {
  DERMATOME_CHECK(pickle::printable(key) == key, "{}: a tensor's name is too long or holds control characters: '{}'",
                  file, pickle::printable(key));
  return {.key = std::string(key),
          .name = canonical_weight_name(key),
          .type = {},
          .shape = {},
          .tensor = {},
          .left_out = {}};
}

// --- PyTorch ---

bool holds_tensors(const pickle::Document& document, const Value& dictionary) {
  for (std::size_t i = 1; i < dictionary.items.size(); i += 2) {
    if (document[dictionary.items[i]].kind == Kind::tensor) return true;
  }
  return false;
}

const Value* entry_of(const pickle::Document& document, const Value& dictionary, std::string_view key) {
  for (std::size_t i = 0; i + 1 < dictionary.items.size(); i += 2) {
    const Value& name = document[dictionary.items[i]];
    if (name.kind == Kind::text && name.text == key) return &document[dictionary.items[i + 1]];
  }
  return nullptr;
}

std::string keys_of(const pickle::Document& document, const Value& dictionary) {
  constexpr std::size_t kMost = 6;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < dictionary.items.size() && keys.size() < kMost; i += 2) {
    const Value& key = document[dictionary.items[i]];
    keys.push_back(key.kind == Kind::text ? pickle::printable(key.text) : std::string(pickle::name_of(key.kind)));
  }
  return keys.empty() ? "nothing" : fmt::format("{}", fmt::join(keys, ", "));
}

// The dictionary of tensors, which the file's own one may wrap.
const Value& state_dict_of(const pickle::Document& document, const Value& root, const std::string& file) {
  constexpr int kDeepest = 3;
  const Value* value = &root;
  for (int depth = 0; depth < kDeepest; ++depth) {
    DERMATOME_CHECK(value->kind == Kind::dictionary, "{}: the file holds {} instead of a dictionary of tensors", file,
                    pickle::name_of(value->kind));
    if (holds_tensors(document, *value)) return *value;
    const Value* inner = nullptr;
    for (const char* key : {"state_dict", "model", "model_state_dict"}) {
      if (inner == nullptr) inner = entry_of(document, *value, key);
    }
    if (inner == nullptr) break;
    value = inner;
  }
  fail("{}: the file holds no tensors, neither directly nor under state_dict, model or model_state_dict, but {}", file,
       keys_of(document, *value));
}

std::string shape_text(const std::vector<std::int64_t>& sizes) {
  return fmt::format("[{}]", fmt::join(sizes, ", "));
}

Weight weight_of(const PytorchFile& pytorch, std::string_view key, const Value& value, Budget& budget,
                 const std::string& file) {
  Weight weight = weight_named(key, file);
  if (value.kind != Kind::tensor) {
    weight.type = pickle::name_of(value.kind);
    weight.left_out = "no tensor";
    return weight;
  }
  const auto& tensor = pytorch.document.tensors[static_cast<std::size_t>(value.integer)];
  const auto& storage = pytorch.document.storages[tensor.storage];
  weight.type = name_of(tensor.view.type);
  weight.shape = shape_text(tensor.view.sizes);
  if (!is_floating(tensor.view.type)) {
    weight.left_out = kNoNumbers;
    return weight;
  }
  budget.spend(tensor.view.sizes);
  weight.tensor = to_f32(tensor.view, elements_of(pytorch, storage, file), fmt::format("{}: tensor '{}'", file, key));
  return weight;
}

std::vector<Weight> weights_of(const PytorchFile& pytorch, std::size_t bytes, const std::string& file) {
  const auto& document = pytorch.document;
  const Value& dictionary = state_dict_of(document, document[pytorch.root], file);
  std::vector<Weight> weights;
  Budget budget(bytes, file);
  for (std::size_t i = 0; i < dictionary.items.size(); i += 2) {
    const Value& key = document[dictionary.items[i]];
    if (key.kind != Kind::text) continue;  // no module has a parameter without a name
    weights.push_back(weight_of(pytorch, key.text, document[dictionary.items[i + 1]], budget, file));
  }
  return weights;
}

// --- safetensors ---

// Of the types that weights have; of others, which are left out, empty.
std::optional<ElementType> weight_type_of(const std::string& type) {
  static const std::map<std::string, ElementType> types{
      {"F64", ElementType::f64}, {"F32", ElementType::f32}, {"F16", ElementType::f16}, {"BF16", ElementType::bf16}};
  const auto found = types.find(type);
  return found == types.end() ? std::nullopt : std::optional(found->second);
}

// "BOOL" as the files of PyTorch have it: "bool".
std::string lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// Why a tensor is no weight; empty where it is one.
std::string left_out(const safetensors::Entry& entry) {
  if (entry.type.starts_with("F8_")) return kTooCoarse;
  if (!weight_type_of(entry.type)) return kNoNumbers;
  if (entry.name.starts_with("adam/")) return kOptimizer;
  return entry.name.starts_with("average/") ? kAverages : "";
}

std::vector<std::int64_t> dense_strides(const std::vector<std::int64_t>& sizes) {
  std::vector<std::int64_t> strides(sizes.size(), 1);
  for (std::size_t axis = sizes.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * sizes[axis];
  return strides;
}

WeightFile weights_of_safetensors(std::span<const std::byte> bytes, const std::string& file) {
  auto header = safetensors::parse_header(bytes, file);
  safetensors::check_checksum(bytes, header, file);
  header.metadata.erase(safetensors::kChecksumKey);
  WeightFile result{.format = "safetensors", .weights = {}, .metadata = std::move(header.metadata)};
  for (const auto& entry : header.entries) {
    Weight weight = weight_named(entry.name, file);
    const auto extents = entry.shape.extents();
    const std::vector<std::int64_t> sizes(extents.begin(), extents.end());
    weight.type = lower_case(entry.type);
    weight.shape = shape_text(sizes);
    weight.left_out = left_out(entry);
    if (weight.left_out.empty()) {
      const StridedView view{
          .type = *weight_type_of(entry.type), .offset = 0, .sizes = sizes, .strides = dense_strides(sizes)};
      weight.tensor = to_f32(view, bytes.subspan(header.data_begin + entry.begin, entry.end - entry.begin),
                             fmt::format("{}: tensor '{}'", file, entry.name));
    }
    result.weights.push_back(std::move(weight));
  }
  return result;
}

// --- any file ---

bool starts_with(std::span<const std::byte> bytes, std::string_view start) {
  return bytes.size() >= start.size() &&
         std::equal(start.begin(), start.end(), reinterpret_cast<const char*>(bytes.data()));
}

[[noreturn]] void fail_unknown(std::span<const std::byte> bytes, const std::string& file) {
  std::string_view hint;
  if (bytes.empty()) hint = ": it is empty";
  if (starts_with(bytes, "<")) hint = ": it looks like a web page, so the download probably failed";
  if (starts_with(bytes, "version https://git-lfs"))
    hint = ": it is a pointer of Git LFS (`git lfs pull` brings the file)";
  if (starts_with(bytes, "\x89HDF")) hint = ": it is HDF5, as Keras writes it";
  fail("{} is no weight file, neither a checkpoint of PyTorch nor safetensors{}", file, hint);
}

WeightFile read_any(std::span<const std::byte> bytes, const std::string& file) {
  constexpr std::size_t kBrace = 8;  // behind the length of a safetensors header
  if (is_tar(bytes)) return {"PyTorch (TAR)", weights_of(read_pytorch_tar(bytes, file), bytes.size(), file), {}};
  if (is_zip(bytes)) return {"PyTorch (zip)", weights_of(read_pytorch_zip(bytes, file), bytes.size(), file), {}};
  if (bytes.size() > kBrace && bytes[kBrace] == std::byte{'{'}) return weights_of_safetensors(bytes, file);
  if (is_pickle(bytes))
    return {"PyTorch (stream)", weights_of(read_pytorch_stream(bytes, file), bytes.size(), file), {}};
  fail_unknown(bytes, file);
}

void check_names(const WeightFile& weights, const std::string& file) {
  std::map<std::string_view, std::string_view> keys;
  for (const auto& weight : weights.weights) {
    if (!weight.left_out.empty()) continue;
    const auto [known, fresh] = keys.emplace(weight.name, weight.key);
    DERMATOME_CHECK(fresh, "{}: '{}' and '{}' are both weights called {}", file, known->second, weight.key,
                    weight.name);
  }
  DERMATOME_CHECK(!keys.empty(), "{}: the file holds no weights", file);
}

}  // namespace

WeightFile read_weights(const std::filesystem::path& path) {
  const MappedFile mapped(path);
  return parse_weights(mapped.bytes(), path.string());
}

WeightFile parse_weights(std::span<const std::byte> bytes, const std::string& file) {
  WeightFile weights = read_any(bytes, file);
  check_names(weights, file);
  return weights;
}

}  // namespace dermatome
