// The cache: what it gives back, what it notices, what it survives.
#include "data/cache.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "data/cache_entry.h"
#include "data/resident_set.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;
using testing::disc;
using testing::exif_block;
using testing::expect_error;
using testing::make_jpeg;
using testing::random_image;
using testing::smooth_image;
using testing::TemporaryFolder;

bool same(const PreparedPair& a, const PreparedPair& b) {
  return a.photograph.image == b.photograph.image && a.photograph.stored == b.photograph.stored && a.mask == b.mask &&
         a.repairs == b.repairs;
}

class CacheTest : public ::testing::Test {
 protected:
  Sample add(const std::string& id, std::uint64_t seed) const {
    return {.id = id,
            .image = folder_.add(id + ".png", encode_png(random_image(90, 70, 3, seed))),
            .mask = folder_.add(id + "_mask.png", encode_png(disc(90, 70, 5 + static_cast<double>(seed % 20))))};
  }

  PreparedPair fresh(const Sample& sample, int size) const {
    return prepare_pair(sample, read_file(sample.image), read_file(sample.mask), size);
  }

  static void age(const fs::path& path) {
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(10));
  }

  std::vector<fs::path> entries() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "cache")) {
      if (entry.path().extension() == ".pair") found.push_back(entry.path());
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  TemporaryFolder folder_;
  MemoryBudget budget_{kDecodingBudget};
};

TEST_F(CacheTest, KeepsPairsThatWerePreparedInDifferentWaysApart) {
  const Sample sample = add("a", 1);
  const std::vector<Preparation> ways{16,
                                      {16, Resize::pad, ColourConstancy::none},
                                      {16, Resize::squash, ColourConstancy::gray_world},
                                      {16, Resize::squash, ColourConstancy::max_rgb},
                                      {16, Resize::squash, ColourConstancy::none, MaskResize::nearest}};
  for (const bool again : {false, true}) {
    Cache cache(folder_ / "cache");
    for (const Preparation& way : ways) {
      EXPECT_EQ(cache.plan(std::span(&sample, 1), way).present, again ? 1u : 0u) << to_text(way);
      const auto expected = prepare_pair(sample, read_file(sample.image), read_file(sample.mask), way);
      EXPECT_TRUE(same(cache.pair(sample, way, budget_), expected)) << to_text(way);
    }
    EXPECT_EQ(cache.hits(), again ? ways.size() : 0u);
  }
  EXPECT_EQ(entries().size(), ways.size());
}

TEST_F(CacheTest, GivesBackWhatPreparingGives) {
  const Image photograph = smooth_image(96, 64);
  const Sample turned{
      .id = "t",
      .image = folder_.add("t.jpg", make_jpeg(photograph.pixels, 96, 64, {.app1 = exif_block(6, true)})),
      .mask = folder_.add("t_mask.png", encode_png(disc(96, 64, 20, 1)))};
  for (const Sample& sample : {add("a", 1), turned}) {
    Cache cache(folder_ / "cache");
    const PreparedPair first = cache.pair(sample, 16, budget_);
    EXPECT_EQ(cache.misses(), 1u);
    const PreparedPair second = cache.pair(sample, 16, budget_);
    EXPECT_EQ(cache.hits(), 1u);
    EXPECT_EQ(cache.misses(), 1u);
    EXPECT_TRUE(same(first, fresh(sample, 16)));
    EXPECT_TRUE(same(second, first));
  }
  EXPECT_TRUE(Cache(folder_ / "cache").pair(turned, 16, budget_).repairs.zero_one);
}

TEST_F(CacheTest, KeepsSizesApart) {
  const Sample sample = add("a", 1);
  Cache cache(folder_ / "cache");
  cache.pair(sample, 16, budget_);
  EXPECT_EQ(cache.pair(sample, 24, budget_).mask.width, 24);
  EXPECT_EQ(cache.misses(), 2u);
  EXPECT_EQ(cache.usage().entries, 2u);
  EXPECT_EQ(cache.usage().bytes, entry_bytes(16) + entry_bytes(24));
}

TEST_F(CacheTest, NoticesAPhotographThatChanged) {
  const Sample sample = add("a", 1);
  Cache(folder_ / "cache").pair(sample, 16, budget_);
  add("a", 2);
  Cache cache(folder_ / "cache");
  EXPECT_TRUE(same(cache.pair(sample, 16, budget_), fresh(sample, 16)));
  EXPECT_EQ(cache.misses(), 1u);
}

TEST_F(CacheTest, NoticesAChangeThatKeepsSizeAndTime) {
  const Sample sample = add("a", 1);
  const auto write_padded = [&](double radius) {
    Bytes bytes = encode_png(disc(90, 70, radius));
    bytes.resize(4000);  // what follows the end of a PNG is not looked at
    write_file(sample.mask, bytes);
    age(sample.mask);
  };
  write_padded(10);
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));  // until the files have settled
  Cache(folder_ / "cache").pair(sample, 16, budget_);
  const CachePlan plan = Cache(folder_ / "cache").plan(std::span(&sample, 1), 16);
  ASSERT_EQ(plan.present, 1u) << "the index remembers both files";
  write_padded(25);
  EXPECT_EQ(Cache(folder_ / "cache").plan(std::span(&sample, 1), 16).present, 0u);
  Cache cache(folder_ / "cache");
  EXPECT_TRUE(same(cache.pair(sample, 16, budget_), fresh(sample, 16)));
  EXPECT_EQ(cache.hits(), 0u);
}

TEST_F(CacheTest, TrustsTheIndexOnlyForFilesThatHaveSettled) {
  const Sample sample = add("a", 1);
  const ContentHash hash = hash_of(read_file(sample.image));
  SourceIndex index(folder_ / "index.csv");
  index.remember(sample.image, state_of(sample.image), hash);
  EXPECT_EQ(index.find(sample.image), std::nullopt) << "it was written a moment ago";
  EXPECT_EQ(index.guess(sample.image), hash) << "which is enough to say what is there";
  FileState settled = *state_of(sample.image);
  settled.changed -= 1;
  index.remember(sample.image, settled, hash);
  EXPECT_EQ(index.find(sample.image), std::nullopt) << "it changed while it was read";
}

TEST_F(CacheTest, IndexSurvivesSavingAndForgetsChangedFiles) {
  // Files of the source tree were not written within the last two seconds.
  const fs::path file = fs::path(DERMATOME_SOURCE_DIR) / "data/sample/README.md";
  const ContentHash hash = hash_of(read_file(file));
  {
    SourceIndex index(folder_ / "index.csv");
    index.remember(file, state_of(file), hash);
    index.save();
  }
  EXPECT_EQ(SourceIndex(folder_ / "index.csv").find(file), hash);
  std::string text = [&] {
    const auto bytes = read_file(folder_ / "index.csv");
    return std::string(bytes.begin(), bytes.end());
  }();
  const std::string inode = std::to_string(state_of(file)->inode);
  const std::size_t at = text.find("," + inode + ",");
  ASSERT_NE(at, std::string::npos);
  text[at + 1] = text[at + 1] == '1' ? '2' : '1';
  write_file(folder_ / "index.csv", text);
  EXPECT_EQ(SourceIndex(folder_ / "index.csv").find(file), std::nullopt) << "a damaged table counts as empty";
  write_file(folder_ / "index.csv", std::string_view("nonsense"));
  EXPECT_EQ(SourceIndex(folder_ / "index.csv").find(file), std::nullopt);
}

TEST_F(CacheTest, IndexKeepsWhatOthersWroteMeanwhile) {
  const fs::path sample = fs::path(DERMATOME_SOURCE_DIR) / "data/sample";
  const fs::path a = sample / "README.md";
  const fs::path b = sample / "ISIC-2017_Training_Data/ISIC_0000063.jpg";
  SourceIndex first(folder_ / "index.csv");
  SourceIndex second(folder_ / "index.csv");
  first.remember(a, state_of(a), hash_of("a"));
  second.remember(b, state_of(b), hash_of("b"));
  first.save();
  second.save();
  const SourceIndex both(folder_ / "index.csv");
  EXPECT_EQ(both.find(a), hash_of("a"));
  EXPECT_EQ(both.find(b), hash_of("b"));
}

TEST_F(CacheTest, PreparesADamagedEntryAgain) {
  const Sample sample = add("a", 1);
  Cache(folder_ / "cache").pair(sample, 16, budget_);
  ASSERT_EQ(entries().size(), 1u);
  const Bytes whole = read_file(entries()[0]);
  for (const std::size_t at : {std::size_t{0}, std::size_t{9}, std::size_t{100}, whole.size() - 1}) {
    Bytes damaged = whole;
    damaged[at] ^= 1;
    write_file(entries()[0], damaged);
    Cache cache(folder_ / "cache");
    EXPECT_TRUE(same(cache.pair(sample, 16, budget_), fresh(sample, 16))) << at;
    EXPECT_EQ(cache.misses(), 1u) << at;
    EXPECT_EQ(read_file(entries()[0]), whole) << "repaired on the way";
  }
  write_file(entries()[0], std::span(whole).first(whole.size() / 2));
  Cache cache(folder_ / "cache");
  EXPECT_TRUE(same(cache.pair(sample, 16, budget_), fresh(sample, 16)));
}

TEST_F(CacheTest, KeepsFingerprintsAndNoticesDamage) {
  const Sample sample = add("a", 1);
  const Fingerprint expected = fingerprint_of(read_file(sample.image), "a");
  EXPECT_EQ(Cache(folder_ / "cache").fingerprint(sample.image, budget_), expected);
  fs::path print;
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "cache")) {
    if (entry.path().extension() == ".print") print = entry.path();
  }
  ASSERT_FALSE(print.empty());
  Bytes damaged = read_file(print);
  damaged[100] ^= 1;
  write_file(print, damaged);
  EXPECT_EQ(Cache(folder_ / "cache").fingerprint(sample.image, budget_), expected);
  add("a", 2);
  EXPECT_NE(Cache(folder_ / "cache").fingerprint(sample.image, budget_), expected) << "another picture";
  EXPECT_GT(Cache(folder_ / "cache").clear().bytes, 8000u);
  EXPECT_FALSE(fs::exists(print));
}

TEST_F(CacheTest, StoresNothingOfBadFiles) {
  Sample sample = add("a", 1);
  folder_.add("a.png", "no picture");
  Cache cache(folder_ / "cache");
  expect_error([&] { cache.pair(sample, 16, budget_); }, {"a.png is a text"});
  EXPECT_EQ(cache.usage().entries, 0u);
}

TEST_F(CacheTest, ServesManyThreadsAndObjectsAtOnce) {
  std::vector<Sample> samples;
  for (int i = 0; i < 12; ++i) samples.push_back(add(fmt::format("s{:02}", i), static_cast<std::uint64_t>(i % 6)));
  const int threads = omp_get_max_threads();
  omp_set_num_threads(4);
  Cache first(folder_ / "cache");
  Cache second(folder_ / "cache");
  const auto failures = for_each_file(48, {}, [&](std::size_t i) {
    const Sample& sample = samples[i % 12];
    Cache& cache = i % 2 == 0 ? first : second;
    DERMATOME_CHECK(same(cache.pair(sample, 16, budget_), fresh(sample, 16)), "{} differs", sample.id);
  });
  omp_set_num_threads(threads);
  for (const auto& failure : failures) EXPECT_EQ(failure, "");
  EXPECT_EQ(entries().size(), 6u) << "equal contents share an entry";
  EXPECT_EQ(first.write_failure() + second.write_failure(), "");
}

TEST_F(CacheTest, MakesTheSameResidentSetAsDecoding) {
  std::vector<Sample> samples;
  for (int i = 0; i < 5; ++i) samples.push_back(add(fmt::format("s{}", i), static_cast<std::uint64_t>(i)));
  folder_.add("s2_mask.png", "no mask");
  Cache cache(folder_ / "cache");
  const ResidentSet plain = load_resident_set(samples, 16, {.skip_bad = true});
  for (int round = 0; round < 2; ++round) {
    const ResidentSet cached = load_resident_set(samples, 16, {.cache = &cache, .skip_bad = true});
    EXPECT_EQ(cached.images, plain.images);
    EXPECT_EQ(cached.masks, plain.masks);
    EXPECT_EQ(cached.ids, plain.ids);
    EXPECT_EQ(cached.stored, plain.stored);
    EXPECT_EQ(cached.report.left_out, plain.report.left_out);
  }
  EXPECT_EQ(cache.hits(), 4u);
}

TEST_F(CacheTest, OpenForReadingOnlyChangesNothing) {
  const Sample sample = add("a", 1);
  {
    Cache cache(folder_ / "cache", Cache::Access::read_only);
    EXPECT_TRUE(same(cache.pair(sample, 16, budget_), fresh(sample, 16)));
    cache.fingerprint(sample.image, budget_);
    const CachePlan plan = cache.plan(std::span(&sample, 1), 16);
    EXPECT_EQ(plan.missing, 1u);
    EXPECT_GT(plan.free, 0u) << "of the disk that the folder would lie on";
  }
  EXPECT_FALSE(fs::exists(folder_ / "cache"));
  Cache(folder_ / "cache").pair(sample, 16, budget_);
  const auto before = entries();
  {
    Cache cache(folder_ / "cache", Cache::Access::read_only);
    cache.pair(sample, 16, budget_);
    EXPECT_EQ(cache.hits(), 1u);
    cache.pair(sample, 8, budget_);
  }
  EXPECT_EQ(entries(), before);
  folder_.add("photos/a.jpg");
  expect_error([&] { Cache(folder_ / "photos", Cache::Access::read_only); }, {"photos holds other files"});
}

TEST_F(CacheTest, RefusesAFolderOfOtherFiles) {
  folder_.add("photos/a.jpg");
  expect_error([&] { Cache(folder_ / "photos"); }, {"photos holds other files", "a folder of its own"});
  folder_.add("photos2/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# of another program\n");
  expect_error([&] { Cache(folder_ / "photos2"); }, {"photos2 holds other files"});
  expect_error([&] { Cache(folder_ / "photos/a.jpg"); }, {"photos/a.jpg cannot be made"});
  folder_.add("young/CACHEDIR.TAG.partial-host-1-1", "Signa");
  EXPECT_NO_THROW(Cache(folder_ / "young")) << "somebody else is just making it";
}

TEST_F(CacheTest, RemovesOnlyItsOwnFiles) {
  const Sample a = add("a", 1);
  const Sample b = add("b", 2);
  {
    Cache cache(folder_ / "cache");
    cache.pair(a, 16, budget_);
    cache.pair(b, 16, budget_);
    cache.pair(a, 24, budget_);
  }
  folder_.add("cache/notes.txt", "mine");
  folder_.add("cache/16px-x/ab/old.pair.partial-host-1-1", "half");
  age(folder_ / "cache/16px-x/ab/old.pair.partial-host-1-1");
  folder_.add("cache/16px-x/ab/new.pair.partial-host-1-1", "half");
  Cache cache(folder_ / "cache");
  cache.pair(a, 16, budget_);
  const CacheUsage unused = cache.remove_unused();
  EXPECT_EQ(unused.entries, 2u);
  EXPECT_EQ(unused.bytes, entry_bytes(16) + entry_bytes(24));
  EXPECT_EQ(cache.usage().entries, 1u);
  EXPECT_FALSE(fs::exists(folder_ / "cache/16px-x/ab/old.pair.partial-host-1-1"));
  EXPECT_TRUE(fs::exists(folder_ / "cache/16px-x/ab/new.pair.partial-host-1-1")) << "its writer may be at work";
  EXPECT_EQ(cache.clear().entries, 1u);
  EXPECT_TRUE(fs::exists(folder_ / "cache/notes.txt"));
  EXPECT_FALSE(fs::exists(folder_ / "cache/16px-x"));
  EXPECT_NO_THROW(cache.pair(a, 16, budget_)) << "an emptied cache can be filled again";
  EXPECT_EQ(cache.usage().entries, 1u);
}

TEST_F(CacheTest, PlansWhatIsMissing) {
  const fs::path sample = fs::path(DERMATOME_SOURCE_DIR) / "data/sample";
  const auto samples = find_samples(sample);
  Cache cache(folder_ / "cache");
  const CachePlan before = cache.plan(samples, 16);
  EXPECT_EQ(before.present, 0u);
  EXPECT_EQ(before.missing, samples.size());
  EXPECT_EQ(before.bytes, samples.size() * entry_bytes(16));
  for (std::size_t i = 0; i < 3; ++i) cache.pair(samples[i], 16, budget_);
  const CachePlan after = cache.plan(samples, 16);
  EXPECT_EQ(after.present, 3u);
  EXPECT_EQ(after.missing_prints, samples.size());
  for (std::size_t i = 0; i < 5; ++i) cache.fingerprint(samples[i].image, budget_);
  const std::vector<CachePlan> plans{cache.plan(samples, 16), cache.plan(samples, 24)};
  const CachePlan sum = sum_of(plans);
  EXPECT_EQ(sum.present, 3u);
  EXPECT_EQ(sum.missing, 2 * samples.size() - 3);
  EXPECT_EQ(sum.missing_prints, samples.size() - 5) << "once, not once a size";
  std::uint64_t print = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "cache"))
    print = entry.path().extension() == ".print" ? entry.file_size() : print;
  EXPECT_EQ(sum.bytes,
            (samples.size() - 3) * entry_bytes(16) + samples.size() * entry_bytes(24) + (samples.size() - 5) * print);
  EXPECT_EQ(plan_sentence({.present = 3, .missing = 45, .bytes = 49'000'000, .free = 12'340'000'000}, "c", 16),
            "3 of 48 pairs at 16 px are in c; 45 to add, 49 MB (12.3 GB are free)");
  EXPECT_EQ(plan_sentence({.present = 48}, "c", 16), "all 48 pairs at 16 px are in c");
  expect_error([] { plan_sentence({.missing = 45, .bytes = 49'000'000, .free = 50'000'000}, "c", 16); },
               {"needs 49 MB more", "50 MB free", "prepare --cache c --clean"});
}

TEST_F(CacheTest, PlansRightlyAMomentAfterTheFilesWereWritten) {
  const Sample sample = add("a", 1);
  Cache(folder_ / "cache").pair(sample, 16, budget_);
  EXPECT_EQ(Cache(folder_ / "cache").plan(std::span(&sample, 1), 16).present, 1u);
  add("a", 2);
  EXPECT_EQ(Cache(folder_ / "cache").plan(std::span(&sample, 1), 16).present, 0u);
}

TEST_F(CacheTest, GoesOnWithoutAFolderThatCannotBeWritten) {
  const Sample sample = add("a", 1);
  Cache cache(folder_ / "cache");
  // A file where the entry's folder should be: nobody can write there, whatever the rights.
  const std::string settings = to_text(hash_of(preparation_version())).substr(0, 8);
  folder_.add("cache/16px-" + settings, "in the way");
  EXPECT_TRUE(same(cache.pair(sample, 16, budget_), fresh(sample, 16)));
  EXPECT_NE(cache.write_failure().find("cannot write"), std::string::npos) << cache.write_failure();
}

TEST(ContentHash, ReadsBackItsText) {
  const ContentHash hash = hash_of("lesion");
  EXPECT_EQ(parse_hash(to_text(hash)), hash);
  EXPECT_EQ(to_text(hash).size(), 32u);
  EXPECT_NE(hash, hash_of("lesions"));
  EXPECT_EQ(parse_hash("x"), std::nullopt);
  EXPECT_EQ(parse_hash(std::string(32, 'g')), std::nullopt);
  // The published value of XXH3's 128 bits for no input with seed 0.
  EXPECT_EQ(to_text(hash_of("")), "99aa06d3014798d86001c324468d497f");
}

}  // namespace
}  // namespace dermatome::data
