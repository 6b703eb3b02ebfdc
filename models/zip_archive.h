// Zip archives in memory, read and made by libzip.
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

struct ZipMember {
  std::string name;
  std::span<const std::byte> bytes;
};

// An archive of the members, stored without compression and dated 1980: the same members give the same bytes. Throws
// Error for two members of one name.
std::vector<std::byte> zip_archive_of(std::span<const ZipMember> members);

}  // namespace dermatome
