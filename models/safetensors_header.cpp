// Parsing and checking of safetensors headers.
#include "models/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/core/error.h"

namespace dermatome::safetensors {
namespace {

using Json = nlohmann::json;

// JSON whose objects have no key twice.
Json parse_json(std::string_view text, const std::string& file) {
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      DERMATOME_CHECK(keys.back().insert(key).second, "{}: the header names '{}' twice", file, key);
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::parse_error& error) {
    fail("{}: the header is not valid JSON at its byte {}", file, error.byte);
  } catch (const Json::exception&) {
    fail("{}: the header holds a number that is too large", file);
  }
}

std::string_view header_text(std::span<const std::byte> bytes, const std::string& file) {
  DERMATOME_CHECK(bytes.size() >= kLengthBytes, "{}: {} bytes are too few for a safetensors file", file, bytes.size());
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  DERMATOME_CHECK(length <= kLongestHeader, "{}: this is no safetensors file (its header would have {} bytes)", file,
                  length);
  DERMATOME_CHECK(length <= bytes.size() - kLengthBytes,
                  "{}: the file is cut short: its header has {} bytes, {} are there", file, length,
                  bytes.size() - kLengthBytes);
  return {reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, static_cast<std::size_t>(length)};
}

std::map<std::string, std::string> parse_metadata(const Json& json, const std::string& file) {
  DERMATOME_CHECK(json.is_object(), "{}: the header's {} is no object", file, kMetadataKey);
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : json.items()) {
    DERMATOME_CHECK(text.is_string(), "{}: the metadata '{}' is no text", file, key);
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

std::vector<std::int64_t> parse_numbers(const Json& list, const std::string& what) {
  DERMATOME_CHECK(list.is_array(), "{} is no list", what);
  std::vector<std::int64_t> numbers;
  for (const auto& number : list) {
    DERMATOME_CHECK(number.is_number_unsigned() && number.get<std::uint64_t>() <= kLargest,
                    "{} holds something other than whole numbers from 0", what);
    numbers.push_back(static_cast<std::int64_t>(number.get<std::uint64_t>()));
  }
  return numbers;
}

const Json& member(const Json& json, const char* key, const std::string& what) {
  const auto found = json.find(key);
  DERMATOME_CHECK(found != json.end(), "{} has no {}", what, key);
  return *found;
}

// Bytes of the elements, zero-sized axes counted as one so that no product overflows later.
std::uint64_t bytes_of(const std::vector<std::int64_t>& shape, std::size_t element, const std::string& what) {
  std::uint64_t bytes = element;
  bool empty = false;
  for (const std::int64_t extent : shape) {
    empty = empty || extent == 0;
    const std::uint64_t factor = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(extent));
    DERMATOME_CHECK(bytes <= kLargest / factor, "{} has an impossible shape", what);
    bytes *= factor;
  }
  return empty ? 0 : bytes;
}

Entry parse_entry(const std::string& name, const Json& json, std::size_t data_bytes, const std::string& file) {
  const std::string what = fmt::format("{}: tensor '{}'", file, name);
  DERMATOME_CHECK(json.is_object(), "{} is described by something other than an object", what);
  const Json& type = member(json, "dtype", what);
  DERMATOME_CHECK(type.is_string(), "{} has a dtype that is no text", what);
  Entry entry{.name = name, .type = type.get<std::string>(), .shape = {}};
  const auto element = element_bytes(entry.type);
  DERMATOME_CHECK(element.has_value(), "{} has the type {}, which is none of safetensors", what, entry.type);

  const auto extents = parse_numbers(member(json, "shape", what), what + ": its shape");
  DERMATOME_CHECK(extents.size() <= Shape::kMaxRank, "{} has {} axes, more than {}", what, extents.size(),
                  Shape::kMaxRank);
  const std::uint64_t bytes = bytes_of(extents, *element, what);
  entry.shape = Shape(extents);

  const auto offsets = parse_numbers(member(json, "data_offsets", what), what + ": its data_offsets");
  DERMATOME_CHECK(offsets.size() == 2 && offsets[0] <= offsets[1], "{} has data_offsets that are no begin and end",
                  what);
  entry.begin = static_cast<std::size_t>(offsets[0]);
  entry.end = static_cast<std::size_t>(offsets[1]);
  DERMATOME_CHECK(entry.end - entry.begin == bytes, "{} is {}{}, which takes {} bytes, but has {}", what, entry.type,
                  to_string(entry.shape), bytes, entry.end - entry.begin);
  DERMATOME_CHECK(entry.end <= data_bytes,
                  "{}: the file is cut short: tensor '{}' ends at byte {} of the data, {} are there", file, name,
                  entry.end, data_bytes);
  return entry;
}

void check_cover(const std::vector<Entry>& entries, std::size_t data_bytes, const std::string& file) {
  std::size_t covered = 0;
  for (const Entry& entry : entries) {
    DERMATOME_CHECK(entry.begin >= covered, "{}: tensor '{}' overlaps the one before it", file, entry.name);
    DERMATOME_CHECK(entry.begin == covered, "{}: {} bytes in front of tensor '{}' belong to no tensor", file,
                    entry.begin - covered, entry.name);
    covered = entry.end;
  }
  DERMATOME_CHECK(covered == data_bytes, "{}: {} bytes at the end belong to no tensor", file, data_bytes - covered);
}

}  // namespace

std::optional<std::size_t> element_bytes(const std::string& type) {
  static const std::map<std::string, std::size_t> known{
      {"F64", 8}, {"I64", 8}, {"U64", 8}, {"F32", 4}, {"I32", 4},  {"U32", 4},     {"F16", 2},    {"BF16", 2},
      {"I16", 2}, {"U16", 2}, {"I8", 1},  {"U8", 1},  {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};
  const auto found = known.find(type);
  return found == known.end() ? std::nullopt : std::optional(found->second);
}

Header parse_header(std::span<const std::byte> bytes, const std::string& file) {
  const std::string_view text = header_text(bytes, file);
  DERMATOME_CHECK(text.starts_with('{'), "{}: this is no safetensors file (its header does not start with '{{')", file);
  const Json json = parse_json(text, file);
  Header header{.metadata = {}, .entries = {}, .data_begin = kLengthBytes + text.size()};
  const std::size_t data_bytes = bytes.size() - header.data_begin;
  for (const auto& [name, description] : json.items()) {
    if (name == kMetadataKey) {
      header.metadata = parse_metadata(description, file);
    } else {
      header.entries.push_back(parse_entry(name, description, data_bytes, file));
    }
  }
  std::sort(header.entries.begin(), header.entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  check_cover(header.entries, data_bytes, file);
  return header;
}

std::optional<std::size_t> checksum_position(std::span<const std::byte> header) {
  // Inside a text the quotes would have backslashes, so that this can only be the key.
  const std::string key = fmt::format("\"{}\":\"", kChecksumKey);
  const std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());
  const auto found = text.find(key, kLengthBytes);
  if (found == std::string_view::npos || text.size() - found < key.size() + kChecksumDigits) return std::nullopt;
  return found + key.size();
}

Checksum checksum_of_header(std::span<const std::byte> header) {
  std::vector<std::byte> blank(header.begin(), header.end());
  if (const auto digits = checksum_position(header)) {
    std::fill_n(blank.begin() + static_cast<std::ptrdiff_t>(*digits), kChecksumDigits, std::byte{'0'});
  }
  Checksum sum;
  sum.add(blank);
  return sum;
}

void check_checksum(std::span<const std::byte> bytes, const Header& header, const std::string& file) {
  const auto stored = header.metadata.find(kChecksumKey);
  if (stored == header.metadata.end()) return;
  Checksum sum = checksum_of_header(bytes.first(header.data_begin));
  sum.add(bytes.subspan(header.data_begin));
  DERMATOME_CHECK(stored->second == fmt::format("{:016x}", sum.value()),
                  "{}: the checksum does not match: the file was damaged, or changed by another program", file);
}

}  // namespace dermatome::safetensors
