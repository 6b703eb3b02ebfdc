// The table as CSV with a checksum in its last line.
#include "data/source_index.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>

#include "data/csv.h"

namespace dermatome::data {
namespace {

constexpr std::string_view kHeader = "path,device,inode,size,modified,changed,hash,settled";
constexpr std::string_view kChecksum = "checksum,";
constexpr std::int64_t kSettled = 2'000'000'000;  // nanoseconds; some file systems count time in steps of two seconds

std::string key_of(const std::filesystem::path& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  return (error ? path : absolute.lexically_normal()).string();
}

template <typename T>
bool parse(const std::string& text, T& value) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

SourceIndex::SourceIndex(std::filesystem::path file) : file_(std::move(file)), rows_(read(file_)) {}

SourceIndex::Rows SourceIndex::read(const std::filesystem::path& file) {
  if (!state_of(file)) return {};
  const auto bytes = read_file(file);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t end = text.rfind(kChecksum);
  if (end == std::string_view::npos ||
      text.substr(end + kChecksum.size()) != to_text(hash_of(text.substr(0, end))) + "\n") {
    return {};
  }
  Rows rows;
  std::size_t line = text.find('\n') + 1;
  while (line < end) {
    const std::size_t next = text.find('\n', line);
    const auto fields = split_csv_line(text.substr(line, next - line));
    line = next + 1;
    Row row;
    const auto hash = fields.size() == 8 ? parse_hash(fields[6]) : std::nullopt;
    if (!hash || !parse(fields[1], row.state.device) || !parse(fields[2], row.state.inode) ||
        !parse(fields[3], row.state.size) || !parse(fields[4], row.state.modified) ||
        !parse(fields[5], row.state.changed)) {
      continue;
    }
    row.hash = *hash;
    row.settled = fields[7] == "1";
    rows.emplace(fields[0], row);
  }
  return rows;
}

std::optional<SourceIndex::Row> SourceIndex::row_of(const std::filesystem::path& path) const {
  const auto state = state_of(path);
  const std::lock_guard lock(mutex_);
  const auto row = rows_.find(key_of(path));
  if (!state || row == rows_.end() || row->second.state != *state) return std::nullopt;
  return row->second;
}

std::optional<ContentHash> SourceIndex::find(const std::filesystem::path& path) const {
  const auto row = row_of(path);
  return row && row->settled ? std::optional(row->hash) : std::nullopt;
}

std::optional<ContentHash> SourceIndex::guess(const std::filesystem::path& path) const {
  const auto row = row_of(path);
  return row ? std::optional(row->hash) : std::nullopt;
}

void SourceIndex::remember(const std::filesystem::path& path, const std::optional<FileState>& before,
                           const ContentHash& hash) {
  if (!before || before != state_of(path)) return;
  const bool settled = now() - std::max(before->changed, before->modified) >= kSettled;
  const std::lock_guard lock(mutex_);
  const Row row{.state = *before, .hash = hash, .settled = settled};
  rows_.insert_or_assign(key_of(path), row);
  added_.insert_or_assign(key_of(path), row);
}

void SourceIndex::save() {
  const std::lock_guard lock(mutex_);
  if (added_.empty()) return;
  Rows rows = read(file_);
  for (const auto& [path, row] : added_) rows.insert_or_assign(path, row);
  std::string text = fmt::format("{}\n", kHeader);
  for (const auto& [path, row] : rows) {
    if (path.find('\n') != std::string::npos) continue;
    text += fmt::format("{},{},{},{},{},{},{},{}\n", csv_field(path), row.state.device, row.state.inode, row.state.size,
                        row.state.modified, row.state.changed, to_text(row.hash), row.settled ? 1 : 0);
  }
  text += fmt::format("{}{}\n", kChecksum, to_text(hash_of(text)));
  write_file(file_, text);
  added_.clear();
}

}  // namespace dermatome::data
