// A run killed at any instant, inside steps and inside writes, goes on to the bits of one that was never killed.
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "data/codec.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

// Three stages of a tiny network with short last batches, accumulation, a frozen group and a second size. A checkpoint
// behind every step makes most of the time a write.
constexpr const char* kRecipe = R"(model = "tiny.graph"
seed = 4
checkpoint_every = 1

[[stage]]
size = 16
batch = 1
accumulate = 2
epochs = 12

[[stage]]
size = 16
batch = 2
epochs = 12
frozen = ["early"]

[[stage]]
size = 32
batch = 2
epochs = 12
batch_norm = "frozen"
)";

class Kills : public ::testing::Test {
 protected:
  Kills() {
    folder_.add("tiny.graph", std::string_view(kTinyGraph));
    folder_.add("recipe.toml", std::string_view(kRecipe));
    fs::create_directories(folder_ / kImages);
    fs::create_directories(folder_ / kMasks);
    for (int i = 0; i < 7; ++i) {
      const std::string id = "ISIC_000000" + std::to_string(i);
      const auto seed = static_cast<std::uint64_t>(i);
      data::write_png(folder_ / kImages / (id + ".png"), data::testing::random_image(36, 40, 3, seed));
      data::Image mask = data::make_image(36, 40, 1);
      for (int y = 8; y < 20 + i; ++y) {
        for (int x = 5; x < 30 - i; ++x) mask.pixels[mask.offset(x, y)] = 255;
      }
      data::write_png(folder_ / kMasks / (id + "_segmentation.png"), mask);
    }
  }

  // A run that has no checkpoint yet starts again.
  Process start_or_resume() const {
    if (fs::exists(folder_ / "r/last.safetensors"))
      return {folder_.path(), {"train", "--run", "r", "--threads", "1", "--resume"}};
    return {folder_.path(), {"train", "--data", "data", "--run", "r", "--threads", "1", "recipe.toml"}};
  }

  // Every second kill comes soon after a further step was logged, the others anywhere from the start of the process.
  void kill_at_a_random_instant(Process& process, std::mt19937& random, bool behind_a_step) {
    const auto size = [&] { return fs::exists(folder_ / "r/steps.csv") ? fs::file_size(folder_ / "r/steps.csv") : 0; };
    const auto rises = [&, last = size()]() mutable { return std::exchange(last, size()) < last; };
    if (behind_a_step) process.wait_until(rises);
    const int longest = behind_a_step ? 8'000 : 60'000;
    std::this_thread::sleep_for(std::chrono::microseconds(std::uniform_int_distribution(0, longest)(random)));
    process.signal(SIGKILL);
  }

  void expect_same_run() const {
    for (const char* file : {"last.safetensors", "best.safetensors", "steps.csv", "split.csv", "resolved.toml"}) {
      EXPECT_TRUE(text_of(folder_ / "whole" / file) == text_of(folder_ / "r" / file)) << file << " differs";
    }
    EXPECT_EQ(without_times(folder_ / "whole/log.csv"), without_times(folder_ / "r/log.csv"));
    const auto whole = scalars_of("whole");
    const auto killed = scalars_of("r");
    const auto at = std::mismatch(whole.begin(), whole.end(), killed.begin(), killed.end()).first - whole.begin();
    EXPECT_TRUE(whole == killed) << fmt::format("the event files differ from event {} on, {} against {} events in {}",
                                                at, whole.size(), killed.size(), fmt::join(file_sizes("r"), ", "));
  }

  std::vector<std::string> file_sizes(const char* run) const {
    std::vector<std::string> sizes;
    for (const auto& path : event_files(folder_ / run))
      sizes.push_back(fmt::format("{} of {} bytes", path.filename().string(), fs::file_size(path)));
    return sizes;
  }

  // What TensorBoard sees: every event with scalars, without its time, from all event files of the run.
  std::vector<std::string> scalars_of(const char* run) const {
    constexpr std::size_t kBefore = 12, kTime = 9, kBehind = 4;  // length and its checksum; the time; a checksum
    std::vector<std::string> scalars;
    for (const auto& path : event_files(folder_ / run)) {
      const std::string text = text_of(path);
      std::uint64_t length = 0;
      for (std::size_t at = 0; at + kBefore < text.size(); at += kBefore + length + kBehind) {
        std::memcpy(&length, text.data() + at, sizeof length);
        const std::string event = text.substr(at + kBefore + kTime, length - kTime);
        if (event.find("train/") != std::string::npos || event.find("validation/") != std::string::npos)
          scalars.push_back(event);
      }
    }
    return scalars;
  }

  // log.csv without its last two columns, seconds and images a second.
  static std::string without_times(const fs::path& log) {
    std::stringstream lines(text_of(log));
    std::string text;
    for (std::string line; std::getline(lines, line);)
      text += line.substr(0, line.rfind(',', line.rfind(',') - 1)) + "\n";
    return text;
  }

  void survives(int kills) {
    const Outcome whole =
        Process(folder_.path(), {"train", "--data", "data", "--run", "whole", "--threads", "1", "recipe.toml"}).wait();
    ASSERT_EQ(whole.code, 0) << whole.err;
    std::mt19937 random(20180619);
    int killed = 0;
    int in_a_write = 0;
    int finished = 0;
    while (killed < kills) {
      Process process = start_or_resume();
      kill_at_a_random_instant(process, random, killed % 2 == 0);
      const Outcome outcome = process.wait();
      if (outcome.code == 0) {  // it was done before its kill came: once more from the start
        expect_same_run();
        ++finished;
        fs::remove_all(folder_ / "r");
        continue;
      }
      ASSERT_EQ(outcome.code, 1128 + SIGKILL) << outcome.err;
      ++killed;
      in_a_write +=
          fs::exists(folder_ / "r/last.safetensors.partial") || fs::exists(folder_ / "r/best.safetensors.partial") ? 1
                                                                                                                   : 0;
    }
    const Outcome last = start_or_resume().wait();
    ASSERT_EQ(last.code, 0) << last.err;
    expect_same_run();
    EXPECT_GT(in_a_write, 0) << "no kill fell inside the write of a checkpoint, so nothing is proved of it";
    RecordProperty("killed_inside_a_write", in_a_write);
    RecordProperty("finished_in_between", finished);
    fmt::print("{} kills, {} of them inside the write of a checkpoint; {} runs finished in between\n", killed,
               in_a_write, finished);
  }

  TemporaryFolder folder_;
};

TEST_F(Kills, AtFiftyRandomInstantsChangeNoBit) {
  survives(50);
}

}  // namespace
}  // namespace dermatome::cli
