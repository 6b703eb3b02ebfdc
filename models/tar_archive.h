// Members of a TAR archive in memory (POSIX.1-1988 ustar with GNU's and pax's extension headers skipped).
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

namespace dermatome {

// Regular files by name, as parts of `bytes`. Throws Error, one sentence with `file` in front: a header whose checksum
// or size is wrong, an archive that is cut short, two members of one name.
std::map<std::string, std::span<const std::byte>> read_tar(std::span<const std::byte> bytes, const std::string& file);

}  // namespace dermatome
