// Event files: TensorBoard's own bytes, the scalars of a run, and cutting back to a step whatever is left of the file.
#include "tools/training/event_file.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;
namespace fs = std::filesystem;

// The first from the CRC catalogue, the others from RFC 3720, B.4.
TEST(Crc32c, GivesThePublishedChecksums) {
  std::string rising, falling;
  for (char i = 0; i < 32; ++i) rising += i;
  falling.assign(rising.rbegin(), rising.rend());
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c(rising), 0x46dd794eu);
  EXPECT_EQ(crc32c(falling), 0x113fdb5cu);
  EXPECT_EQ(crc32c(""), 0u);
}

// bench/event_files.py --make-golden wrote them with tensorboard's own code.
TEST(EventFile, HasTheBytesThatTensorBoardItselfWrites) {
  const std::array<Scalar, 2> training{{{"train/loss", 0.75}, {"learning_rate", 0.0}}};
  const std::array<Scalar, 1> validation{{{"validation/jaccard", -1.5}}};
  EXPECT_EQ(version_record(1700000000.25) + scalars_record(1700000001.5, 0, training) +
                scalars_record(1700000002.5, 300, validation) + restart_record(1700000003.5, std::int64_t{1} << 40),
            text_of(fs::path(DERMATOME_SOURCE_DIR) / "tests/golden/event_file.tfevents"));
}

class EventFiles : public ::testing::Test {
 protected:
  // Version and the training events of those steps.
  static std::string events(std::initializer_list<std::int64_t> steps) {
    std::string text = version_record(1);
    for (const auto step : steps) text += event(step);
    return text;
  }
  static std::string event(std::int64_t step, const char* tag = "train/loss") {
    return scalars_record(2, step, std::array<Scalar, 1>{{{tag, static_cast<double>(step)}}});
  }
  static std::string validation(std::int64_t step) { return event(step, "validation/loss"); }

  std::string cut(const std::string& text, std::int64_t steps, std::int64_t epochs = 0) {
    folder_.add(kName, std::string_view(text));
    cut_event_files(folder_.path(), steps, epochs);
    return text_of(folder_ / kName);
  }

  static constexpr const char* kName = "events.out.tfevents.0000000001.host.dermatome.0";
  TemporaryFolder folder_;
};

TEST_F(EventFiles, BeginWithTheVersionAndGrowByWholeEvents) {
  EventFile file(folder_.path());
  ASSERT_EQ(event_files(folder_.path()).size(), 1u);
  const fs::path path = event_files(folder_.path())[0];
  EXPECT_EQ(fs::file_size(path), version_record(0).size());
  file.step(7, {.loss = 0.5, .jaccard = 0.25, .learning_rate = 1e-3});
  const std::string text = text_of(path);
  for (const char* tag : {"brain.Event:2", "train/loss", "train/jaccard", "learning_rate"})
    EXPECT_NE(text.find(tag), std::string::npos) << tag;
  file.epoch(7, {.loss = 0.5});
  EXPECT_NE(text_of(path).find("validation/thresholded_jaccard"), std::string::npos);
}

TEST_F(EventFiles, OfARunThatGoesOnSortBehindTheOldOnesAndSayWhereItStarts) {
  EventFile first(folder_.path());
  for (int step = 0; step < 9; ++step) first.step(step, {});
  const fs::path old = event_files(folder_.path()).at(0);
  const auto whole = fs::file_size(old);
  const EventFile second(folder_.path(), 4, 0);
  const auto files = event_files(folder_.path());
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0], old);
  EXPECT_LT(fs::file_size(old), whole);
  EXPECT_EQ(text_of(files[1]).size(), version_record(0).size() + restart_record(0, 4).size());
}

// A clock set back between two starts, or a run that goes on on another machine.
TEST_F(EventFiles, SortBehindThoseOfAClockThatRunsAhead) {
  const std::string ahead = "events.out.tfevents.4102444800.zebra.dermatome.999999";
  folder_.add(ahead, std::string_view(events({0, 1})));
  const EventFile second(folder_.path(), 2, 0);
  const EventFile third(folder_.path(), 2, 0);
  const auto files = event_files(folder_.path());
  ASSERT_EQ(files.size(), 2u) << "the second has no event but its start, which the third says itself";
  EXPECT_EQ(files[0].filename(), ahead);
  EXPECT_TRUE(text_of(files[1]).find("brain.Event:2") != std::string::npos);
}

// So does one whose name TensorBoard's writer, or nobody's, made.
TEST_F(EventFiles, DoNotCountOnFromWhatIsNoTime) {
  folder_.add("events.out.tfevents.zzz", std::string_view(events({0})));
  folder_.add("events.out.tfevents.9999999999.z", std::string_view(events({1})));
  const EventFile second(folder_.path(), 2, 0);
  EXPECT_EQ(event_files(folder_.path()).size(), 3u);
}

TEST_F(EventFiles, AreCutToTheFirstSteps) {
  EXPECT_EQ(cut(events({0, 1, 2, 3}), 2), events({0, 1}));
  EXPECT_EQ(cut(events({0, 1}), 2), events({0, 1}));
  EXPECT_EQ(cut(events({300, 70000}), 70000), events({300}));
  EXPECT_EQ(cut(events({0}) + restart_record(3, 5) + event(5), 5), events({0}));
}

// Killed behind its validation and before the checkpoint, an epoch is validated again.
TEST_F(EventFiles, AreCutToTheFirstValidations) {
  const std::string first = events({0, 1}) + validation(1);
  EXPECT_EQ(cut(first + event(2) + event(3) + validation(3), 4, 1), first + event(2) + event(3));
  EXPECT_EQ(cut(first + event(2) + event(3) + validation(3), 4, 2), first + event(2) + event(3) + validation(3));
  folder_.add("events.out.tfevents.0000000002.host.dermatome.0", std::string_view(events({2, 3}) + validation(3)));
  EXPECT_EQ(cut(first, 4, 1), first);
  EXPECT_EQ(text_of(folder_ / "events.out.tfevents.0000000002.host.dermatome.0"), events({2, 3}));
}

TEST_F(EventFiles, AreCutWhereARecordIsTorn) {
  const std::string whole = events({0, 1});
  for (std::size_t torn = 1; torn < event(1).size(); torn += 3)
    EXPECT_EQ(cut(whole.substr(0, whole.size() - torn), 9), events({0})) << torn;
}

TEST_F(EventFiles, AreCutBeforeADamagedRecord) {
  const std::size_t start = events({0}).size();
  for (std::size_t byte = start; byte < events({0, 1}).size(); byte += 3) {
    std::string text = events({0, 1, 2});
    text[byte] = static_cast<char>(text[byte] ^ 0x10);
    EXPECT_EQ(cut(text, 9), events({0})) << byte;
  }
}

TEST_F(EventFiles, WithoutAnEventLeftAreRemoved) {
  for (const std::string& text : {std::string(), version_record(1).substr(0, 20), events({}), events({5, 6})}) {
    cut(text, 5);
    EXPECT_FALSE(fs::exists(folder_ / kName)) << text.size();
  }
}

TEST_F(EventFiles, ThatNeedNoCutAreLeftAlone) {
  folder_.add(kName, std::string_view(events({0, 1})));
  const auto before = fs::last_write_time(folder_ / kName) - std::chrono::hours(1);
  fs::last_write_time(folder_ / kName, before);
  cut_event_files(folder_.path(), 2, 0);
  EXPECT_EQ(fs::last_write_time(folder_ / kName), before);
}

}  // namespace
}  // namespace dermatome::training
