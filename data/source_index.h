// Which contents a file had when it was last read, so that files that nobody touched need not be read again.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "data/content_hash.h"
#include "data/files.h"

namespace dermatome::data {

// A table in one file, by absolute path. It only saves work: losing rows, or the file, costs reading. Its members may
// be called from many threads.
class SourceIndex {
 public:
  // Reads the table; a missing or damaged one counts as empty.
  explicit SourceIndex(std::filesystem::path file);

  // The hash of the file's contents, where its state is the one remembered.
  std::optional<ContentHash> find(const std::filesystem::path& path) const;

  // The same without certainty: also for a file that had changed within two seconds before it was read. Good enough to
  // say what is there, not to take it.
  std::optional<ContentHash> guess(const std::filesystem::path& path) const;

  // Remembers `hash` for a file whose state before and after reading was the same. find() does not trust it where the
  // file had changed within the last two seconds: another change could leave the same times behind.
  void remember(const std::filesystem::path& path, const std::optional<FileState>& before, const ContentHash& hash);

  // Writes the table if it has changed, keeping rows that others wrote meanwhile.
  void save();

 private:
  struct Row {
    FileState state;
    ContentHash hash;
    bool settled = true;
  };
  std::optional<Row> row_of(const std::filesystem::path& path) const;
  using Rows = std::map<std::string, Row>;
  static Rows read(const std::filesystem::path& file);

  std::filesystem::path file_;
  mutable std::mutex mutex_;
  Rows rows_;
  Rows added_;  // since the last save
};

}  // namespace dermatome::data
