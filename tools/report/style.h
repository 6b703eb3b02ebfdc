// The style sheet of the page.
#pragma once

#include <string_view>

namespace dermatome::report {

// Light, dark and print; system fonts only.
std::string_view style_sheet();

}  // namespace dermatome::report
