// Errors that reach a user as one sentence: what was wrong, where, and what to do.
#pragma once

#include <fmt/format.h>

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
