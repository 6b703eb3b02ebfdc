// "Did you mean": the nearest known word to a misspelt one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace dermatome {

// The candidate within an edit distance of a third of its length (at least 1); empty when none is near.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

// "; did you mean 'stride'?", or the list of candidates when none is near and they are few, or nothing.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

}  // namespace dermatome
