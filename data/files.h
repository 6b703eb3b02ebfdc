// Whole files in and out of memory, with errors that name the file and the cause.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dermatome::data {

// The bytes of a regular file, at most `limit` from its start. Throws Error naming the file and the cause: missing,
// a folder or a device, unreadable, or above 2 GiB when all of it is asked for.
std::vector<std::uint8_t> read_file(const std::filesystem::path& path,
                                    std::size_t limit = std::numeric_limits<std::size_t>::max());

// Writes the bytes beside `path` under a temporary name and renames them, so that nobody sees half a file and an
// older one stays whole until then. Throws Error naming the file and the cause; the temporary file is then removed.
void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);
void write_file(const std::filesystem::path& path, std::string_view text);

// ASCII letters in lower case; for comparing file extensions.
std::string lower_case(std::string_view text);

}  // namespace dermatome::data
