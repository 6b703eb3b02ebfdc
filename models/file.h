// Large files: mapped for reading, replaced as a whole when written.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace dermatome {

// The bytes of a regular file, mapped into memory for as long as this lives.
class MappedFile {
 public:
  // Throws Error naming the file and the cause.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(memory_), size_}; }

 private:
  void* memory_ = nullptr;
  std::size_t size_ = 0;
};

// Writes the parts one behind the other to `path`.partial, brings them to the disk, and renames: whoever opens `path`,
// at any moment and after any crash, finds either all of the old file or all of the new one. Throws Error naming the
// file and the cause; the old file is then untouched.
void replace_file(const std::filesystem::path& path, std::span<const std::span<const std::byte>> parts);

}  // namespace dermatome
