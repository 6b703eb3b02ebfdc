// Reading and atomic writing of files through POSIX calls, which say why something failed.
#include "data/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>

#include "engine/core/error.h"

namespace dermatome::data {
namespace {

constexpr std::size_t kLargestFile = std::size_t{1} << 31;
constexpr std::string_view kPartial = ".partial-";

std::string cause_of(int error) {
  return std::generic_category().message(error);
}

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags) : handle_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  ~Descriptor() {
    if (handle_ >= 0) ::close(handle_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return handle_; }
  bool is_open() const { return handle_ >= 0; }
  // Some file systems report a full disk only here.
  bool close() {
    const int handle = handle_;
    handle_ = -1;
    return ::close(handle) == 0;
  }

 private:
  int handle_;
};

// Removes a file that was not renamed in the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::filesystem::path path) : path_(std::move(path)) {}
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void keep() { path_.clear(); }

 private:
  std::filesystem::path path_;
};

// Another for each write of each process on each machine that may share the folder.
std::filesystem::path partial_name(const std::filesystem::path& path) {
  static std::atomic<unsigned> count = 0;
  std::array<char, 64> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::filesystem::path partial = path;
  partial += fmt::format("{}{}-{}-{}", kPartial, host.data(), ::getpid(), count++);
  return partial;
}

// So that the new name itself survives a crash; file systems that cannot do it are no reason to fail.
void sync_folder(const std::filesystem::path& path) {
  const Descriptor folder(path.has_parent_path() ? path.parent_path() : ".", O_RDONLY | O_DIRECTORY);
  if (folder.is_open()) ::fsync(folder.get());
}

bool write_all(int handle, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(handle, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
  return true;
}

}  // namespace

std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::size_t limit) {
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  const Descriptor file(path, O_RDONLY | O_NONBLOCK);
  DERMATOME_CHECK(file.is_open(), "cannot read {}: {}", path.string(), cause_of(errno));
  struct stat status {};
  DERMATOME_CHECK(::fstat(file.get(), &status) == 0, "cannot read {}: {}", path.string(), cause_of(errno));
  DERMATOME_CHECK(!S_ISDIR(status.st_mode), "cannot read {}: it is a folder, not a file", path.string());
  DERMATOME_CHECK(S_ISREG(status.st_mode), "cannot read {}: it is not a regular file", path.string());
  const std::size_t wanted = std::min(limit, static_cast<std::size_t>(status.st_size));
  DERMATOME_CHECK(wanted <= kLargestFile, "cannot read {}: its {} bytes are more than the 2 GiB that are read",
                  path.string(), status.st_size);

  std::vector<std::uint8_t> bytes(wanted);
  std::size_t got = 0;
  while (got < wanted) {
    const ssize_t part = ::read(file.get(), bytes.data() + got, wanted - got);
    if (part < 0 && errno == EINTR) continue;
    DERMATOME_CHECK(part >= 0, "cannot read {}: {}", path.string(), cause_of(errno));
    if (part == 0) break;  // cut short by someone else meanwhile
    got += static_cast<std::size_t>(part);
  }
  bytes.resize(got);
  return bytes;
}

std::optional<FileState> state_of(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  const auto nanoseconds = [](const timespec& time) {
    return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec;
  };
  return FileState{.device = status.st_dev,
                   .inode = status.st_ino,
                   .size = static_cast<std::uint64_t>(status.st_size),
                   .modified = nanoseconds(status.st_mtim),
                   .changed = nanoseconds(status.st_ctim)};
}

void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes, Durability durability) {
  const bool synced = durability == Durability::synced;
  const auto partial = partial_name(path);
  Descriptor file(partial, O_WRONLY | O_CREAT | O_TRUNC);
  DERMATOME_CHECK(file.is_open(), "cannot write {}: {}", path.string(), cause_of(errno));
  TemporaryFile temporary(partial);
  DERMATOME_CHECK(write_all(file.get(), bytes) && (!synced || ::fsync(file.get()) == 0) && file.close(),
                  "cannot write {}: {}", path.string(), cause_of(errno));
  DERMATOME_CHECK(::rename(partial.c_str(), path.c_str()) == 0, "cannot write {}: {}", path.string(), cause_of(errno));
  temporary.keep();
  if (synced) sync_folder(path);
}

std::filesystem::path nearest_existing(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path folder = std::filesystem::absolute(path, error).lexically_normal();
  while (!std::filesystem::exists(folder, error) && folder.has_relative_path()) folder = folder.parent_path();
  return folder;
}

bool is_partial(const std::filesystem::path& path) {
  return path.filename().string().find(kPartial) != std::string::npos;
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  write_file(path, std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

}  // namespace dermatome::data
