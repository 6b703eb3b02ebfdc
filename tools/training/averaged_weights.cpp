// Exchanging weights and their averages.
#include "tools/training/averaged_weights.h"

#include "tools/training/networks.h"

namespace dermatome::training {
namespace {

// Of the states that have an average.
std::vector<std::string> averaged_states(const StateStore& store) {
  std::vector<std::string> names;
  for (const auto& name : store.names()) {
    if (store.contains(average_state(name))) names.push_back(name);
  }
  return names;
}

}  // namespace

void take_averages(StateStore& store) {
  for (const auto& name : averaged_states(store)) store.write(name, store.get(average_state(name)).tensor);
}

AveragedWeights::AveragedWeights(StateStore& store) : store_(store) {
  for (const auto& name : averaged_states(store)) weights_.emplace_back(name, store.read(name));
  take_averages(store);
}

AveragedWeights::~AveragedWeights() {
  for (const auto& [name, tensor] : weights_) store_.write(name, tensor);
}

}  // namespace dermatome::training
