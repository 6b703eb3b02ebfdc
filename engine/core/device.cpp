// The registry of backends and the host backend, which serves the cpu and the reference device.
#include "engine/core/device.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/threads.h"

namespace dermatome {
namespace {

constexpr std::size_t kAlignment = 64;
// Memory from this size on lies in pages of 2 MiB where the kernel has them: 512 times fewer faults when it is first
// touched, and fewer misses of the address cache later.
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kHugeFrom = 2 * kHugePage;

class HostStream final : public Stream {
 public:
  void synchronize() override {}
};

std::size_t memory_available_from_proc() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::size_t kilobytes = 0;
  std::string unit;
  while (file >> key >> kilobytes >> unit) {
    if (key == "MemAvailable:") return kilobytes * 1024;
  }
  return static_cast<std::size_t>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

class HostBackend final : public Backend {
 public:
  int device_count() const override { return 1; }
  std::string describe(int) const override { return cpu_model_name(); }
  bool host_addressable() const override { return true; }

  void* allocate(int, std::size_t bytes) override {
    const bool huge = bytes >= kHugeFrom;
    const std::size_t alignment = huge ? kHugePage : kAlignment;
    const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;  // what lies behind stays untouched
    void* memory = std::aligned_alloc(alignment, rounded == 0 ? kAlignment : rounded);
    // Only a wish: without it the kernel maps small pages.
    if (huge && memory != nullptr) ::madvise(memory, rounded, MADV_HUGEPAGE);
    if (memory == nullptr) fail_out_of_memory({DeviceKind::cpu, 0}, bytes);
    return memory;
  }
  void release(int, void* memory) noexcept override { std::free(memory); }
  std::size_t available_bytes(int) const override {
    return std::min(memory_available_from_proc(), cgroup_memory_left());
  }
  std::unique_ptr<Stream> make_stream(int) override { return std::make_unique<HostStream>(); }
  void copy_from_host(void* to, const void* from, std::size_t bytes, Stream&) override { std::memcpy(to, from, bytes); }
  void copy_to_host(void* to, const void* from, std::size_t bytes, Stream&) override { std::memcpy(to, from, bytes); }
  void copy(void* to, const void* from, std::size_t bytes, Stream&) override { std::memmove(to, from, bytes); }
  void fill_bytes(void* to, unsigned char value, std::size_t bytes, Stream&) override { std::memset(to, value, bytes); }
};

std::map<DeviceKind, std::unique_ptr<Backend>>& backends() {
  static auto instance = [] {
    std::map<DeviceKind, std::unique_ptr<Backend>> map;
    map[DeviceKind::cpu] = std::make_unique<HostBackend>();
    map[DeviceKind::reference] = std::make_unique<HostBackend>();
    return map;
  }();
  return instance;
}

std::string_view kind_name(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::cpu: return "cpu";
    case DeviceKind::reference: return "reference";
    case DeviceKind::cuda: return "cuda";
  }
  return "?";
}

// Bytes in buffers, by device. Buffers are few and large.
class Account {
 public:
  void add(Device device, std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    Sum& sum = sums_[{device.kind, device.index}];
    sum.now += bytes;
    sum.peak = std::max(sum.peak, sum.now);
  }
  void subtract(Device device, std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    sums_[{device.kind, device.index}].now -= bytes;
  }
  std::size_t peak(Device device) {
    const std::scoped_lock lock(mutex_);
    return sums_[{device.kind, device.index}].peak;
  }

 private:
  struct Sum {
    std::size_t now = 0, peak = 0;
  };
  std::mutex mutex_;
  std::map<std::pair<DeviceKind, int>, Sum> sums_;
};

// Lives longer than buffers in other static objects.
Account& account() {
  static auto* const instance = new Account;
  return *instance;
}

}  // namespace

void register_backend(DeviceKind kind, std::unique_ptr<Backend> backend) {
  backends()[kind] = std::move(backend);
}

std::unique_ptr<Backend> exchange_backend(DeviceKind kind, std::unique_ptr<Backend> backend) {
  return std::exchange(backends()[kind], std::move(backend));
}

bool has_backend(DeviceKind kind) {
  return backends().contains(kind);
}

Backend& backend_of(DeviceKind kind) {
  const auto found = backends().find(kind);
  DERMATOME_CHECK(found != backends().end(), "this build has no {} device", kind_name(kind));
  return *found->second;
}

std::vector<Device> available_devices() {
  std::vector<Device> devices;
  for (const auto& [kind, backend] : backends()) {
    for (int i = 0; i < backend->device_count(); ++i) devices.push_back({kind, i});
  }
  return devices;
}

std::string to_string(Device device) {
  if (device.kind == DeviceKind::cuda) return fmt::format("cuda:{}", device.index);
  return std::string(kind_name(device.kind));
}

Device parse_device(std::string_view name) {
  const bool gpu_present = has_backend(DeviceKind::cuda) && backend_of(DeviceKind::cuda).device_count() > 0;
  if (name == "auto") return gpu_present ? Device{DeviceKind::cuda, 0} : Device{DeviceKind::cpu, 0};
  if (name == "cpu") return {DeviceKind::cpu, 0};
  if (name == "reference") return {DeviceKind::reference, 0};
  if (name.substr(0, 4) == "cuda") {
    int index = 0;
    const std::string_view rest = name.substr(4);
    if (!rest.empty()) {
      const auto [end, status] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), index);
      if (rest[0] != ':' || rest.size() < 2 || status != std::errc() || end != rest.data() + rest.size()) {
        fail_usage("'{}' is not a device; write cuda or cuda:0", name);
      }
    }
    if (!has_backend(DeviceKind::cuda)) fail_usage("this build has no cuda device; use --device cpu");
    const Backend& backend = backend_of(DeviceKind::cuda);
    const int count = backend.device_count();
    if (count == 0) fail("--device {} cannot be used: {}", name, backend.why_absent());
    if (index >= count) {
      fail_usage("there is no device cuda:{} here, only cuda:0{}", index,
                 count > 1 ? fmt::format(" to cuda:{}", count - 1) : "");
    }
    return {DeviceKind::cuda, index};
  }
  fail_usage("unknown device '{}' (auto, cpu, reference, cuda or cuda:N)", name);
}

void fail_out_of_memory(Device device, std::size_t needed) {
  const Backend& backend = backend_of(device.kind);
  throw OutOfMemory(needed, backend.available_bytes(device.index),
                    backend.host_addressable() ? "" : " on " + to_string(device));
}

std::size_t peak_buffer_bytes(Device device) {
  return account().peak(device);
}

Buffer::Buffer(Device device, std::size_t bytes)
    : memory_(backend_of(device.kind).allocate(device.index, bytes)), bytes_(bytes), device_(device) {
  account().add(device_, bytes_);
}

Buffer::Buffer(Buffer&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), bytes_(std::exchange(other.bytes_, 0)), device_(other.device_) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(bytes_, other.bytes_);
  std::swap(device_, other.device_);
  return *this;
}

Buffer::~Buffer() {
  if (memory_ == nullptr) return;
  backend_of(device_.kind).release(device_.index, memory_);
  account().subtract(device_, bytes_);
}

}  // namespace dermatome
