// The logs of a run: appending, and cutting back to a checkpoint.
#include "tools/training/run_log.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <system_error>

#include "engine/core/error.h"

namespace dermatome::training {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEpochHeader =
    "epoch,stage,size,lr,train_loss,train_jaccard,validation_loss,validation_jaccard,validation_thresholded_jaccard,"
    "validation_dice,seconds,images_per_second\n";
constexpr std::string_view kStepHeader = "step,epoch,lr,loss\n";

std::string cause() {
  return std::generic_category().message(errno);
}

std::string contents_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Keeps the header and, of the rows behind it, those of the epochs or steps first .. first + count - 1, which come in
// this order; a log that is not there is begun. Gives a sentence where rows are missing.
std::string cut_back(const fs::path& path, std::string_view header, const char* what, std::int64_t first,
                     std::int64_t count) {
  if (!fs::exists(path)) AppendFile(path, true).append(header);
  const std::string text = contents_of(path);
  DERMATOME_CHECK(text.starts_with(header),
                  "{} does not start as the log of this version does; resume the run with the version that began it",
                  path.string());
  std::size_t kept = header.size();
  std::int64_t rows = 0;
  for (auto end = text.find('\n', kept); end != std::string::npos; end = text.find('\n', kept)) {
    std::int64_t number = -1;
    std::from_chars(text.data() + kept, text.data() + end, number);
    if (number < first || number >= first + count) break;
    kept = end + 1;
    ++rows;
  }
  DERMATOME_CHECK(::truncate(path.c_str(), static_cast<off_t>(kept)) == 0, "cannot cut {} back: {}", path.string(),
                  cause());
  if (rows == count) return "";
  return fmt::format("{} holds {} of the {} {} that the checkpoint has behind it; what is missing stays missing",
                     path.string(), rows, count, what);
}

}  // namespace

RunLog::RunLog(const fs::path& run) : epochs_(run / "log.csv", true), steps_(run / "steps.csv", true), events_(run) {
  epochs_.append(kEpochHeader);
  steps_.append(kStepHeader);
}

RunLog::RunLog(const fs::path& run, const Position& position)
    : gaps_{cut_back(run / "log.csv", kEpochHeader, "epochs", 1, position.epochs_done),
            cut_back(run / "steps.csv", kStepHeader, "steps", 0, position.steps_done)},
      epochs_(run / "log.csv", false),
      steps_(run / "steps.csv", false),
      events_(run, position.steps_done, position.epochs_done) {
  std::erase(gaps_, "");
}

void RunLog::step(const StepRow& row, double jaccard) {
  steps_.append(fmt::format("{:.0f},{},{:.9g},{:.9g}\n", row.step, row.epoch, row.learning_rate, row.loss));
  events_.step(static_cast<std::int64_t>(row.step),
               {.loss = row.loss, .jaccard = jaccard, .learning_rate = row.learning_rate});
}

void RunLog::epoch(const EpochResult& row) {
  epochs_.append(fmt::format("{},{},{},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{:.3f},{:.2f}\n", row.epoch,
                             row.stage, row.size, row.learning_rate, row.train_loss, row.train_jaccard,
                             row.validation_loss, row.validation_jaccard, row.validation_thresholded_jaccard,
                             row.validation_dice, row.seconds, row.images_per_second));
  if (!row.validated) return;
  events_.epoch(row.last_step, {.loss = row.validation_loss,
                                .jaccard = row.validation_jaccard,
                                .thresholded_jaccard = row.validation_thresholded_jaccard,
                                .dice = row.validation_dice});
}

void RunLog::sync() {
  epochs_.sync();
  steps_.sync();
  events_.sync();
}

}  // namespace dermatome::training
