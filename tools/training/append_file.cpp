// Appending through POSIX calls, which say why something failed.
#include "tools/training/append_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "engine/core/error.h"

namespace dermatome::training {
namespace {

namespace fs = std::filesystem;

std::string cause() {
  return std::generic_category().message(errno);
}

}  // namespace

AppendFile::AppendFile(const fs::path& path, bool anew)
    : path_(path),
      handle_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (anew ? O_TRUNC : 0), 0666)) {
  DERMATOME_CHECK(handle_ >= 0, "cannot write {}: {}", path_.string(), cause());
  size_ = ::lseek(handle_, 0, SEEK_END);
}

AppendFile::~AppendFile() {
  ::close(handle_);
}

void AppendFile::append(std::string_view record) {
  std::string_view left = record;
  while (!left.empty()) {
    const ssize_t done = ::write(handle_, left.data(), left.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) {
      const std::string why = cause();
      const bool cut = ::ftruncate(handle_, size_) == 0;
      fail("cannot write {}: {}{}", path_.string(), why, cut ? "" : " (its last row is not whole)");
    }
    left.remove_prefix(static_cast<std::size_t>(done));
  }
  size_ += static_cast<std::int64_t>(record.size());
}

void AppendFile::sync() {
  // EINVAL: a file system that cannot.
  DERMATOME_CHECK(::fdatasync(handle_) == 0 || errno == EINVAL, "cannot bring {} to the disk: {}", path_.string(),
                  cause());
}

}  // namespace dermatome::training
