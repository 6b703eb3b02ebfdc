// Errors that reach a user as one sentence: what was wrong, where, and what to do.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace dermatome {

// Anything that went wrong at run time; the program ends with exit code 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A wrong command line, configuration key or graph text; the program ends with exit code 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

// More memory was asked for than is left. Whoever knows what it was for says so, and what would fit.
class OutOfMemory : public Error {
 public:
  // `where`: " on cuda:0", or nothing where there is one kind of memory.
  OutOfMemory(std::size_t needed, std::size_t available, std::string_view where = {})
      : Error(fmt::format("this needs {:.1f} MiB of memory{} and {:.1f} MiB are left",
                          static_cast<double>(needed) / 1048576.0, where, static_cast<double>(available) / 1048576.0)),
        needed(needed),
        available(available) {}
  std::size_t needed;
  std::size_t available;
};

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw UsageError(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace dermatome

// Throws dermatome::Error with a formatted sentence when the condition does not hold.
#define DERMATOME_CHECK(condition, ...) \
  do {                                  \
    if (!(condition)) [[unlikely]]      \
      ::dermatome::fail(__VA_ARGS__);   \
  } while (false)
