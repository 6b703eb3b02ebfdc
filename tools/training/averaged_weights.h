// Moving averages of a store's weights in the place of the weights.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/graph/state_store.h"

namespace dermatome::training {

// Writes every average that the store holds over its state, for good.
void take_averages(StateStore& store);

// The same for as long as this lives; the weights come back bit for bit. Without averages it does nothing.
class AveragedWeights {
 public:
  explicit AveragedWeights(StateStore& store);
  ~AveragedWeights();
  AveragedWeights(const AveragedWeights&) = delete;
  AveragedWeights& operator=(const AveragedWeights&) = delete;

 private:
  StateStore& store_;
  std::vector<std::pair<std::string, Tensor>> weights_;
};

}  // namespace dermatome::training
