// Every allocation of the whole process, the libraries' too, counted while somebody asks for it.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace dermatome::allocations {

struct Counted {
  std::size_t ours = 0;           // asked for by anything but oneDNN's own code: the engine, kernels, OpenMP
  std::size_t in_onednn = 0;      // by oneDNN for itself, below dnnl_primitive_execute
  std::size_t largest_bytes = 0;  // of one request
  std::string places;             // how often from which call stack, oneDNN's left out
};

// From here to stop(): requests of any thread, through malloc and its relatives or operator new.
void start();
Counted stop();

// Bytes that the whole process holds at most at once during `action`, above what it held before; as malloc hands them
// out, touched or not. Unlike the resident memory this does not depend on what the heap kept from before.
std::size_t most_bytes_held(const std::function<void()>& action);

}  // namespace dermatome::allocations
