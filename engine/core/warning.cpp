// Where warnings go.
#include "engine/core/warning.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

namespace dermatome {
namespace {

WarningSink& sink_slot() {
  static WarningSink sink;
  return sink;
}

}  // namespace

void warn(const std::string& sentence) {
  const std::string text = "warning: " + sentence;
  if (sink_slot()) return sink_slot()(text);
  fmt::print(stderr, "{}\n", text);
}

WarningSink exchange_warning_sink(WarningSink sink) {
  return std::exchange(sink_slot(), std::move(sink));
}

}  // namespace dermatome
