// The cache from the command line: filled ahead, used by training and evaluation, resumed after a kill, emptied.
#include <csignal>

#include <nlohmann/json.hpp>

#include "data/cache.h"
#include "data/codec.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

// Files of the source tree were not written a moment ago, so the cache may trust their times.
const std::string kSample = std::string(DERMATOME_SOURCE_DIR) + "/data/sample";

class Prepare : public CommandLine {
 protected:
  static std::vector<std::string> preparing(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"prepare", "--data", kSample, "--cache", "c", "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  Outcome done(const std::vector<std::string>& arguments) const {
    Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome;
  }

  static void expect_told(const Outcome& outcome, const std::vector<std::string>& parts) {
    for (const auto& part : parts)
      EXPECT_NE(outcome.err.find(part), std::string::npos) << part << " not in:\n" << outcome.err;
  }

  std::size_t entries() const {
    std::size_t count = 0;
    if (!fs::exists(folder_ / "c")) return 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "c"))
      count += entry.path().extension() == ".pair" ? 1u : 0u;
    return count;
  }
};

TEST_F(Prepare, FillsACacheAheadAndSaysWhatItTakes) {
  const Outcome first = done(preparing({"--size", "32", "--size", "16"}));
  EXPECT_EQ(first.out, "");
  expect_told(first, {"0 of 48 pairs at 16 px are in c; 48 to add, 0.1 MB (", "are free)",
                      "together 96 pairs and 48 fingerprints to add, 0.4 MB (", "decoding holds 512 MiB at most",
                      "32 px: 0 pairs were there, 48 added in ", "c holds 96 entries, 0.4 MB"});
  const Outcome second = done(preparing({"size=32"}));
  expect_told(second, {"all 48 pairs at 32 px are in c\n32 px: 48 pairs were there, 0 added\n"});
}

TEST_F(Prepare, TellsRepairsOnceAndNotOnceASize) {
  const auto whole = data::probe(image(ids_[1]));
  data::write_png(mask(ids_[1]), data::testing::disc(whole.width, whole.height, 100, 1));
  const Outcome outcome = done({"prepare", "--data", "data", "--cache", "c", "--size", "16", "--size", "32"});
  const std::string sentence = "1 of 5 masks hold 0 and 1; they were read as 0 and 255\n";
  const auto first = outcome.err.find(sentence);
  ASSERT_NE(first, std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find(sentence, first + 1), std::string::npos) << outcome.err;
}

// Each size would fit on the disk by itself.
TEST_F(Prepare, RefusesSizesThatTogetherDoNotFitBeforeItWritesAny) {
  const data::CachePlan plan = data::Cache(folder_ / "c").plan(data::find_samples(kSample), 8000);
  const auto sizes = plan.free / std::max<std::uint64_t>(plan.bytes, 1) + 2;
  if (plan.bytes > plan.free || sizes > 190) GTEST_SKIP() << "this disk is too small or too large for the test";
  std::vector<std::string> arguments = preparing();
  for (std::uint64_t i = 0; i < sizes; ++i) arguments.insert(arguments.end(), {"--size", std::to_string(8000 + i)});
  expect_refused(1, arguments,
                 {"the cache c needs ", " more for ", "8000 px and 8001 px", "prepare --cache c --clean"});
  EXPECT_EQ(entries(), 0u);
}

TEST_F(Prepare, TrainingWithACacheGivesTheSameBits) {
  std::vector<std::string> plain{"train", "--data",           kSample,   "--run",    "plain",  "--threads",
                                 "1",     "model=tiny.graph", "batch=8", "epochs=1", "size=32"};
  done(plain);
  done(preparing({"size=32"}));
  std::vector<std::string> cached = plain;
  cached[4] = "cached";
  cached.insert(cached.end(), {"--cache", "c"});
  expect_told(done(cached), {"all 48 pairs at 32 px are in c"});
  for (const char* file : {"steps.csv", "last.safetensors"}) {
    EXPECT_EQ(text_of(folder_ / "plain" / file), text_of(folder_ / "cached" / file)) << file;
  }
  const auto scores = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments{"evaluate",  "--run", "plain",  "--data", kSample,
                                       "--threads", "1",     "--json", "-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return nlohmann::json::parse(done(arguments).out).at("per_image");
  };
  EXPECT_EQ(scores({"--cache", "c"}), scores({}));
}

TEST_F(Prepare, GoesOnAfterAKillAtAnyMoment) {
  std::size_t before = 0;
  for (int round = 0; round < 4; ++round) {
    Process process(folder_.path(), preparing({"--size", "64"}));
    const auto start = std::chrono::steady_clock::now();
    while (entries() < before + 8 && std::chrono::steady_clock::now() - start < std::chrono::seconds(30)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    process.signal(SIGKILL);
    process.wait();
    EXPECT_GE(entries(), before) << "nothing is lost";
    before = entries();
  }
  EXPECT_LT(before, 48u) << "the kills came too late to prove anything";
  expect_told(done(preparing({"--size", "64"})),
              {fmt::format("64 px: {} pairs were there, {} added", before, 48 - before)});
  const auto samples = data::find_samples(kSample);
  data::Cache cache(folder_ / "c");
  data::MemoryBudget budget(data::kDecodingBudget);
  for (const auto& sample : samples) {
    const auto expected = data::prepare_pair(sample, data::read_file(sample.image), data::read_file(sample.mask), 64);
    EXPECT_EQ(cache.pair(sample, 64, budget).photograph.image, expected.photograph.image) << sample.id;
  }
  EXPECT_EQ(cache.misses(), 0u);
}

TEST_F(Prepare, StopsAtASignalAndSaysHowToGoOn) {
  Process process(folder_.path(), preparing({"--size", "512"}));
  const auto start = std::chrono::steady_clock::now();
  while (entries() < 3 && std::chrono::steady_clock::now() - start < std::chrono::seconds(30)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  process.signal(SIGINT);
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  expect_told(outcome, {"stopped; ", "entries are in c, and the same command goes on from there"});
}

TEST_F(Prepare, NamesEveryBadFile) {
  data::write_file(image(ids_[0]), std::string_view("this is a text\n"));
  data::write_file(mask(ids_[1]), std::string_view());
  const std::vector<std::string> arguments{"prepare", "--data", "data", "--cache", "c", "--size", "32"};
  const Outcome strict = run(arguments);
  EXPECT_EQ(strict.code, 1);
  expect_told(strict, {"bad: " + (fs::path(kImages) / (ids_[0] + ".jpg")).string() + " is a text, not a picture\n",
                       "bad: " + (fs::path(kMasks) / (ids_[1] + "_segmentation.png")).string() + " is empty\n",
                       "dermatome: 2 of 5 samples cannot be used, see above: repair or remove them, or leave them out "
                       "with --skip-bad\n"});
  auto skipping = arguments;
  skipping.push_back("--skip-bad");
  expect_told(done(skipping), {"left out: ", "32 px: 3 pairs were there, 0 added\n"});
}

TEST_F(Prepare, EmptiesACacheAndRemovesWhatIsNotNeeded) {
  done(preparing({"--size", "16"}));
  expect_told(done(preparing({"--size", "24", "--remove-unused"})),
              {"removed 48 entries that these photographs do not need"});
  EXPECT_EQ(entries(), 48u);
  expect_told(done({"prepare", "--cache", "c", "--clean"}), {"removed 48 entries, 0.3 MB, from c"});
  EXPECT_EQ(entries(), 0u);
  expect_refused(1, {"prepare", "--cache", "nowhere", "--clean"}, {"there is no cache folder nowhere"});
  expect_refused(2, {"prepare", "--clean"}, {"which cache?", "--cache DIR"});
  EXPECT_FALSE(fs::exists(folder_ / "nowhere"));
}

TEST_F(Prepare, RefusesWhatMakesNoSense) {
  expect_refused(2, {"prepare", "--data", "data"}, {"where to?", "--cache DIR"});
  expect_refused(2, {"prepare", "--cache", "c"}, {"which photographs?", "--data DIR"});
  expect_refused(1, {"prepare", "--data", "data", "--cache", "data"},
                 {"data holds other files and is no cache", "a folder of its own"});
  expect_refused(1, {"prepare", "--data", "data", "--cache", "tiny.graph"}, {"tiny.graph cannot be made"});
  expect_refused(2, {"prepare", "--data", "data", "--cache", "c", "--size", "0"}, {"--size", "0"});
  expect_refused(2, {"prepare", "--data", "data", "--cache", "c", "--size", "32", "size=64"},
                 {"either --size or a recipe"});
  expect_refused(2, {"prepare", "--data", "data", "--cache", "c", "--clean", "--measure"}, {"--clean", "--measure"});
  expect_refused(1, training("r", {"--cache", "data"}), {"data holds other files"});
  EXPECT_FALSE(fs::exists(folder_ / "r"));
}

TEST_F(Prepare, MeasuresWhatReducedDecodingCosts) {
  const Outcome outcome = done({"prepare", "--data", "data", "--size", "64", "--measure", "--threads", "1"});
  EXPECT_NE(outcome.out.find("5 of 5"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("full decoding"), std::string::npos) << outcome.out;
}

// Each of these progressive JPEGs needs 180 MB of coefficients: five threads at once would hold 900 MB.
TEST_F(Prepare, OfThirtyMegapixelPhotographsHoldsWhatItStates) {
  constexpr int kWidth = 6720, kHeight = 4480, kPhotographs = 5;
  auto photograph =
      data::testing::make_jpeg(data::testing::smooth_image(kWidth, 1).pixels, kWidth, kHeight, {.progressive = true});
  const auto mask = data::encode_png(data::testing::disc(672, 448, 90));
  for (int i = 0; i < kPhotographs; ++i) {
    photograph.push_back(static_cast<std::uint8_t>(i));  // behind its end: the same picture in another file
    folder_.add(fmt::format("large/images/p{}.jpg", i), photograph);
    folder_.add(fmt::format("large/masks/p{}.png", i), mask);
  }
  const Outcome outcome = done({"prepare", "--data", "large", "--cache", "c", "--size", "128", "--threads", "5"});
  expect_told(outcome, {"decoding holds 512 MiB at most beside the files read, on 5 threads", "5 added"});
#ifndef __SANITIZE_ADDRESS__  // which keeps freed memory for a while
  EXPECT_LT(outcome.peak_memory, std::size_t{600} << 20);
#endif
  EXPECT_GT(outcome.peak_memory, std::size_t{200} << 20) << "several at once";
}

}  // namespace
}  // namespace dermatome::cli
