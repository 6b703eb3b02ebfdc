// malloc and its relatives, defined in the program itself: the dynamic linker gives them to every library, the standard
// library's operator new included. They count and pass on to glibc.
#include "tests/allocations/counting.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);
}

namespace dermatome::allocations {
namespace {

constexpr std::size_t kMostStacks = 8192;
constexpr int kDepth = 10;

std::atomic<bool> counting{false};
std::atomic<std::size_t> count{0};
std::atomic<std::size_t> largest{0};
void* stacks[kMostStacks][kDepth];
int depths[kMostStacks];

std::atomic<bool> watching{false};
std::atomic<std::ptrdiff_t> held{0};  // may fall below zero: of what was held before
std::atomic<std::ptrdiff_t> most_held{0};

void* taken(void* memory) {
  if (!watching.load(std::memory_order_relaxed) || memory == nullptr) return memory;
  const std::ptrdiff_t now = held += static_cast<std::ptrdiff_t>(::malloc_usable_size(memory));
  std::ptrdiff_t known = most_held.load();
  while (known < now && !most_held.compare_exchange_weak(known, now)) {
  }
  return memory;
}

void* given_back(void* memory) {
  if (watching.load(std::memory_order_relaxed) && memory != nullptr) {
    held -= static_cast<std::ptrdiff_t>(::malloc_usable_size(memory));
  }
  return memory;
}

void note(std::size_t bytes) {
  if (!counting.load(std::memory_order_relaxed)) return;
  const std::size_t number = count.fetch_add(1);
  if (number < kMostStacks) depths[number] = ::backtrace(stacks[number], kDepth);
  std::size_t known = largest.load();
  while (known < bytes && !largest.compare_exchange_weak(known, bytes)) {
  }
}

// The file that holds the code at this address.
std::string_view file_of(void* address) {
  Dl_info info{};
  return ::dladdr(address, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "";
}

// Who asked: the first of the stack behind this file and the standard library.
bool asked_by_onednn(std::size_t number) {
  const std::string_view own = file_of(reinterpret_cast<void*>(&note));
  for (int frame = 0; frame < depths[number]; ++frame) {
    const std::string_view file = file_of(stacks[number][frame]);
    if (file.find("libdnnl") != std::string_view::npos) return true;
    const bool in_between = (frame < 2 && file == own) || file.find("libstdc++") != std::string_view::npos;
    if (!in_between) return false;
  }
  return false;
}

std::string text_of(std::size_t number) {
  char** names = ::backtrace_symbols(stacks[number], depths[number]);
  std::string stack;
  for (int frame = 1; frame < depths[number]; ++frame) {
    const std::string name = names[frame];
    stack += "\n    " + name.substr(0, name.find(" ["));
  }
  std::free(names);
  return stack;
}

}  // namespace

void start() {
  void* frame[1];
  ::backtrace(frame, 1);  // its first call loads a library, which allocates
  count = 0;
  largest = 0;
  counting = true;
}

Counted stop() {
  counting = false;
  Counted counted{.largest_bytes = largest};
  std::map<std::string, int> places;
  for (std::size_t i = 0; i < std::min(count.load(), kMostStacks); ++i) {
    if (asked_by_onednn(i)) {
      ++counted.in_onednn;
    } else {
      ++places[text_of(i)];
    }
  }
  counted.ours = count - counted.in_onednn;  // what no stack was kept of counts as ours
  for (const auto& [stack, times] : places) counted.places += "\n  " + std::to_string(times) + " times" + stack;
  return counted;
}

std::size_t most_bytes_held(const std::function<void()>& action) {
  held = 0;
  most_held = 0;
  watching = true;
  try {
    action();
  } catch (...) {
    watching = false;
    throw;
  }
  watching = false;
  return static_cast<std::size_t>(most_held.load());
}

}  // namespace dermatome::allocations

using dermatome::allocations::given_back;
using dermatome::allocations::note;
using dermatome::allocations::taken;

extern "C" {

void* malloc(std::size_t bytes) {
  note(bytes);
  return taken(__libc_malloc(bytes));
}
void* calloc(std::size_t count, std::size_t bytes) {
  note(count * bytes);
  return taken(__libc_calloc(count, bytes));
}
void* realloc(void* memory, std::size_t bytes) {
  note(bytes);
  return taken(__libc_realloc(given_back(memory), bytes));
}
void* memalign(std::size_t alignment, std::size_t bytes) {
  note(bytes);
  return taken(__libc_memalign(alignment, bytes));
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  note(bytes);
  return taken(__libc_memalign(alignment, bytes));
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) {
  note(bytes);
  *memory = taken(__libc_memalign(alignment, bytes));
  return *memory == nullptr ? ENOMEM : 0;
}
void free(void* memory) {
  __libc_free(given_back(memory));
}

}  // extern "C"
