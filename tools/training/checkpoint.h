// Checkpoints: the state store, the graph text and everything needed to go on, in one safetensors file.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/preparation.h"
#include "engine/graph/model.h"
#include "engine/graph/state_store.h"
#include "tools/training/networks.h"

namespace dermatome::training {

// 1: weights and a position; 2: also sums of the epoch, the environment and a fingerprint of the decoded photographs;
// 3: the fingerprint is of the files, which serves stages of any size.
// 4: found learning rates, the step number by parameter group, averages of the weights.
inline constexpr int kCheckpointVersion = 4;

// What turns a photograph into the network's input and its output into a mask.
struct Preprocessing {
  int size = 128;  // of the network's input a side; masks are cut at > 127
  double threshold = 0.5;
  data::Resize resize = data::Resize::squash;
  data::ColourConstancy colours = data::ColourConstancy::none;
};

// Where training stands. The next step to run is `step` of epoch `epoch` (both from 0) of stage `stage`.
struct Position {
  int stage = 0;
  int epoch = 0;                // within the stage; the stage's number of epochs when all are done
  std::int64_t step = 0;        // within the epoch; its number of steps when only validation is left
  int epochs_done = 0;          // over all stages
  std::int64_t steps_done = 0;  // over all stages
  double best_score = -1;       // on the validation part, of the recipe's best_by
  double best_jaccard = -1;     // of that epoch
  int best_epoch = 0;           // that reached it, from 1, over all stages; 0: none yet
};

// Sums over the images of an epoch that were trained on so far, or of a validation.
struct EpochSums {
  std::int64_t images = 0;
  double loss = 0;
  std::array<double, kMetrics> metrics{};
  double seconds = 0;

  double mean_loss() const { return images == 0 ? 0 : loss / static_cast<double>(images); }
  double mean(Metric metric) const { return images == 0 ? 0 : metrics[metric] / static_cast<double>(images); }
  // `rows`: the metrics of a batch, kMetrics an image.
  void add(double batch_loss, std::span<const float> rows);
};

// What was trained on and validated: the ids in their order, each with a hash of what the files of photograph and mask
// hold, which serves stages of any size.
struct DataFingerprint {
  struct Entry {
    std::string id;
    std::uint64_t hash = 0;
    bool operator==(const Entry&) const = default;
  };
  std::vector<Entry> train, validation;
};

struct CheckpointInfo {
  int format = kCheckpointVersion;  // as read; always written as the newest
  std::string graph_text;           // canonical
  std::string recipe;               // resolved, TOML
  Preprocessing preprocessing;
  Position position;
  std::map<int, double> found_rates;  // by stage, from 0: where the recipe says "find"
  EpochSums sums;
  DataFingerprint data;  // only in a checkpoint with the optimiser's state: weights that are handed on name no files
  std::uint64_t seed = 0;
  // What else decides the bits.
  int threads = 0;
  std::string instruction_set;
  std::string type = "f32";  // of the activations; the states are f32 in any case
  std::string device;
  std::string processor;
  std::vector<std::string> disabled;  // passes, and implementations of kernels
  std::string version;                // of dermatome
};

// States whose name starts with "gradient/" are left out; `weights_only` also leaves out the optimiser's, the sums and
// the fingerprint, and writes the averages of the weights in their place where there are any. Written beside the old
// file and then renamed, so that a crash leaves one of the two whole. Throws Error when it cannot be written.
void write_checkpoint(const std::filesystem::path& path, const StateStore& store, const CheckpointInfo& info,
                      bool weights_only);

// The size of the states in a file of all of them.
std::size_t checkpoint_bytes(const StateStore& store);

struct Checkpoint {
  CheckpointInfo info;
  std::vector<std::pair<std::string, Tensor>> states;
  std::string taken;  // a sentence for a person, of weights that are no checkpoint: what of the info their file said
};

// Throws Error with the reason: not a checkpoint of dermatome, damaged (checksum), written by a newer version.
// `weights_only`: the optimiser's states, two thirds of the bytes, are left where they are.
Checkpoint read_checkpoint(const std::filesystem::path& path, bool weights_only = false);

using Metadata = std::map<std::string, std::string>;  // of a safetensors file

// What a checkpoint's metadata say; empty for those of other files. Throws Error as read_checkpoint does, with `file`
// in front.
std::optional<CheckpointInfo> checkpoint_info(const Metadata& metadata, const std::string& file);
// Throws Error for metadata of a checkpoint that a newer version wrote, or whose description cannot be read.
void refuse_newer(const Metadata& metadata, const std::string& file);

// Puts the checkpoint's weights into the states of the store that the model declares; states that the store does not
// hold yet share the checkpoint's memory. Throws Error naming states that are missing or of another shape.
void load_weights(const Checkpoint& checkpoint, const std::vector<StateDeclaration>& declarations, StateStore& store);

// Puts every state of the checkpoint into the store, which holds the same ones besides its gradients. Throws Error
// naming the first state that one of the two lacks or that is of another shape.
void restore_states(const Checkpoint& checkpoint, StateStore& store);

// The name of a state that holds an infinity or what is no number; empty when there is none. Gradients are not looked
// at.
std::string first_state_not_finite(const StateStore& store);

}  // namespace dermatome::training
