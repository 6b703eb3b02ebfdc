// Looking for libraries.
#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <cstdlib>
#include <vector>

#include "kernels/vendor/shared_library.h"

namespace dermatome {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void* open_in(const std::string& folder, const std::string& file) {
  return ::dlopen(folder.empty() ? file.c_str() : (folder + "/" + file).c_str(), RTLD_NOW | RTLD_GLOBAL);
}

SharedLibrary loaded(void* handle) {
  const link_map* map = nullptr;
  const bool known = ::dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr;
  return {.handle = handle, .file = known ? map->l_name : "", .why_absent = ""};
}

std::vector<std::string> usual_folders() {
  std::vector<std::string> folders{""};  // the dynamic linker's
  if (const std::string home = environment("CUDA_HOME"); !home.empty()) folders.push_back(home + "/lib64");
  folders.push_back("/usr/local/cuda/lib64");
  return folders;
}

}  // namespace

SharedLibrary open_library(const std::string& file, const std::string& variable) {
  if (const std::string folder = environment(variable.c_str()); !folder.empty()) {
    if (void* handle = open_in(folder, file); handle != nullptr) return loaded(handle);
    return {.why_absent =
                fmt::format("{} cannot be loaded from {}, where {} points: {}", file, folder, variable, ::dlerror())};
  }
  for (const auto& folder : usual_folders()) {
    if (void* handle = open_in(folder, file); handle != nullptr) return loaded(handle);
  }
  return {.why_absent =
              fmt::format("{} was not found; install it, or let {} name the folder where it is", file, variable)};
}

void preload_library(const std::string& file) {
  for (const auto& folder : usual_folders()) {
    if (open_in(folder, file) != nullptr) return;
  }
}

}  // namespace dermatome
