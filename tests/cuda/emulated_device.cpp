// The host in the role of a CUDA device.
#include "tests/cuda/emulated_device.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>

#include "engine/core/error.h"

namespace dermatome::harness {
namespace {

// Runs again what was recorded, as a replay on a device does. A device records one stream: what the work gives to
// another would not be in the recording.
class EmulatedRecording final : public Recording {
 public:
  EmulatedRecording(std::function<void()> work, EmulatedDevice::Log& log) : work_(std::move(work)), log_(log) {}
  void replay(Stream& on) override {
    log_.replayed = &on;
    work_();
    log_.replayed = nullptr;
  }

 private:
  std::function<void()> work_;
  EmulatedDevice::Log& log_;
};

class EmulatedStream;

// What the stream had been given when the fence was made.
struct EmulatedFence final : Fence {
  EmulatedFence(EmulatedStream& of, std::size_t given) : stream(of), count(given) {}
  EmulatedStream& stream;
  std::size_t count;
};

struct EmulatedMark final : Mark {
  explicit EmulatedMark(double at) : seconds(at) {}
  double seconds_since(const Mark& earlier) const override {
    return seconds - static_cast<const EmulatedMark&>(earlier).seconds;
  }
  double seconds;
};

class EmulatedStream final : public Stream {
 public:
  explicit EmulatedStream(EmulatedDevice::Log& log) : log_(log) {}
  std::unique_ptr<Mark> mark() override {
    if (log_.mark_seconds == 0) return nullptr;
    return std::make_unique<EmulatedMark>(++log_.marks * log_.mark_seconds);
  }
  std::unique_ptr<Fence> fence() override { return std::make_unique<EmulatedFence>(*this, given_); }
  void wait_for(const Fence& fence) override {
    const auto& of = static_cast<const EmulatedFence&>(fence);
    of.stream.run_until(of.count);
  }
  void submit(const std::function<void()>& work) override {
    ++log_.submitted;
    ++given_;
    if (log_.put_off) {
      put_off_.push_back(work);
    } else {
      ++done_;
      work();
    }
  }
  void synchronize() override {}
  std::unique_ptr<Recording> record(const std::function<void()>& work) override {
    ++log_.recordings;
    return std::make_unique<EmulatedRecording>(work, log_);
  }

 private:
  void run_until(std::size_t count) {
    for (; done_ < count; ++done_) {
      put_off_.front()();
      put_off_.pop_front();
    }
  }

  EmulatedDevice::Log& log_;
  std::deque<std::function<void()>> put_off_;
  std::size_t given_ = 0;
  std::size_t done_ = 0;
};

class EmulatedBackend final : public Backend {
 public:
  explicit EmulatedBackend(EmulatedDevice::Log& log) : log_(log) {}
  int device_count() const override { return 1; }
  std::string describe(int) const override { return "the host in the role of a GPU"; }
  std::string why_no_bf16(int) const override { return log_.why_no_bf16; }
  bool host_addressable() const override { return false; }  // so that nobody takes the short way
  void* allocate(int, std::size_t bytes) override {
    // In front of what is given out stands how much it is.
    if (bytes > available_bytes(0)) fail_out_of_memory(kCuda, bytes);
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(kHeader, (bytes + 127) / kHeader * kHeader + kHeader));
    DERMATOME_CHECK(memory != nullptr, "{} bytes could not be allocated", bytes);
    std::memcpy(memory, &bytes, sizeof(bytes));
    log_.in_use += bytes;
    return memory + kHeader;
  }
  void release(int, void* given) noexcept override {
    if (given == nullptr) return;
    std::byte* memory = static_cast<std::byte*>(given) - kHeader;
    std::size_t bytes = 0;
    std::memcpy(&bytes, memory, sizeof(bytes));
    log_.in_use -= bytes;
    std::free(memory);
  }
  std::size_t available_bytes(int) const override { return log_.memory - std::min(log_.memory, log_.in_use.load()); }
  std::unique_ptr<Stream> make_stream(int) override { return std::make_unique<EmulatedStream>(log_); }
  void copy_from_host(void* to, const void* from, std::size_t bytes, Stream&) override { std::memcpy(to, from, bytes); }
  void copy_to_host(void* to, const void* from, std::size_t bytes, Stream&) override { std::memcpy(to, from, bytes); }
  void copy(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    check_recorded(stream);
    std::memmove(to, from, bytes);
  }
  void fill_bytes(void* to, unsigned char value, std::size_t bytes, Stream& stream) override {
    check_recorded(stream);
    std::memset(to, value, bytes);
  }
  void begin_range(const char* name) override {
    ++log_.open_ranges;
    if (log_.collecting) log_.collected.emplace_back(name);
  }
  void end_range() override { DERMATOME_CHECK(--log_.open_ranges >= 0, "a range ended that never began"); }
  void set_collecting(bool on) override { log_.collecting = on; }

 private:
  static constexpr std::size_t kHeader = 64;
  void check_recorded(const Stream& stream) const {
    DERMATOME_CHECK(log_.replayed == nullptr || log_.replayed == &stream, "work for another stream in a recording");
  }

  EmulatedDevice::Log& log_;
};

}  // namespace

EmulatedDevice::EmulatedDevice() : real_(exchange_backend(DeviceKind::cuda, std::make_unique<EmulatedBackend>(log_))) {}

EmulatedDevice::~EmulatedDevice() {
  exchange_backend(DeviceKind::cuda, std::move(real_));
}

}  // namespace dermatome::harness
