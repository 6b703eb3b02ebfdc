// The photographs of a stage while it trains: all on the device, or in host memory with the next batch on its way.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/core/tensor.h"

namespace dermatome::training {

// automatic: on the device where they take at most half of what it has left, which leaves the rest to programs.
enum class Residence { automatic, device, host };
Residence parse_residence(const std::string& name);  // "auto", "device", "host"; throws Error
std::vector<std::string> residence_names();

// Whether `bytes` of photographs and masks lie on the device.
bool lie_on_device(Residence residence, std::size_t bytes, Device device);

// One part of a data set, or none (count 0). Programs read rows of images() and masks(), whose memory stays the same.
class PhotographSet {
 public:
  PhotographSet();
  // Photographs u8 [n, size, size, 3] and masks u8 [n, size, size]. Not `on_device`: the set keeps a copy in host
  // memory, and room for two batches of at most `batch` photographs on the device.
  PhotographSet(std::span<const std::uint8_t> photographs, std::span<const std::uint8_t> masks, std::int64_t size,
                Device device, bool on_device = true, std::int64_t batch = 0);
  ~PhotographSet();
  PhotographSet(PhotographSet&&) noexcept;
  PhotographSet& operator=(PhotographSet&&) noexcept;

  std::int64_t count() const { return count_; }
  bool on_device() const { return host_ == nullptr; }
  const Tensor& images() const { return images_; }  // u8 [rows, size, size, 3]
  const Tensor& masks() const { return masks_; }    // u8 [rows, size, size]
  std::int64_t rows() const { return count_ == 0 ? 0 : images_.shape()[0]; }

  // The rows in which these photographs are, until the next call. No program that reads the rows may be running.
  std::vector<std::int32_t> place(std::span<const std::uint32_t> samples);
  // Begins to bring those over that will be asked for next, while a program runs.
  void prefetch(std::span<const std::uint32_t> samples);

 private:
  struct Host;
  std::int64_t count_ = 0;
  Tensor images_, masks_;
  std::unique_ptr<Host> host_;  // null where everything is on the device
};

}  // namespace dermatome::training
