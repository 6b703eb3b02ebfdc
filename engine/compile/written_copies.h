// The pass update_writes_copies: prepared copies of the states that a step writes are made by that step, while what
// they are made of is in a cache or in registers, and not in front of the next run that reads them. A kernel with a
// CopyDuty asks or tells of every output that other kernels may want in a layout of theirs: weights, not moments.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/compile/call.h"
#include "engine/graph/state_store.h"

namespace dermatome {

extern const char* const kUpdateWritesCopies;

class WrittenCopies {
 public:
  // Of one step, whose kernel has that duty: by output the state whose memory it is written to, or null.
  WrittenCopies(std::vector<std::shared_ptr<State>> states, CopyDuty duty);

  // In front of a run, before the states' versions rise: takes the copies that a run read since the states were last
  // written; others may never be read again. Allocates nothing where no copy is new. Copies that the kernel writes
  // itself stay chosen once they are, as a recording of it holds them; true where one is new to them.
  bool choose();
  const WriteListener* listener() const { return any_ ? &listener_ : nullptr; }
  void for_each(const std::function<void(State&, PreparedCopy&)>& f) const;
  void mark_fresh();  // behind the run: all that were chosen

 private:
  struct OfOutput {
    std::shared_ptr<State> state;
    std::vector<PreparedCopy*> by_rows;
    std::vector<PreparedCopy*> whole;
    PreparedCopy* channels_last = nullptr;
    std::int64_t rows_at_a_time = 0;
  };
  static bool choose_written(OfOutput& output);
  static void choose_told(OfOutput& output);
  static WriteListener listener_of(std::vector<OfOutput>& outputs);

  CopyDuty duty_;
  std::vector<OfOutput> outputs_;
  WriteListener listener_;
  bool any_ = false;
};

}  // namespace dermatome
