// Writing and cutting TensorBoard event files. Formats: tensorflow/core/lib/io/record_writer.cc, event.proto and
// summary.proto; the few fields in use are encoded by hand.
#include "tools/training/event_file.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <optional>

#include "data/files.h"
#include "engine/core/error.h"

namespace dermatome::training {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "events.out.tfevents.";
const std::string kValidation = "validation/";

// Field numbers of tensorflow.Event and of what it holds.
namespace field {
constexpr int kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
constexpr int kSummaryValue = 1, kValueTag = 1, kValueSimple = 2;
constexpr int kSessionStatus = 1;
}  // namespace field
constexpr std::uint64_t kSessionStart = 1;

enum WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
    table[i] = crc;
  }
  return table;
}();

// Checksums of data that holds checksums are weak, so TFRecord rotates and shifts them.
std::uint32_t masked_crc32c(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xa282ead8u;
}

template <typename Unsigned>
std::string little_endian(Unsigned value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

template <typename Unsigned>
Unsigned from_little_endian(std::string_view bytes) {
  Unsigned value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) value |= Unsigned{static_cast<std::uint8_t>(bytes[i])} << (8 * i);
  return value;
}

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes += static_cast<char>(value);
}

std::string key(int number, WireType type) {
  return varint(static_cast<std::uint64_t>(number) << 3 | type);
}
std::string bytes_field(int number, std::string_view bytes) {
  return key(number, kBytes) + varint(bytes.size()).append(bytes);
}

// Wall time and step as every event has them; a step of 0 is proto3's default and stays out.
std::string event_head(double wall_time, std::int64_t step) {
  std::string head = key(field::kWallTime, kFixed64) + little_endian(std::bit_cast<std::uint64_t>(wall_time));
  if (step != 0) head += key(field::kStep, kVarint) + varint(static_cast<std::uint64_t>(step));
  return head;
}

std::string record(std::string_view event) {
  const std::string length = little_endian(std::uint64_t{event.size()});
  return length + little_endian(masked_crc32c(length)).append(event) + little_endian(masked_crc32c(event));
}

// The event at the start of `bytes` and how much its record takes; nothing where the record is torn or damaged.
struct Record {
  std::string_view event;
  std::size_t bytes = 0;
};

std::optional<Record> first_record(std::string_view bytes) {
  constexpr std::size_t kBefore = 8 + 4;
  constexpr std::size_t kBehind = 4;
  if (bytes.size() < kBefore + kBehind) return {};
  if (from_little_endian<std::uint32_t>(bytes.substr(8)) != masked_crc32c(bytes.substr(0, 8))) return {};
  const auto length = from_little_endian<std::uint64_t>(bytes);
  if (length > bytes.size() - kBefore - kBehind) return {};
  const std::string_view event = bytes.substr(kBefore, length);
  if (from_little_endian<std::uint32_t>(bytes.substr(kBefore + length)) != masked_crc32c(event)) return {};
  return Record{.event = event, .bytes = kBefore + length + kBehind};
}

std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return {};
}

// The step that an event carries, whatever else it holds; nothing where it is no protobuf message.
std::optional<std::int64_t> step_of(std::string_view event) {
  std::int64_t step = 0;
  while (!event.empty()) {
    const auto tag = take_varint(event);
    if (!tag) return {};
    std::uint64_t skipped = 0;
    switch (*tag & 7) {
      case kVarint: {
        const auto value = take_varint(event);
        if (!value) return {};
        if (*tag >> 3 == field::kStep) step = static_cast<std::int64_t>(*value);
        break;
      }
      case kBytes: {
        const auto length = take_varint(event);
        if (!length) return {};
        skipped = *length;
        break;
      }
      case kFixed64: skipped = 8; break;
      case kFixed32: skipped = 4; break;
      default: return {};
    }
    if (skipped > event.size()) return {};
    event.remove_prefix(skipped);
  }
  return step;
}

// What is left of a file's bytes: the version, which comes first, and events; nothing when there are none. `epochs`
// goes down by the validations in it.
std::string events_before(std::string_view bytes, std::int64_t steps, std::int64_t& epochs) {
  std::string kept;
  std::size_t version = 0;
  while (const auto next = first_record(bytes)) {
    const auto step = step_of(next->event);
    if (!step) break;
    const bool validation = next->event.find(kValidation) != std::string_view::npos;
    if (kept.empty() || (*step < steps && !(validation && epochs-- <= 0))) kept += bytes.substr(0, next->bytes);
    if (version == 0) version = next->bytes;
    bytes.remove_prefix(next->bytes);
  }
  return kept.size() > version ? kept : "";
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

std::string name_of(std::int64_t microseconds) {
  return fmt::format("{}{:010}.{}.dermatome.{:06}", kPrefix, microseconds / 1'000'000, host_name(),
                     microseconds % 1'000'000);
}

// TensorBoard reads a folder's files in the order of their names: by second, then (a run may go on within one) by what
// we put last, the microsecond. A clock that was set back, or another machine's, must not put a later file in front.
fs::path new_path(const fs::path& folder) {
  auto microseconds = static_cast<std::int64_t>(now() * 1e6);
  const std::vector<fs::path> older = event_files(folder);
  if (!older.empty()) {
    const std::string last = older.back().filename();
    std::int64_t second = 0;
    std::from_chars(last.data() + kPrefix.size(), last.data() + last.size(), second);
    constexpr std::int64_t kLast = 9'999'999'999;  // of ten digits: what is not from us need not be counted on from
    if (name_of(microseconds) <= last && second < kLast) microseconds = (second + 1) * 1'000'000;
  }
  return folder / name_of(microseconds);
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char byte : bytes) crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<std::uint8_t>(byte)) & 0xff];
  return ~crc;
}

std::string version_record(double wall_time) {
  return record(event_head(wall_time, 0) + bytes_field(field::kFileVersion, "brain.Event:2"));
}

std::string restart_record(double wall_time, std::int64_t step) {
  const std::string status = key(field::kSessionStatus, kVarint) + varint(kSessionStart);
  return record(event_head(wall_time, step) + bytes_field(field::kSessionLog, status));
}

std::string scalars_record(double wall_time, std::int64_t step, std::span<const Scalar> scalars) {
  std::string summary;
  for (const auto& scalar : scalars) {
    const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(scalar.value));
    summary += bytes_field(field::kSummaryValue, bytes_field(field::kValueTag, scalar.tag) +
                                                     key(field::kValueSimple, kFixed32) + little_endian(bits));
  }
  return record(event_head(wall_time, step) + bytes_field(field::kSummary, summary));
}

EventFile::EventFile(const fs::path& run) : file_(new_path(run), true) {
  file_.append(version_record(now()));
}

EventFile::EventFile(const fs::path& run, std::int64_t steps, std::int64_t epochs)
    : EventFile((cut_event_files(run, steps, epochs), run)) {
  file_.append(restart_record(now(), steps));
}

void EventFile::step(std::int64_t step, const StepScalars& scalars) {
  file_.append(scalars_record(now(), step,
                              std::array<Scalar, 3>{{{"train/loss", scalars.loss},
                                                     {"train/jaccard", scalars.jaccard},
                                                     {"learning_rate", scalars.learning_rate}}}));
}

void EventFile::epoch(std::int64_t last_step, const EpochScalars& scalars) {
  file_.append(scalars_record(now(), last_step,
                              std::array<Scalar, 4>{{{kValidation + "loss", scalars.loss},
                                                     {kValidation + "jaccard", scalars.jaccard},
                                                     {kValidation + "thresholded_jaccard", scalars.thresholded_jaccard},
                                                     {kValidation + "dice", scalars.dice}}}));
}

void EventFile::sync() {
  file_.sync();
}

std::vector<fs::path> event_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename().string().starts_with(kPrefix) && !data::is_partial(entry.path()))
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void cut_event_files(const fs::path& folder, std::int64_t steps, std::int64_t epochs) {
  for (const auto& path : event_files(folder)) {
    const auto bytes = data::read_file(path);
    const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::string kept = events_before(all, steps, epochs);
    if (kept.empty()) {
      fs::remove(path);
    } else if (kept != all) {
      data::write_file(path, kept);
    }
  }
}

}  // namespace dermatome::training
