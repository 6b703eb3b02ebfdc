// Sentences for the user about what goes on, though not as it was asked for.
#pragma once

#include <functional>
#include <string>

namespace dermatome {

using WarningSink = std::function<void(const std::string& sentence)>;

// "warning: ...", a line on stderr unless a sink takes it.
void warn(const std::string& sentence);

// Puts another sink in place and gives back the old one; an empty one is stderr.
WarningSink exchange_warning_sink(WarningSink sink);

}  // namespace dermatome
