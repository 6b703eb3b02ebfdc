// Pairs brought to a training size, kept on disk, so that photographs are decoded once and not in every run.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "data/memory_budget.h"
#include "data/near_duplicates.h"
#include "data/prepared.h"
#include "data/source_index.h"

namespace dermatome::data {

struct CacheUsage {
  std::size_t entries = 0;  // pairs
  std::uint64_t bytes = 0;  // fingerprints included, 4 kB a photograph
};

// What filling a cache would take.
struct CachePlan {
  std::size_t present = 0;         // pairs that are there and whose files nobody touched
  std::size_t missing = 0;         // pairs to be read; some may turn out to be there
  std::uint64_t bytes = 0;         // that the missing ones need on disk
  std::uint64_t free = 0;          // that the disk has
  std::size_t missing_prints = 0;  // photographs whose fingerprint is not there
};

// What the plans of one folder at several sizes take together, `bytes` with the missing fingerprints, which are the
// same ones at every size.
CachePlan sum_of(std::span<const CachePlan> plans);

// Throws Error, saying what to do, where the bytes of the plan do not fit on the disk. `how` is the way of preparing.
void check_room(const CachePlan& plan, const std::filesystem::path& folder, const std::string& how);

// "1600 of 2000 pairs at 256 px are in FOLDER; 400 to add, 105 MB (12.3 GB are free)". Throws Error, saying what to do,
// where they do not fit on the disk.
std::string plan_sentence(const CachePlan& plan, const std::filesystem::path& folder, const Preparation& preparation);

// "105 MB", "12.3 GB".
std::string bytes_text(std::uint64_t bytes);

// A folder of one file a pair and size, named by the contents of photograph and mask and by everything else that its
// pixels depend on (size, way of preparing, versions of the picture libraries). So an entry is never stale: a changed
// file, or another library, looks for another name. Every entry carries a checksum and is put in place as a whole; a
// damaged one counts as absent. Any number of threads and programs may use a folder at once.
class Cache {
 public:
  enum class Access : std::uint8_t {
    read_write,
    read_only,  // nothing is made, stored or remembered: for finding out what is there
  };

  // Makes the folder where there is none (for reading only, that is an empty cache). Throws Error where that fails, or
  // where it holds files but is no cache.
  explicit Cache(const std::filesystem::path& folder, Access access = Access::read_write);
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  const std::filesystem::path& folder() const { return folder_; }

  // The sample prepared so, from the cache or else prepared, within `budget`, and stored. Throws Error as prepare_pair
  // does, and not where only storing failed: see write_failure().
  PreparedPair pair(const Sample& sample, const Preparation& preparation, MemoryBudget& budget);

  // The fingerprint of a photograph, found and kept in the same way. Throws Error as fingerprint_of does.
  Fingerprint fingerprint(const std::filesystem::path& photograph, MemoryBudget& budget);

  // Pairs that came from the cache and those that had to be prepared, so far.
  std::size_t hits() const { return hits_; }
  std::size_t misses() const { return misses_; }

  // Why an entry could not be stored, or an empty text.
  std::string write_failure() const;

  CachePlan plan(std::span<const Sample> samples, const Preparation& preparation) const;

  CacheUsage usage() const;

  // Removes entries and what killed programs left behind; returns what was removed: `clear` all of them and the index,
  // `remove_unused` what pair() has not given out or stored since this object was made.
  CacheUsage clear();
  CacheUsage remove_unused();

 private:
  struct Key {
    ContentHash image;
    ContentHash mask;
    Preparation preparation;
  };
  std::filesystem::path path_of(const Key& key) const;
  std::optional<Key> known_key(const Sample& sample, const Preparation& preparation) const;
  std::optional<PreparedPair> load(const Key& key);
  std::filesystem::path print_path_of(const ContentHash& hash) const;
  std::vector<std::uint8_t> read_source(const std::filesystem::path& path, ContentHash& hash);
  void store(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);
  void mark_used(const std::filesystem::path& path);
  void note_failure(const std::string& cause);
  void save_index_now_and_then();
  CacheUsage remove_if(const std::function<bool(const std::filesystem::path&)>& condition);

  std::filesystem::path folder_;
  Access access_;
  SourceIndex index_;
  std::atomic<std::size_t> hits_ = 0;
  std::atomic<std::size_t> misses_ = 0;
  std::atomic<std::int64_t> saved_at_ = 0;  // the index; seconds of a steady clock
  mutable std::mutex mutex_;                // of what follows
  std::set<std::filesystem::path> used_;
  std::string write_failure_;
};

}  // namespace dermatome::data
