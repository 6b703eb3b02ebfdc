// How well training keeps the device at work: between the steps lie drawing augmentation tables, telling the device
// which photographs are next, bringing those that do not lie there, and reading losses.
#pragma once

#include "tools/measurement/step_bench.h"
#include "tools/training/photographs.h"

namespace dermatome::measurement {

struct Feeding {
  double step = 0;    // seconds of a training step, all that lies between two of them included
  double device = 0;  // of it the device was at work
};

// Steps of full batches as training runs them, over made-up photographs, for about `seconds`. Throws as Program does.
Feeding measure_feeding(const Model& model, const StepSettings& settings, training::Residence residence,
                        double seconds);

}  // namespace dermatome::measurement
