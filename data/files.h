// Whole files in and out of memory, with errors that name the file and the cause.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dermatome::data {

// The bytes of a regular file, at most `limit` from its start. Throws Error naming the file and the cause: missing,
// a folder or a device, unreadable, or above 2 GiB when all of it is asked for.
std::vector<std::uint8_t> read_file(const std::filesystem::path& path,
                                    std::size_t limit = std::numeric_limits<std::size_t>::max());

// What the file system knows of a file without reading it. Every change of the contents moves `changed`, which no
// ordinary program can set back.
struct FileState {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified = 0;  // nanoseconds since 1970
  std::int64_t changed = 0;

  friend bool operator==(const FileState&, const FileState&) = default;
};

// Nothing where there is no regular file.
std::optional<FileState> state_of(const std::filesystem::path& path);

// The path itself, or the nearest folder above it that exists: on its disk the path would be made.
std::filesystem::path nearest_existing(const std::filesystem::path& path);

// Whether a write waits until the bytes are on the disk. Without it, a crash of the machine (not of the program) may
// leave a file of the right name and wrong contents: for files that carry a checksum and can be made again.
enum class Durability : std::uint8_t { synced, unsynced };

// Writes the bytes beside `path` under a temporary name of its own and renames them, so that nobody sees half a file,
// an older one stays whole until then, and writers of the same path do not meet. Throws Error naming the file and the
// cause; the temporary file is then removed.
void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes,
                Durability durability = Durability::synced);
void write_file(const std::filesystem::path& path, std::string_view text);

// Whether a name is that of a temporary file of write_file, left by a program that was killed.
bool is_partial(const std::filesystem::path& path);

// ASCII letters in lower case; for comparing file extensions.
std::string lower_case(std::string_view text);

}  // namespace dermatome::data
