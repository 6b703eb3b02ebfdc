// Devices and what a device must offer: memory, copies, and a stream to run kernels in.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dermatome {

enum class DeviceKind : unsigned char {
  cpu,        // oneDNN and vectorised loops
  reference,  // naive loops in f32 or f64: the specification, never chosen for the user
  cuda,       // cuDNN and CUDA kernels
};

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;  // among several GPUs
  friend bool operator==(const Device&, const Device&) = default;
};

std::string to_string(Device device);        // "cpu", "reference", "cuda:1"
Device parse_device(std::string_view name);  // also "auto"; throws UsageError for an unknown or absent device

class Stream;

// Work that was recorded once and can be queued again and again at the price of one launch: a CUDA graph.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay(Stream& stream) = 0;
};

// A point in a stream's work whose time is known once the work has run.
class Mark {
 public:
  virtual ~Mark() = default;
  virtual double seconds_since(const Mark& earlier) const = 0;
};

// What was queued on a stream until some moment, for another stream to wait for.
class Fence {
 public:
  virtual ~Fence() = default;
};

// An in-order queue of work on one device. On the host work runs at once.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual void synchronize() = 0;             // waits until everything queued has run
  virtual void* native() { return nullptr; }  // cudaStream_t on CUDA, null on the host

  // What `work` queues on this stream is recorded instead of run; it must not wait for the device. Null, with `work`
  // not called, where the device records nothing.
  virtual std::unique_ptr<Recording> record(const std::function<void()>& /*work*/) { return nullptr; }

  // Null where work runs at once, so that the host's clock serves.
  virtual std::unique_ptr<Mark> mark() { return nullptr; }

  // Work that is queued on this stream from now on runs behind the fence of another stream of its device; null where
  // work runs at once, and then there is nothing to wait for.
  virtual std::unique_ptr<Fence> fence() { return nullptr; }
  virtual void wait_for(const Fence& /*fence*/) {}
  // Queues what `work` queues on this stream; a stream that stands in for a device's may put off calling it.
  virtual void submit(const std::function<void()>& work) { work(); }
};

// One kind of device: the engine reaches memory only through it, so that a new device is one registration.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual int device_count() const = 0;
  virtual std::string why_absent() const { return ""; }  // where there is no device: why, and what to do
  virtual std::string describe(int index) const = 0;
  virtual std::string why_no_bf16(int /*index*/) const { return ""; }  // where a device has no products of bf16: why
  virtual bool host_addressable() const = 0;  // may the host read and write this memory directly?

  // Throws OutOfMemory. 64-byte aligned, contents undefined.
  virtual void* allocate(int index, std::size_t bytes) = 0;
  virtual void release(int index, void* memory) noexcept = 0;
  virtual std::size_t available_bytes(int index) const = 0;  // what allocate could still give

  virtual std::unique_ptr<Stream> make_stream(int index) = 0;
  // Copies queue on the stream; host memory must stay valid until it is synchronised.
  virtual void copy_from_host(void* to, const void* from, std::size_t bytes, Stream& stream) = 0;
  virtual void copy_to_host(void* to, const void* from, std::size_t bytes, Stream& stream) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes, Stream& stream) = 0;
  virtual void fill_bytes(void* to, unsigned char value, std::size_t bytes, Stream& stream) = 0;

  // For the device's own profilers, which see no nodes but kernels: names for what is queued in between, and whether
  // they shall collect. Where there is no such profiler nothing happens.
  virtual void begin_range(const char* /*name*/) {}
  virtual void end_range() {}
  virtual void set_collecting(bool /*on*/) {}
};

// Says that a device does not have so much left.
[[noreturn]] void fail_out_of_memory(Device device, std::size_t needed);

class NamedRange {
 public:
  NamedRange(Backend& backend, const std::string& name) : backend_(backend) { backend_.begin_range(name.c_str()); }
  ~NamedRange() { backend_.end_range(); }
  NamedRange(const NamedRange&) = delete;
  NamedRange& operator=(const NamedRange&) = delete;

 private:
  Backend& backend_;
};

// Called by a backend's own file when the program starts; the host backend serves cpu and reference.
void register_backend(DeviceKind kind, std::unique_ptr<Backend> backend);
// Puts another in its place and gives back the old one, for tests that stand in for a device.
std::unique_ptr<Backend> exchange_backend(DeviceKind kind, std::unique_ptr<Backend> backend);
Backend& backend_of(DeviceKind kind);  // throws Error when this build has none
bool has_backend(DeviceKind kind);
std::vector<Device> available_devices();

// The most that all buffers on a device held at once since the program started, in bytes.
std::size_t peak_buffer_bytes(Device device);

// Owned memory on a device; released with it.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device device, std::size_t bytes);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  std::byte* data() const { return static_cast<std::byte*>(memory_); }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
  Device device_{};
};

}  // namespace dermatome
