// SmallInputs: what differs between steps and is small (which photographs, augmentation tables, rates), side by side in
// one buffer, so that one copy brings all of it to the device.
#pragma once

#include <cstring>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/compile/program.h"

namespace dermatome::training {

class SmallInputs {
 public:
  // Room for inputs of these names, of at most so many bytes each.
  SmallInputs(const std::map<std::string, std::size_t>& bytes, Device device);

  // The program reads its input of that name here from now on; `values` as many as that holds. Throws Error where they
  // are not, or do not fit. They are on the device once send() has been called.
  template <typename T>
  void set(Program& program, const std::string& name, std::span<const T> values) {
    std::byte* place = place_of(program, name, values.size_bytes());
    if (!values.empty()) std::memcpy(place, values.data(), values.size_bytes());
  }
  void send() const;
  // The same without values: for what is copied there by others.
  void bind(Program& program, const std::string& name);

 private:
  std::byte* place_of(Program& program, const std::string& name, std::size_t bytes);

  struct Room {
    std::size_t offset, bytes;
  };
  std::map<std::string, Room> rooms_;
  Tensor on_device_, on_host_;  // u8
};

}  // namespace dermatome::training
