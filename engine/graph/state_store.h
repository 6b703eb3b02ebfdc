// StateStore: named persistent tensors (weights, running statistics, Adam moments, gradients, step number) that outlive
// the programs which read and write them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/graph/graph.h"

namespace dermatome {

// A weight as one kernel wants it (another layout or type). Stale whenever its version is not the state's.
struct PreparedCopy {
  Buffer buffer;
  std::uint64_t version = 0;
  std::uint64_t read = 0;  // the state's version in the last run that read the copy
  // How to make it of the state, where that can be done behind whatever wrote the state, without other memory: all of
  // it, or (where rows_at_a_time is not 0) blocks of so many rows of the first extent, by the thread that asks.
  std::function<void()> write_all = {};
  std::int64_t rows_at_a_time = 0;
  std::function<void(std::int64_t first, std::int64_t count)> write_rows = {};
  std::optional<DType> channels_last =
      {};  // a ChannelsLastCopy (call.h) of this type, which may be written with the state
};

struct State {
  std::string name;
  Tensor tensor;
  std::string group;
  bool trainable = false;
  std::uint64_t version = 1;  // rises with every write
  bool removed = false;       // from its store; programs that still hold it refuse to run
  std::map<std::string, std::shared_ptr<PreparedCopy>> prepared;  // by layout
};

// Contents of some states at one moment, in host memory.
struct Snapshot {
  std::vector<std::pair<std::string, Tensor>> tensors;
};

class StateStore {
 public:
  explicit StateStore(Device device = {}) : device_(device) {}

  Device device() const { return device_; }

  // Makes the states that are not there yet, initialised from Philox(seed, hash of the name): a state's start does not
  // depend on which others exist. Existing ones keep their contents; another type or shape is an Error.
  void create(const std::vector<StateDeclaration>& declarations, std::uint64_t seed);

  // Makes a state that is not there yet of contents that are at hand, whose memory it shares where that is on this
  // device. Throws Error for one that exists, and for contents of another type or shape.
  void adopt(const StateDeclaration& declaration, const Tensor& contents);

  // Zero-filled states that lie one behind the other in one buffer, in this order (gradients, for one all-reduce).
  void create_contiguous(const std::vector<StateDeclaration>& declarations);

  bool contains(std::string_view name) const;
  State& get(std::string_view name);  // throws Error when unknown
  const State& get(std::string_view name) const;
  std::vector<std::string> names() const;               // in the order of creation
  std::shared_ptr<State> share(std::string_view name);  // for programs, which may outlive the state
  void remove(std::string_view name);

  Tensor read(std::string_view name) const;                   // a host copy
  void write(std::string_view name, const Tensor& contents);  // same type and shape, from any device

  // The copy of that layout, made when it is not there (stale, of `bytes` bytes).
  std::shared_ptr<PreparedCopy> prepared(std::string_view name, const std::string& layout, std::size_t bytes);

  Snapshot snapshot() const;
  // Puts contents back bit for bit and removes states that the snapshot does not know. Throws Error, and changes
  // nothing, when a state of the snapshot is not there any more or of another shape.
  void restore(const Snapshot& snapshot);

  std::size_t bytes() const;  // of the states, without prepared copies
  std::size_t prepared_bytes() const;

 private:
  Device device_;
  std::vector<std::string> order_;
  std::map<std::string, std::shared_ptr<State>, std::less<>> states_;
};

// Values of a fresh state, in host memory.
Tensor initial_value(const StateDeclaration& declaration, std::uint64_t seed);

}  // namespace dermatome
