// Looking at the text of errors, which is part of what the engine offers.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "engine/core/error.h"

namespace dermatome {

// Expects that f() throws ErrorType whose text contains every one of the parts.
template <typename ErrorType = Error, typename F>
void expect_error(const F& f, std::initializer_list<std::string> parts) {
  try {
    f();
    ADD_FAILURE() << "no error was thrown";
  } catch (const ErrorType& error) {
    const std::string text = error.what();
    for (const auto& part : parts)
      EXPECT_NE(text.find(part), std::string::npos) << '"' << part << "\" is not in: " << text;
  }
}

}  // namespace dermatome
