// POSIX calls behind file.h.
#include "models/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "engine/core/error.h"

namespace dermatome {
namespace {

std::string cause() {
  return std::generic_category().message(errno);
}

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags) : handle_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return handle_; }
  bool is_open() const { return handle_ >= 0; }
  bool close() {
    const int handle = handle_;
    handle_ = -1;
    return handle < 0 || ::close(handle) == 0;
  }

 private:
  int handle_;
};

bool write_all(int handle, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(handle, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
  return true;
}

bool write_parts(int handle, std::span<const std::span<const std::byte>> parts) {
  for (const auto part : parts) {
    if (!write_all(handle, part)) return false;
  }
  return ::fsync(handle) == 0;
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  const Descriptor file(path, O_RDONLY | O_NONBLOCK);
  DERMATOME_CHECK(file.is_open(), "cannot read {}: {}", path.string(), cause());
  struct stat status {};
  DERMATOME_CHECK(::fstat(file.get(), &status) == 0, "cannot read {}: {}", path.string(), cause());
  DERMATOME_CHECK(S_ISREG(status.st_mode), "cannot read {}: it is not a regular file", path.string());
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ == 0) return;
  memory_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (memory_ == MAP_FAILED) {
    memory_ = nullptr;
    fail("cannot read {}: {}", path.string(), cause());
  }
}

MappedFile::~MappedFile() {
  if (memory_ != nullptr) ::munmap(memory_, size_);
}

void replace_file(const std::filesystem::path& path, std::span<const std::span<const std::byte>> parts) {
  std::filesystem::path partial = path;
  partial += ".partial";
  Descriptor file(partial, O_WRONLY | O_CREAT | O_TRUNC);
  DERMATOME_CHECK(file.is_open(), "cannot write {}: {}", path.string(), cause());
  if (!write_parts(file.get(), parts) || !file.close() || ::rename(partial.c_str(), path.c_str()) != 0) {
    const std::string why = cause();
    ::unlink(partial.c_str());
    fail("cannot write {}: {}", path.string(), why);
  }
  // The new name itself is on the disk only when the folder is. EINVAL: a file system that cannot do that for folders.
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const Descriptor names(folder, O_RDONLY | O_DIRECTORY);
  DERMATOME_CHECK(names.is_open() && (::fsync(names.get()) == 0 || errno == EINVAL), "cannot bring {} to the disk: {}",
                  path.string(), cause());
}

}  // namespace dermatome
