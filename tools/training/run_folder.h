// RunFolder: the folder that a run is written to, kept from a second process and from being overwritten unasked.
#pragma once

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

namespace dermatome::training {

// What a run is going to do with what the folder holds.
enum class FolderUse : std::uint8_t {
  fresh,      // it may hold no run
  overwrite,  // clear() removes the run that it holds
  resume,     // it must hold a checkpoint
};

// Whether there is something to lose: a run that ended before its first checkpoint and step left nothing.
bool holds_run(const std::filesystem::path& folder);

// Throws UsageError where the folder holds a run and `use` is fresh, or no checkpoint and `use` is resume. Changes
// nothing.
void check_run_folder(const std::filesystem::path& path, FolderUse use);

// Throws Error as RunFolder does where the folder, or files in it, could not be made. Makes nothing.
void check_run_folder_is_writable(const std::filesystem::path& path);

// A sentence where the folder's disk has no room for two more checkpoints of that size: the next is written beside the
// last one, and so is the best. Else empty.
std::string little_space(const std::filesystem::path& path, std::size_t checkpoint);

// What run.json says of the run: its data, and where it ran. Throws Error naming the file where it is missing or
// damaged.
nlohmann::json read_run_json(const std::filesystem::path& run);

class RunFolder {
 public:
  // As check_run_folder; makes the folder where it is not there, and locks it for as long as this object lives. Throws
  // Error with the cause where that or writing into it is not possible, and where another process has the lock.
  RunFolder(const std::filesystem::path& path, FolderUse use);
  // Removes the folder again when it was made here and is still empty.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // Removes the files of a run, and nothing else that the folder may hold.
  void clear() const;

 private:
  std::filesystem::path path_;
  bool made_here_ = false;
  int lock_ = -1;
};

}  // namespace dermatome::training
