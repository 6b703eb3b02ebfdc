// Chain: programs that run behind each other as one. Where the device records, all of them are one launch.
#pragma once

#include <memory>
#include <vector>

#include "engine/compile/program.h"

namespace dermatome {

class Chain {
 public:
  // Of programs over one store, which must outlive the chain. From now on they share a stream.
  explicit Chain(std::vector<Program*> programs);
  ~Chain();
  Chain(Chain&&) noexcept;

  // As running one program behind the other. Throws what Program::run does.
  void run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dermatome
