// What turns text and bytes into something that may stand in a page of HTML.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace dermatome::report {

// `text` for element content and quoted attributes: & < > " ' become entities; control characters and bytes that are
// no UTF-8 become U+FFFD. Line breaks and tabs stay.
std::string escape(std::string_view text);

// RFC 4648, with padding.
std::string base64(std::span<const std::uint8_t> bytes);

// "data:TYPE;base64,..."
std::string data_uri(std::string_view type, std::span<const std::uint8_t> bytes);

}  // namespace dermatome::report
