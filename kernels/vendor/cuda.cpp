// The backend of NVIDIA GPUs. Everything goes through streams that are kept for the next who asks; host memory is
// copied through pinned buffers, so that a copy neither depends on the caller's pages nor stops the GPU.
#include "kernels/vendor/cuda.h"

#include <cuda_profiler_api.h>
#include <nvtx3/nvToolsExt.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

namespace dermatome::cuda {
namespace {

constexpr int kArchitectures[] = {DERMATOME_CUDA_ARCHITECTURES};
constexpr double kMebibyte = 1048576.0;

std::string version_of(int number) {
  return fmt::format("{}.{}", number / 1000, number % 1000 / 10);
}

int driver_version() {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

// Two pinned buffers, filled and sent in turn.
class Staging {
 public:
  static constexpr std::size_t kBytes = std::size_t{8} << 20;

  void to_device(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
    const std::scoped_lock lock(mutex_);
    for (std::size_t at = 0; at < bytes; at += kBytes) {
      Slot& slot = next();
      const std::size_t count = std::min(kBytes, bytes - at);
      std::memcpy(slot.memory, static_cast<const std::byte*>(from) + at, count);
      DERMATOME_CUDA_CALL(
          cudaMemcpyAsync(static_cast<std::byte*>(to) + at, slot.memory, count, cudaMemcpyHostToDevice, stream));
      slot.sent.record(stream);
    }
  }

  // The next part is on its way while the last is copied out.
  void to_host(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
    const std::scoped_lock lock(mutex_);
    Slot* previous = nullptr;
    std::size_t previous_at = 0;
    std::size_t previous_count = 0;
    const auto take = [&] {
      if (previous == nullptr) return;
      previous->sent.wait();
      std::memcpy(static_cast<std::byte*>(to) + previous_at, previous->memory, previous_count);
    };
    for (std::size_t at = 0; at < bytes; at += kBytes) {
      Slot& slot = next();
      const std::size_t count = std::min(kBytes, bytes - at);
      DERMATOME_CUDA_CALL(cudaMemcpyAsync(slot.memory, static_cast<const std::byte*>(from) + at, count,
                                          cudaMemcpyDeviceToHost, stream));
      slot.sent.record(stream);
      take();
      previous = &slot;
      previous_at = at;
      previous_count = count;
    }
    take();
  }

 private:
  struct Slot {
    void* memory = nullptr;
    Event sent;
    ~Slot() { cudaFreeHost(memory); }
  };

  // Free again: what was sent from it has arrived.
  Slot& next() {
    turn_ = 1 - turn_;
    auto& slot = slots_[turn_];
    if (slot == nullptr) slot = std::make_unique<Slot>();
    if (slot->memory == nullptr) DERMATOME_CUDA_CALL(cudaMallocHost(&slot->memory, kBytes));
    slot->sent.wait();
    return *slot;
  }

  std::mutex mutex_;
  std::array<std::unique_ptr<Slot>, 2> slots_;
  std::size_t turn_ = 0;
};

class Graph final : public Recording {
 public:
  explicit Graph(cudaGraph_t graph) {
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "cudaGraphInstantiate");
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph() override { cudaGraphExecDestroy(executable_); }
  void replay(Stream& stream) override { DERMATOME_CUDA_CALL(cudaGraphLaunch(executable_, native(stream))); }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

class EventMark final : public Mark {
 public:
  explicit EventMark(cudaStream_t stream) { event_.record(stream); }
  double seconds_since(const Mark& earlier) const override {
    return event_.seconds_since(static_cast<const EventMark&>(earlier).event_);
  }

 private:
  Event event_;
};

// What belongs to one device and outlives programs.
struct DeviceState {
  std::mutex mutex;
  std::vector<cudaStream_t> idle_streams;
  Staging staging;
};

class EventFence final : public Fence {
 public:
  explicit EventFence(cudaStream_t stream) {
    DERMATOME_CUDA_CALL(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming));
    DERMATOME_CUDA_CALL(cudaEventRecord(event_, stream));
  }
  ~EventFence() override { cudaEventDestroy(event_); }  // waits on it that are queued stay as they are
  EventFence(const EventFence&) = delete;
  EventFence& operator=(const EventFence&) = delete;
  cudaEvent_t event() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

class CudaStream final : public Stream {
 public:
  CudaStream(int device, DeviceState& state) : device_(device), state_(state) {
    use(device_);
    const std::scoped_lock lock(state_.mutex);
    if (state_.idle_streams.empty()) {
      DERMATOME_CUDA_CALL(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    } else {
      stream_ = state_.idle_streams.back();
      state_.idle_streams.pop_back();
    }
  }
  ~CudaStream() override {
    const std::scoped_lock lock(state_.mutex);
    state_.idle_streams.push_back(stream_);
  }
  void synchronize() override { DERMATOME_CUDA_CALL(cudaStreamSynchronize(stream_)); }
  void* native() override {
    use(device_);
    return stream_;
  }
  std::unique_ptr<Mark> mark() override {
    use(device_);
    return std::make_unique<EventMark>(stream_);
  }
  std::unique_ptr<Fence> fence() override {
    use(device_);
    return std::make_unique<EventFence>(stream_);
  }
  void wait_for(const Fence& fence) override {
    use(device_);
    DERMATOME_CUDA_CALL(cudaStreamWaitEvent(stream_, static_cast<const EventFence&>(fence).event(), 0));
  }
  std::unique_ptr<Recording> record(const std::function<void()>& work) override {
    use(device_);
    DERMATOME_CUDA_CALL(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
    cudaGraph_t graph = nullptr;
    try {
      work();
    } catch (...) {
      // The stream must leave the capture, whatever went wrong in it.
      if (cudaStreamEndCapture(stream_, &graph) == cudaSuccess) cudaGraphDestroy(graph);
      cudaGetLastError();
      throw;
    }
    DERMATOME_CUDA_CALL(cudaStreamEndCapture(stream_, &graph));
    return std::make_unique<Graph>(graph);
  }

 private:
  int device_;
  DeviceState& state_;
  cudaStream_t stream_ = nullptr;
};

class CudaBackend final : public Backend {
 public:
  // The driver is asked when somebody wants to know: starting it takes a tenth of a second.
  int device_count() const override { return found().status == cudaSuccess ? found().count : 0; }
  std::string why_absent() const override { return why_no_device(found().status, driver_version(), CUDART_VERSION); }
  std::string describe(int index) const override {
    return fmt::format("{}, compute capability {}.{}, {:.0f} of {:.0f} MiB free", name_of_device(index),
                       capability(index) / 10, capability(index) % 10,
                       static_cast<double>(memory_of(index).first) / kMebibyte,
                       static_cast<double>(memory_of(index).second) / kMebibyte);
  }
  std::string why_no_bf16(int index) const override { return cuda::why_no_bf16(named(index), capability(index)); }
  bool host_addressable() const override { return false; }

  void* allocate(int index, std::size_t bytes) override {
    prepare(index);
    void* memory = nullptr;
    const cudaError_t status = cudaMalloc(&memory, std::max<std::size_t>(bytes, 64));
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      fail_out_of_memory({DeviceKind::cuda, index}, bytes);
    }
    check(status, "cudaMalloc");
    return memory;
  }
  void release(int index, void* memory) noexcept override {
    cudaSetDevice(index);
    cudaFree(memory);
  }
  std::size_t available_bytes(int index) const override { return memory_of(index).first; }

  std::unique_ptr<Stream> make_stream(int index) override {
    prepare(index);
    return std::make_unique<CudaStream>(index, state_of(index));
  }
  void copy_from_host(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    const cudaStream_t queue = native(stream);
    state_of(current()).staging.to_device(to, from, bytes, queue);
  }
  void copy_to_host(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    const cudaStream_t queue = native(stream);
    state_of(current()).staging.to_host(to, from, bytes, queue);
  }
  void copy(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    DERMATOME_CUDA_CALL(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, native(stream)));
  }
  void fill_bytes(void* to, unsigned char value, std::size_t bytes, Stream& stream) override {
    DERMATOME_CUDA_CALL(cudaMemsetAsync(to, value, bytes, native(stream)));
  }

  void begin_range(const char* name) override { nvtxRangePushA(name); }
  void end_range() override { nvtxRangePop(); }
  void set_collecting(bool on) override {
    if (on) {
      DERMATOME_CUDA_CALL(cudaProfilerStart());
    } else {
      cudaProfilerStop();  // also while an error is on its way: another one would hide it
    }
  }

 private:
  struct Found {
    int count = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
  };
  static const Found& found() {
    static const Found instance;
    return instance;
  }
  static std::string named(int index) { return fmt::format("cuda:{} ({})", index, name_of_device(index)); }
  static int current() {
    int device = 0;
    DERMATOME_CUDA_CALL(cudaGetDevice(&device));
    return device;
  }
  static std::pair<std::size_t, std::size_t> memory_of(int index) {
    std::size_t free = 0;
    std::size_t total = 0;
    use(index);
    DERMATOME_CUDA_CALL(cudaMemGetInfo(&free, &total));
    return {free, total};
  }
  // The first use of a device finds out whether this build has code for it.
  void prepare(int index) {
    state_of(index);
    use(index);
  }
  DeviceState& state_of(int index) {
    const std::scoped_lock lock(mutex_);
    auto& state = states_[index];
    if (state == nullptr) {
      if (!code_runs_on(capability(index), kArchitectures)) {
        fail("{}", why_no_code(named(index), capability(index), kArchitectures));
      }
      state = std::make_unique<DeviceState>();
    }
    return *state;
  }

  std::mutex mutex_;
  std::map<int, std::unique_ptr<DeviceState>> states_;
};

struct BackendRegistrar {
  BackendRegistrar() { register_backend(DeviceKind::cuda, std::make_unique<CudaBackend>()); }
};
const BackendRegistrar registrar;

std::string list_of(std::span<const int> architectures) {
  std::string text;
  for (const int architecture : architectures) text += fmt::format("{}sm_{}", text.empty() ? "" : ", ", architecture);
  return text;
}

}  // namespace

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or the next call would report this one again
  const std::string name(call, std::strcspn(call, "("));
  fail("{} failed: {} ({})", name, cudaGetErrorString(status), cudaGetErrorName(status));
}

void use(int device) {
  DERMATOME_CUDA_CALL(cudaSetDevice(device));
}

int capability(int device) {
  int major = 0;
  int minor = 0;
  DERMATOME_CUDA_CALL(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  DERMATOME_CUDA_CALL(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
  return major * 10 + minor;
}

std::string name_of_device(int device) {
  cudaDeviceProp properties{};
  DERMATOME_CUDA_CALL(cudaGetDeviceProperties(&properties, device));
  return properties.name;
}

std::string version_text() {
  const int driver = driver_version();
  return fmt::format("runtime {}, {}; code for {} and PTX of the last", version_of(CUDART_VERSION),
                     driver == 0 ? "no driver" : "driver for " + version_of(driver), list_of(kArchitectures));
}

// Code for 8.0 runs on 8.6, code for 8.6 neither on 8.0 nor on 9.0; PTX is compiled for anything newer.
bool code_runs_on(int capability, std::span<const int> architectures) {
  const auto fits = [&](int code) { return code / 10 == capability / 10 && code <= capability; };
  return std::any_of(architectures.begin(), architectures.end(), fits) || architectures.back() <= capability;
}

std::string why_no_device(cudaError_t status, int driver_version, int runtime_version) {
  if (status == cudaErrorInsufficientDriver && driver_version > 0) {
    return fmt::format(
        "the NVIDIA driver here serves CUDA up to {} and this build needs {}; install a newer driver, or use --device "
        "cpu",
        version_of(driver_version), version_of(runtime_version));
  }
  if (driver_version == 0) return "there is no NVIDIA driver here; use --device cpu";
  if (status == cudaErrorNoDevice) {
    return "the NVIDIA driver finds no GPU (or CUDA_VISIBLE_DEVICES hides it); use --device cpu";
  }
  return fmt::format("CUDA does not start: {}; use --device cpu", cudaGetErrorString(status));
}

std::string why_no_code(const std::string& device, int capability, std::span<const int> architectures) {
  return fmt::format(
      "{} has compute capability {}.{} and this build holds code for {}; build with "
      "-DDERMATOME_CUDA_ARCHITECTURES={}, or use --device cpu",
      device, capability / 10, capability % 10, list_of(architectures), capability);
}

std::string why_no_bf16(const std::string& device, int capability) {
  constexpr int kFirst = 80;
  if (capability >= kFirst) return "";
  return fmt::format("bf16 needs a GPU of compute capability {}.{} or more, and {} has {}.{}", kFirst / 10, kFirst % 10,
                     device, capability / 10, capability % 10);
}

Event::Event() {
  DERMATOME_CUDA_CALL(cudaEventCreate(&event_));
}
Event::~Event() {
  cudaEventDestroy(event_);
}
void Event::record(cudaStream_t stream) {
  DERMATOME_CUDA_CALL(cudaEventRecord(event_, stream));
}
void Event::wait() {
  DERMATOME_CUDA_CALL(cudaEventSynchronize(event_));
}
double Event::seconds_since(const Event& earlier) const {
  float milliseconds = 0;
  DERMATOME_CUDA_CALL(cudaEventElapsedTime(&milliseconds, earlier.event_, event_));
  return static_cast<double>(milliseconds) * 1e-3;
}

}  // namespace dermatome::cuda
