// Checkpoints: the state store, the graph text and everything needed to go on, in one safetensors file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/graph/model.h"
#include "engine/graph/state_store.h"

namespace dermatome::training {

inline constexpr int kCheckpointVersion = 1;

// What turns a photograph into the network's input and its output into a mask.
struct Preprocessing {
  int size = 128;  // photographs are squashed to size x size, masks cut at > 127
  double threshold = 0.5;
};

// Where training stands. The next step to run is `step` of epoch `epoch` (both from 0) of stage `stage`.
struct Position {
  int stage = 0;
  int epoch = 0;          // within the stage
  std::int64_t step = 0;  // within the epoch
  int epochs_done = 0;    // over all stages
  double best_jaccard = -1;
};

struct CheckpointInfo {
  std::string graph_text;  // canonical
  std::string recipe;      // resolved, TOML
  Preprocessing preprocessing;
  Position position;
  std::uint64_t seed = 0;
  int threads = 0;
  std::string instruction_set;
  std::string type = "f32";  // of the activations; the states are f32 in any case
  std::string version;       // of dermatome
};

// States whose name starts with "gradient/" are left out; `weights_only` also leaves out the optimiser's. Written
// beside the old file and then renamed, so that a crash leaves one of the two whole. Throws Error when it cannot be
// written.
void write_checkpoint(const std::filesystem::path& path, const StateStore& store, const CheckpointInfo& info,
                      bool weights_only);

struct Checkpoint {
  CheckpointInfo info;
  std::vector<std::pair<std::string, Tensor>> states;
};

// Throws Error with the reason: not a checkpoint of dermatome, damaged (checksum), written by a newer version.
Checkpoint read_checkpoint(const std::filesystem::path& path);

// Puts the checkpoint's weights into the states of the store that the model declares; states that the store does not
// hold yet share the checkpoint's memory. Throws Error naming states that are missing or of another shape.
void load_weights(const Checkpoint& checkpoint, const std::vector<StateDeclaration>& declarations, StateStore& store);

}  // namespace dermatome::training
