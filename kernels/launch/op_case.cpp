// The list of all cases.
#include "kernels/launch/op_case.h"

namespace dermatome {
namespace {

std::vector<OpCase>& registry() {
  static std::vector<OpCase> instance;
  return instance;
}

}  // namespace

void register_cases(std::initializer_list<OpCase> cases) {
  registry().insert(registry().end(), cases);
}
const std::vector<OpCase>& all_cases() {
  return registry();
}

}  // namespace dermatome
