// How a convolution's plan is chosen: known, or the fastest by a clock. Free of cuDNN, so that tests make up the plans.
#pragma once

#include <string>
#include <vector>

#include "kernels/vendor/cudnn.h"

namespace dermatome::cudnn {

// Where plans come from, and the clock that they are timed by.
class PlanSource {
 public:
  virtual ~PlanSource() = default;
  // Of a candidate, best guess first; none where it is refused.
  virtual std::vector<std::string> names_for(const Convolution& candidate) = 0;
  // Null where there is no plan of that name (any more).
  virtual std::unique_ptr<Plan> build(const Convolution& candidate, const std::string& name) = 0;
  // Of one run, with the pass that makes what is wanted of what the candidate lacks. Throws Error where it cannot run.
  virtual double seconds_of(const Convolution& candidate, std::unique_ptr<Plan> plan) = 0;
};

// So many of a candidate's plans are timed.
inline constexpr int kPlansTimed = 8;

// The plan of the candidates that the cache knows, or else the fastest, which is kept there; one that writes another
// type than the first and is converted behind only where no other runs. `place`: of which GPU and
// cuDNN the times are. `plans`: a run's own file, or empty. Null where no candidate has a plan. Warns where the run's
// file names one that cannot be built, because the run then may not go on to the bits that it had.
Choice choose_plan_from(PlanSource& source, const std::string& place, const std::vector<Convolution>& candidates,
                        const std::string& plans);

// Fills a trial's operand of f32 or bf16 elements with numbers from -1 to 1 in all their digits: on zeros, which switch
// no transistor, GPUs are faster than on anything else. The same numbers every time; waits for the stream.
void fill_varied(const Buffer& buffer, DType type, Stream& stream);

}  // namespace dermatome::cudnn
