// Run folders through POSIX calls, which say why something failed.
#include "tools/training/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "data/files.h"
#include "engine/core/error.h"
#include "tools/training/event_file.h"

namespace dermatome::training {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 10> kFiles{"last.safetensors", "best.safetensors", "log.csv",   "steps.csv",
                                             "resolved.toml",    "run.json",         "split.csv", "report.html",
                                             "plans.json",       "threshold.json"};

bool has_rows(const fs::path& log) {
  std::ifstream file(log);
  std::string line;
  return std::getline(file, line) && std::getline(file, line);
}

void remove_file(const fs::path& file) {
  std::error_code error;
  fs::remove(file, error);
  DERMATOME_CHECK(!error, "the old {} cannot be removed: {}", file.string(), error.message());
}

std::vector<fs::path> partial_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (data::is_partial(entry.path())) files.push_back(entry.path());
  }
  return files;
}

// "lr_find_stage2.csv".
bool is_rate_curve(const fs::path& file) {
  const std::string name = file.filename().string();
  return name.starts_with("lr_find_stage") && name.ends_with(".csv");
}

std::string cause() {
  return std::generic_category().message(errno);
}

}  // namespace

bool holds_run(const fs::path& folder) {
  return fs::exists(folder / "last.safetensors") || fs::exists(folder / "best.safetensors") ||
         has_rows(folder / "steps.csv") || has_rows(folder / "log.csv");
}

void check_run_folder(const fs::path& path, FolderUse use) {
  if (use == FolderUse::fresh && holds_run(path)) {
    fail_usage("{} holds a run already; go on with it (--resume), replace it (--overwrite), or take another folder",
               path.string());
  }
  if (use == FolderUse::resume && !fs::exists(path / "last.safetensors")) {
    if (!fs::exists(path)) fail_usage("there is no run to resume: {} does not exist", path.string());
    fail_usage("{} holds no last.safetensors to resume from; start without --resume{}", path.string(),
               holds_run(path) ? ", with --overwrite" : "");
  }
}

void check_run_folder_is_writable(const fs::path& path) {
  std::error_code error;
  const bool is_there = fs::exists(path, error);
  DERMATOME_CHECK(!is_there || fs::is_directory(path, error), "the run folder {} cannot be made: it is a file",
                  path.string());
  const fs::path place = data::nearest_existing(path);
  if (!fs::is_directory(place, error))
    fail("the run folder {} cannot be made: {} is a file", path.string(), place.string());
  if (::access(place.c_str(), W_OK | X_OK) != 0)
    fail("the run folder {} cannot be {}: {}", path.string(), is_there ? "written" : "made", cause());
}

std::string little_space(const fs::path& path, std::size_t checkpoint) {
  std::error_code error;
  const auto space = fs::space(data::nearest_existing(path), error);
  if (error || space.available == 0 || space.available > 2 * checkpoint) return "";
  return fmt::format("{} has {:.1f} MB left on its disk, and the checkpoints of this run need {:.1f} MB more",
                     path.string(), static_cast<double>(space.available) * 1e-6,
                     static_cast<double>(2 * checkpoint) * 1e-6);
}

nlohmann::json read_run_json(const fs::path& run) {
  std::ifstream file(run / "run.json");
  DERMATOME_CHECK(file.good(), "{} cannot be read, which says where the run's data are", (run / "run.json").string());
  auto json = nlohmann::json::parse(file, nullptr, false);
  DERMATOME_CHECK(json.is_object(), "{} is damaged: it is no JSON object", (run / "run.json").string());
  return json;
}

RunFolder::RunFolder(const fs::path& path, FolderUse use) : path_(path) {
  check_run_folder(path_, use);
  check_run_folder_is_writable(path_);
  std::error_code error;
  made_here_ = fs::create_directories(path_, error);
  DERMATOME_CHECK(!error, "the run folder {} cannot be made: {}", path_.string(), error.message());
  lock_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DERMATOME_CHECK(lock_ >= 0, "the run folder {} cannot be opened: {}", path_.string(), cause());
  // File systems without locks are trusted.
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(lock_);
    fail("another process is training into {}; wait for its end, or take another folder", path_.string());
  }
  // Of writes that a kill ended.
  for (const char* name : kFiles) remove_file(path_ / (std::string(name) + ".partial"));
  for (const auto& file : partial_files(path_)) remove_file(file);
}

RunFolder::~RunFolder() {
  if (lock_ >= 0) ::close(lock_);
  if (made_here_) ::rmdir(path_.c_str());
}

void RunFolder::clear() const {
  for (const auto& file : event_files(path_)) remove_file(file);
  for (const char* name : kFiles) remove_file(path_ / name);
  std::vector<fs::path> curves;
  for (const auto& entry : fs::directory_iterator(path_)) {
    if (is_rate_curve(entry.path())) curves.push_back(entry.path());
  }
  for (const auto& curve : curves) remove_file(curve);
}

}  // namespace dermatome::training
