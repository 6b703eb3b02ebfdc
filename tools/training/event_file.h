// TensorBoard event files: the scalars of a run where `tensorboard --logdir` finds them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/training/append_file.h"

namespace dermatome::training {

// CRC-32C (Castagnoli), reflected polynomial 0x82f63b78, as RFC 3720 has it.
std::uint32_t crc32c(std::string_view bytes);

struct Scalar {
  std::string tag;  // "train/loss"; the part before the slash groups charts
  double value = 0;
};

// An event as it lies in a file: a TFRecord (length u64, masked CRC-32C of the length, the event, masked CRC-32C of the
// event; little-endian) around a protobuf `tensorflow.Event`. `wall_time` counts seconds since 1970.
std::string version_record(double wall_time);
std::string restart_record(double wall_time, std::int64_t step);
std::string scalars_record(double wall_time, std::int64_t step, std::span<const Scalar> scalars);

struct StepScalars {
  double loss = 0, jaccard = 0, learning_rate = 0;
};
struct EpochScalars {
  double loss = 0, jaccard = 0, thresholded_jaccard = 0, dice = 0;
};

// A run's events from here on, in a new file that sorts behind those of its folder.
class EventFile {
 public:
  // Throws Error naming the file and the cause, as all do.
  explicit EventFile(const std::filesystem::path& run);
  // Goes on behind so many steps and validated epochs: the older files are cut back to them, and the new one says where
  // it starts, so that a TensorBoard which has read later steps already forgets them.
  EventFile(const std::filesystem::path& run, std::int64_t steps, std::int64_t epochs);

  // train/loss, train/jaccard, learning_rate. Steps count from 0 over all stages.
  void step(std::int64_t step, const StepScalars& scalars);
  // validation/loss, jaccard, thresholded_jaccard, dice.
  void epoch(std::int64_t last_step, const EpochScalars& scalars);
  void sync();

 private:
  AppendFile file_;
};

// Event files of the folder, in the order TensorBoard reads them.
std::vector<std::filesystem::path> event_files(const std::filesystem::path& folder);

// Leaves in the folder's event files the first `steps` steps and the first `epochs` validations among them; whatever
// follows a record that is torn or damaged goes too, and so do files without an event. A file is replaced as a whole: a
// crash loses nothing, and whoever reads it keeps the old one.
void cut_event_files(const std::filesystem::path& folder, std::int64_t steps, std::int64_t epochs);

}  // namespace dermatome::training
