// The host in the role of a CUDA device.
#include "tests/cuda/emulated_device.h"

#include <cstdlib>
#include <cstring>

#include "engine/core/error.h"

namespace dermatome::harness {
namespace {

class EmulatedStream final : public Stream {
 public:
  void synchronize() override {}
};

class EmulatedBackend final : public Backend {
 public:
  int device_count() const override { return 1; }
  std::string describe(int) const override { return "the host in the role of a GPU"; }
  bool host_addressable() const override { return false; }  // so that nobody takes the short way
  void* allocate(int, std::size_t bytes) override {
    void* memory = std::aligned_alloc(64, (bytes + 127) / 64 * 64);
    DERMATOME_CHECK(memory != nullptr, "{} bytes could not be allocated", bytes);
    return memory;
  }
  void release(int, void* memory) noexcept override { std::free(memory); }
  std::size_t available_bytes(int) const override { return std::size_t{64} << 30; }
  std::unique_ptr<Stream> make_stream(int) override { return std::make_unique<EmulatedStream>(); }
  void copy_from_host(void* to, const void* from, std::size_t bytes, Stream&) override { std::memcpy(to, from, bytes); }
  void copy_to_host(void* to, const void* from, std::size_t bytes, Stream&) override { std::memcpy(to, from, bytes); }
  void copy(void* to, const void* from, std::size_t bytes, Stream&) override { std::memmove(to, from, bytes); }
  void fill_bytes(void* to, unsigned char value, std::size_t bytes, Stream&) override { std::memset(to, value, bytes); }
};

}  // namespace

EmulatedDevice::EmulatedDevice() : real_(exchange_backend(DeviceKind::cuda, std::make_unique<EmulatedBackend>())) {}

EmulatedDevice::~EmulatedDevice() {
  exchange_backend(DeviceKind::cuda, std::move(real_));
}

}  // namespace dermatome::harness
