// Members of a zip archive in memory, by libzip.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

struct zip;

namespace dermatome {

class ZipArchive {
 public:
  // Throws Error, one sentence with `file` in front, here and below. `bytes` must outlive this.
  ZipArchive(std::span<const std::byte> bytes, std::string file);

  std::vector<std::string> names() const;
  bool contains(const std::string& name) const;
  // A member's contents, whose checksum was compared. Members are stored, not compressed, as torch.save does: so none
  // is larger than the file.
  std::vector<std::byte> read(const std::string& name) const;

 private:
  struct Close {
    void operator()(zip* archive) const;
  };

  std::span<const std::byte> bytes_;
  std::string file_;
  std::unique_ptr<zip, Close> archive_;
};

}  // namespace dermatome
