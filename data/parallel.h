// Work on many files at once, with what went wrong kept by file instead of ending at the first.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace dermatome::data {

// Told after each file; calls come one at a time, in rising order of `done`, from any thread. What it throws ends the
// work and reaches the caller.
using Progress = std::function<void(std::size_t done, std::size_t total)>;

// Calls work(0) ... work(count - 1) on all threads of OpenMP. The result has what each threw, or an empty text.
std::vector<std::string> for_each_file(std::size_t count, const Progress& progress,
                                       const std::function<void(std::size_t)>& work);

// Throws Error with the failures of `total` files, a line each, unless there are none; one alone is the whole error.
// `advice` stands behind the number of several.
void check_failures(const std::vector<std::string>& failures, std::size_t total, const std::string& advice);

}  // namespace dermatome::data
