// The pass update_writes_copies: prepared copies of the states that a step writes are made by that step, block by block
// while what they are made of is in a cache, and not in front of the next run that reads them.
#pragma once

#include <memory>
#include <vector>

#include "engine/compile/call.h"
#include "engine/graph/state_store.h"

namespace dermatome {

extern const char* const kUpdateWritesCopies;

class WrittenCopies {
 public:
  // Of one step: by output the state whose memory it is written to, or null.
  explicit WrittenCopies(std::vector<std::shared_ptr<State>> states);

  // In front of the step, behind the rise of the states' versions. Takes the copies that a run read since the states
  // were last written; others may never be read again. Allocates nothing where no copy is new. Null where there are
  // none.
  const WriteListener* begin();
  // Behind the step: what it told of is fresh.
  void end();

 private:
  struct OfOutput {
    std::shared_ptr<State> state;
    std::vector<PreparedCopy*> by_rows;
    std::vector<PreparedCopy*> whole;
    std::int64_t rows_at_a_time = 0;
  };
  void sort_in(OfOutput& output, PreparedCopy& copy);

  std::vector<OfOutput> outputs_;
  WriteListener listener_;
};

}  // namespace dermatome
