// AppendFile: a log that grows record by record.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace dermatome::training {

// A file that grows by whole records: one that does not fit on the disk leaves nothing of itself behind.
class AppendFile {
 public:
  // Goes on behind what the file holds; `anew` empties it first. Throws Error naming the file and the cause, as all do.
  AppendFile(const std::filesystem::path& path, bool anew);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void append(std::string_view record);
  void sync();  // brings everything to the disk

 private:
  std::filesystem::path path_;
  int handle_ = -1;
  std::int64_t size_ = 0;
};

}  // namespace dermatome::training
