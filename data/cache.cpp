// Entries by contents, found again through the index of sources, and put in place by renaming.
#include "data/cache.h"

#include <chrono>

#include "data/cache_entry.h"
#include "data/files.h"
#include "engine/core/error.h"

namespace dermatome::data {
namespace {

namespace fs = std::filesystem;

// Backup programs know the first line (bford.info/cachedir); the second tells our caches from others.
constexpr std::string_view kTagName = "CACHEDIR.TAG";
constexpr std::string_view kTag =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# Photographs and masks prepared by dermatome. `dermatome prepare --cache DIR --clean` empties it.\n";
constexpr std::string_view kIndexName = "sources.csv";
constexpr std::string_view kEnding = ".pair";
constexpr std::string_view kPrintEnding = ".print";
constexpr std::int64_t kSecondsBetweenSaves = 5;
constexpr std::int64_t kSecondsOfAWrite = 3600;  // a temporary file of that age was left by a program that was killed

std::int64_t steady_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool is_ours(const fs::path& folder) {
  const fs::path tag = folder / kTagName;
  if (!state_of(tag)) return false;
  const auto bytes = read_file(tag, kTag.size());
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()) == kTag;
}

bool holds_files(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (!is_partial(entry->path())) return true;
  }
  DERMATOME_CHECK(!error, "the cache folder {} cannot be read: {}", folder.string(), error.message());
  return false;
}

const fs::path& opened(const fs::path& folder, Cache::Access access) {
  const bool may_write = access == Cache::Access::read_write;
  std::error_code error;
  if (may_write) {
    fs::create_directories(folder, error);
  } else if (!fs::exists(folder)) {
    return folder;
  }
  DERMATOME_CHECK(!error && fs::is_directory(folder), "the cache folder {} cannot be made ({})", folder.string(),
                  error ? error.message() : "it is a file");
  if (is_ours(folder)) return folder;
  DERMATOME_CHECK(!holds_files(folder), "{} holds other files and is no cache of dermatome; give a folder of its own",
                  folder.string());
  if (may_write) write_file(folder / kTagName, kTag);
  return folder;
}

bool is_entry(const fs::path& path) {
  return path.extension() == kEnding || path.extension() == kPrintEnding;
}

// Nothing for a file that is not there, or was removed meanwhile.
std::vector<std::uint8_t> read_if_there(const fs::path& path) {
  if (!state_of(path)) return {};
  try {
    return read_file(path);
  } catch (const Error&) {
    return {};
  }
}

bool is_old(const fs::path& path) {
  std::error_code error;
  const auto age = fs::file_time_type::clock::now() - fs::last_write_time(path, error);
  return !error && age > std::chrono::seconds(kSecondsOfAWrite);
}

}  // namespace

Cache::Cache(const fs::path& folder, Access access)
    : folder_(opened(folder, access)), access_(access), index_(folder_ / kIndexName) {}

Cache::~Cache() {
  if (access_ == Access::read_only) return;
  try {
    index_.save();
  } catch (const std::exception&) {
    // It only saves work.
  }
}

fs::path Cache::path_of(const Key& key) const {
  const std::string image = to_text(key.image);
  const std::string settings = to_text(hash_of(preparation_version(key.preparation))).substr(0, 8);
  return folder_ / fmt::format("{}px-{}", key.preparation.size, settings) / image.substr(0, 2) /
         fmt::format("{}-{}{}", image, to_text(key.mask), kEnding);
}

std::optional<Cache::Key> Cache::known_key(const Sample& sample, const Preparation& preparation) const {
  const auto image = index_.find(sample.image);
  const auto mask = image ? index_.find(sample.mask) : std::nullopt;
  if (!mask) return std::nullopt;
  return Key{.image = *image, .mask = *mask, .preparation = preparation};
}

fs::path Cache::print_path_of(const ContentHash& hash) const {
  const std::string name = to_text(hash);
  const std::string settings = to_text(hash_of(preparation_version())).substr(0, 8);
  return folder_ / fmt::format("fingerprints-{}", settings) / name.substr(0, 2) /
         fmt::format("{}{}", name, kPrintEnding);
}

std::vector<std::uint8_t> Cache::read_source(const fs::path& path, ContentHash& hash) {
  const auto before = state_of(path);
  auto bytes = read_file(path);
  hash = hash_of(bytes);
  index_.remember(path, before, hash);
  return bytes;
}

PreparedPair Cache::pair(const Sample& sample, const Preparation& preparation, MemoryBudget& budget) {
  check_size(preparation);
  if (const auto key = known_key(sample, preparation)) {
    if (auto pair = load(*key)) return std::move(*pair);
  }
  Key key{.image = {}, .mask = {}, .preparation = preparation};
  const auto image = read_source(sample.image, key.image);
  const auto mask = read_source(sample.mask, key.mask);
  save_index_now_and_then();
  if (auto pair = load(key)) return std::move(*pair);

  const auto share = budget.take(preparing_bytes(image, mask, preparation.size));
  PreparedPair pair = prepare_pair(sample, image, mask, preparation);
  pair.image_file = key.image;
  pair.mask_file = key.mask;
  ++misses_;
  store(path_of(key), encode_entry(pair));
  return pair;
}

Fingerprint Cache::fingerprint(const fs::path& photograph, MemoryBudget& budget) {
  const auto load_print = [this](const ContentHash& hash) -> std::optional<Fingerprint> {
    const fs::path path = print_path_of(hash);
    const auto print = decode_print(read_if_there(path));
    if (print) mark_used(path);
    return print;
  };
  if (const auto hash = index_.find(photograph)) {
    if (const auto print = load_print(*hash)) return *print;
  }
  ContentHash hash;
  const auto bytes = read_source(photograph, hash);
  save_index_now_and_then();
  if (const auto print = load_print(hash)) return *print;
  const auto share = budget.take(preparing_bytes(bytes, bytes, Fingerprint::kSide));
  const Fingerprint print = fingerprint_of(bytes, photograph.string());
  store(print_path_of(hash), encode_print(print));
  return print;
}

std::optional<PreparedPair> Cache::load(const Key& key) {
  const fs::path path = path_of(key);
  auto pair = decode_entry(read_if_there(path), key.preparation.size);
  if (!pair) return std::nullopt;
  pair->image_file = key.image;
  pair->mask_file = key.mask;
  ++hits_;
  mark_used(path);
  return pair;
}

void Cache::store(const fs::path& path, std::span<const std::uint8_t> bytes) {
  if (access_ == Access::read_only) return;
  // Somebody who cleans the cache may remove the folder between these two steps.
  constexpr int kAttempts = 3;
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    try {
      std::error_code ignored;
      fs::create_directories(path.parent_path(), ignored);
      write_file(path, bytes, Durability::unsynced);
      break;
    } catch (const Error& error) {
      if (attempt == kAttempts) note_failure(error.what());
    }
  }
  mark_used(path);
}

void Cache::mark_used(const fs::path& path) {
  const std::lock_guard lock(mutex_);
  used_.insert(path);
}

void Cache::note_failure(const std::string& cause) {
  const std::lock_guard lock(mutex_);
  if (write_failure_.empty()) write_failure_ = cause;
}

std::string Cache::write_failure() const {
  const std::lock_guard lock(mutex_);
  return write_failure_;
}

// So that a killed program need not read again what it has read.
void Cache::save_index_now_and_then() {
  if (access_ == Access::read_only) return;
  std::int64_t last = saved_at_;
  const std::int64_t now = steady_seconds();
  if (now - last < kSecondsBetweenSaves || !saved_at_.compare_exchange_strong(last, now)) return;
  try {
    index_.save();
  } catch (const Error& error) {
    note_failure(error.what());
  }
}

CachePlan Cache::plan(std::span<const Sample> samples, const Preparation& preparation) const {
  const std::uint64_t bytes = entry_bytes(preparation.size);
  CachePlan plan;
  for (const Sample& sample : samples) {
    const auto image = index_.guess(sample.image);
    const auto mask = index_.guess(sample.mask);
    const auto key =
        image && mask ? std::optional(Key{.image = *image, .mask = *mask, .preparation = preparation}) : std::nullopt;
    const auto entry = key ? state_of(path_of(*key)) : std::nullopt;
    const bool present = entry && entry->size == bytes;
    ++(present ? plan.present : plan.missing);
    plan.missing_prints += image && state_of(print_path_of(*image)) ? 0u : 1u;
  }
  plan.bytes = plan.missing * bytes;
  std::error_code error;
  const auto space = fs::space(nearest_existing(folder_), error);
  plan.free = error ? 0 : space.available;
  return plan;
}

std::string bytes_text(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= 1'000'000'000) return fmt::format("{:.1f} GB", value * 1e-9);
  if (bytes >= 10'000'000) return fmt::format("{:.0f} MB", value * 1e-6);
  return fmt::format("{:.1f} MB", value * 1e-6);
}

CachePlan sum_of(std::span<const CachePlan> plans) {
  CachePlan sum;
  for (const CachePlan& plan : plans) {
    sum.present += plan.present;
    sum.missing += plan.missing;
    sum.bytes += plan.bytes;
    sum.free = plan.free;
    sum.missing_prints = plan.missing_prints;
  }
  sum.bytes += sum.missing_prints * print_bytes();
  return sum;
}

void check_room(const CachePlan& plan, const fs::path& folder, const std::string& how) {
  // A disk without any room left to spare is a trap for whoever writes next.
  constexpr std::uint64_t kReserve = 64'000'000;
  DERMATOME_CHECK(plan.bytes == 0 || plan.free >= plan.bytes + kReserve,
                  "the cache {} needs {} more for {} pairs at {} but its disk has only {} free: make room (`dermatome "
                  "prepare --cache {} --clean` empties it) or give another folder",
                  folder.string(), bytes_text(plan.bytes), plan.missing, how, bytes_text(plan.free), folder.string());
}

std::string plan_sentence(const CachePlan& plan, const fs::path& folder, const Preparation& preparation) {
  const std::string how = to_text(preparation);
  check_room(plan, folder, how);
  const std::size_t all = plan.present + plan.missing;
  if (plan.missing == 0) return fmt::format("all {} pairs at {} are in {}", all, how, folder.string());
  return fmt::format("{} of {} pairs at {} are in {}; {} to add, {} ({} are free)", plan.present, all, how,
                     folder.string(), plan.missing, bytes_text(plan.bytes), bytes_text(plan.free));
}

CacheUsage Cache::usage() const {
  CacheUsage usage;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder_, error), end; !error && entry != end; entry.increment(error)) {
    if (!is_entry(entry->path())) continue;
    const auto state = state_of(entry->path());
    if (!state) continue;
    usage.entries += entry->path().extension() == kEnding ? 1u : 0u;
    usage.bytes += state->size;
  }
  return usage;
}

CacheUsage Cache::remove_if(const std::function<bool(const fs::path&)>& condition) {
  std::vector<fs::path> files;
  std::vector<fs::path> folders;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder_, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    (entry->is_directory(ignored) ? folders : files).push_back(entry->path());
  }
  CacheUsage removed;
  for (const auto& file : files) {
    if (!condition(file)) continue;
    const auto state = state_of(file);
    std::error_code failure;
    fs::remove(file, failure);
    DERMATOME_CHECK(!failure, "cannot remove {}: {}", file.string(), failure.message());
    if (!is_entry(file) || !state) continue;
    removed.entries += file.extension() == kEnding ? 1u : 0u;
    removed.bytes += state->size;
  }
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) {
    std::error_code not_empty;
    fs::remove(*folder, not_empty);
  }
  return removed;
}

CacheUsage Cache::clear() {
  return remove_if(
      [&](const fs::path& file) { return is_entry(file) || is_partial(file) || file == folder_ / kIndexName; });
}

CacheUsage Cache::remove_unused() {
  const std::lock_guard lock(mutex_);
  return remove_if(
      [&](const fs::path& file) { return is_partial(file) ? is_old(file) : is_entry(file) && !used_.contains(file); });
}

}  // namespace dermatome::data
