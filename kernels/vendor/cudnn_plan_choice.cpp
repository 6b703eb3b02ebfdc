// Choosing among plans, and the numbers that they are timed on.
#include "kernels/vendor/cudnn_plan_choice.h"

#include <algorithm>
#include <cstring>

#include "engine/core/error.h"
#include "engine/core/warning.h"
#include "kernels/launch/element_types.h"
#include "kernels/vendor/cudnn_plan_cache.h"

namespace dermatome::cudnn {
namespace {

struct Timed {
  std::size_t candidate = 0;
  std::string plan;
  double seconds = 0;
};

// Appends what the first plans of a candidate take. A plan that cannot be built or run is passed over.
void time_candidate(PlanSource& source, const Convolution& c, std::size_t candidate, std::vector<Timed>& timed) {
  int taken = 0;
  for (const std::string& name : source.names_for(c)) {
    if (taken == kPlansTimed) return;
    try {
      auto plan = source.build(c, name);
      if (plan == nullptr) continue;
      timed.push_back({candidate, name, source.seconds_of(c, std::move(plan))});
      ++taken;
    } catch (const Error&) {
      continue;
    }
  }
}

Choice build_known(PlanSource& source, const std::vector<Convolution>& candidates, const KnownPlan& known) {
  if (known.candidate >= candidates.size()) return {};
  return {source.build(candidates[known.candidate], known.plan), known.candidate};
}

constexpr std::size_t kPatternElements = std::size_t{1} << 18;

// Mixes a counter until every bit of it depends on all.
std::uint32_t hash_of(std::uint32_t i) {
  i *= 0x9e3779b1u;
  i ^= i >> 15;
  i *= 0x85ebca77u;
  return i ^ (i >> 13);
}

template <typename T>
std::vector<T> pattern(std::size_t elements) {
  constexpr float kHalf = 1 << 23;  // of the range of 24 bits, all of which an f32 holds
  std::vector<T> values(elements);
  std::uint32_t i = 0;
  for (T& value : values) value = launch::store<T>(static_cast<float>(hash_of(i++) >> 8) / kHalf - 1);
  return values;
}

}  // namespace

Choice choose_plan_from(PlanSource& source, const std::string& place, const std::vector<Convolution>& candidates,
                        const std::string& plans) {
  std::string key = place;
  for (const Convolution& c : candidates) key += " | " + to_string(c);
  const bool of_run = !plans.empty() && PlanCache::of(plans).find(key).has_value();
  if (const auto known = find_plan(key, plans)) {
    if (Choice choice = build_known(source, candidates, *known); choice.plan != nullptr) return choice;
    if (of_run) {
      warn(
          fmt::format("{} keeps the plan '{}' for {}, which cannot be built here any more; plans are timed anew, so "
                      "the run may not go on to the same bits",
                      plans, known->plan, to_string(candidates.front())));
    }
  }
  std::vector<Timed> timed;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const bool rounds = candidates[i].result != candidates.front().result;  // a last resort
    if (!rounds || timed.empty()) time_candidate(source, candidates[i], i, timed);
  }
  std::stable_sort(timed.begin(), timed.end(), [](const Timed& a, const Timed& b) { return a.seconds < b.seconds; });
  if (timed.empty()) return {};
  const KnownPlan fastest{
      .candidate = timed.front().candidate, .plan = timed.front().plan, .seconds = timed.front().seconds};
  keep_plan(key, fastest, plans);
  return build_known(source, candidates, fastest);
}

void fill_varied(const Buffer& buffer, DType type, Stream& stream) {
  if (buffer.bytes() == 0) return;
  Backend& backend = backend_of(buffer.device().kind);
  const std::size_t elements = std::min(buffer.bytes() / size_of(type), kPatternElements);
  std::size_t filled = elements * size_of(type);
  const auto send = [&](const auto& values) {
    backend.copy_from_host(buffer.data(), values.data(), filled, stream);
    stream.synchronize();
  };
  switch (type) {
    case DType::f32: send(pattern<float>(elements)); break;
    case DType::bf16: send(pattern<launch::Bfloat16>(elements)); break;
    default: fail("trials have operands of f32 or bf16, not {}", name_of(type));
  }
  // The rest is copied on the device, twice as much each time.
  while (filled < buffer.bytes()) {
    const std::size_t count = std::min(filled, buffer.bytes() - filled);
    backend.copy(buffer.data() + filled, buffer.data(), count, stream);
    filled += count;
  }
  stream.synchronize();
}

}  // namespace dermatome::cudnn
