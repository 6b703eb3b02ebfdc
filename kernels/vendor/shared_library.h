// Libraries that are loaded when they are first needed: cuDNN, cuBLASLt.
#pragma once

#include <string>

namespace dermatome {

struct SharedLibrary {
  void* handle = nullptr;  // kept until the program ends
  std::string file;        // that was loaded
  std::string why_absent;  // one sentence; empty where the library was loaded
};

// Looks where `variable` (an environment variable: a folder) points, then where the dynamic linker looks, then in the
// CUDA toolkit.
SharedLibrary open_library(const std::string& file, const std::string& variable);

// Loads a library that another will want, if it is somewhere.
void preload_library(const std::string& file);

}  // namespace dermatome
