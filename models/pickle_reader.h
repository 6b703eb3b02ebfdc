// Pickles and numbers that lie one behind the other, as PyTorch wrote them before its files became zip archives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "models/pickle.h"

namespace dermatome {

// All throw Error with `what` in front: what the bytes are, "weights.pth: member 'storages'".
class PickleReader {
 public:
  PickleReader(std::span<const std::byte> bytes, std::string what) : bytes_(bytes), what_(std::move(what)) {}

  const std::string& what() const { return what_; }
  pickle::Pickle next(const pickle::PersistentLoader& loader = {});
  // A pickle that is an integer of at least 0.
  std::int64_t next_count();
  // The raw bytes of `elements` elements.
  std::span<const std::byte> take(std::int64_t elements, std::size_t bytes_each);
  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(1, sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::vector<std::int64_t> numbers(std::size_t count);

 private:
  std::span<const std::byte> bytes_;
  std::string what_;
  std::size_t at_ = 0;
};

}  // namespace dermatome
