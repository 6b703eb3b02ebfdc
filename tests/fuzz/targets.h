// What is fuzzed: each function reads bytes that may be anything, and returns whatever they are. A crash, a sanitizer's
// report, an exception other than Error, or a result that contradicts itself is a finding.
#pragma once

#include <cstddef>
#include <span>

namespace dermatome::fuzz {

void checkpoint(std::span<const std::byte> bytes);  // .pth of all generations, and pickles by themselves
void safetensors(std::span<const std::byte> bytes);
void graph(std::span<const std::byte> bytes);   // texts of the graph language
void config(std::span<const std::byte> bytes);  // recipes

}  // namespace dermatome::fuzz
