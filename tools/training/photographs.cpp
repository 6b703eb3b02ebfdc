// Bringing photographs to the device, ahead of the steps that read them.
#include "tools/training/photographs.h"

#include <algorithm>
#include <array>
#include <future>
#include <numeric>

#include "engine/core/error.h"

namespace dermatome::training {
namespace {

constexpr std::array<const char*, 3> kNames{"auto", "device", "host"};

Tensor room(std::int64_t count, std::int64_t size, bool colours, Device device) {
  return Tensor({DType::u8, colours ? Shape{count, size, size, 3} : Shape{count, size, size}}, device);
}

}  // namespace

std::vector<std::string> residence_names() {
  return {kNames.begin(), kNames.end()};
}

Residence parse_residence(const std::string& name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  DERMATOME_CHECK(found != kNames.end(), "'{}' is no place for photographs; auto, device and host are", name);
  return static_cast<Residence>(found - kNames.begin());
}

bool lie_on_device(Residence residence, std::size_t bytes, Device device) {
  if (residence != Residence::automatic) return residence == Residence::device;
  const Backend& backend = backend_of(device.kind);
  return backend.host_addressable() || bytes <= backend.available_bytes(device.index) / 2;
}

// Only the thread of `arrival` touches the stream and the tensors ahead while it runs.
struct PhotographSet::Host {
  std::vector<std::uint8_t> photographs, masks;
  std::size_t pixels;  // of a photograph
  Device device;
  Tensor images_ahead, masks_ahead;
  std::unique_ptr<Stream> stream;
  std::vector<std::uint32_t> ahead;  // what the tensors ahead hold, or will once it has arrived
  std::future<void> arrival;

  void send(std::span<const std::uint32_t> samples) {
    Backend& backend = backend_of(device.kind);
    for (std::size_t row = 0; row < samples.size(); ++row) {
      backend.copy_from_host(images_ahead.data() + row * pixels * 3, photographs.data() + samples[row] * pixels * 3,
                             pixels * 3, *stream);
      backend.copy_from_host(masks_ahead.data() + row * pixels, masks.data() + samples[row] * pixels, pixels, *stream);
    }
    stream->synchronize();
  }

  void prefetch(std::span<const std::uint32_t> samples) {
    if (arrival.valid()) arrival.get();
    ahead.assign(samples.begin(), samples.end());
    arrival = std::async(std::launch::async, [this] { send(ahead); });
  }

  void bring(std::span<const std::uint32_t> samples, const Tensor& images, const Tensor& masks_there) {
    if (!std::equal(samples.begin(), samples.end(), ahead.begin(), ahead.end())) prefetch(samples);
    if (arrival.valid()) arrival.get();
    Backend& backend = backend_of(device.kind);
    backend.copy(images.data(), images_ahead.data(), samples.size() * pixels * 3, *stream);
    backend.copy(masks_there.data(), masks_ahead.data(), samples.size() * pixels, *stream);
    stream->synchronize();
  }
};

PhotographSet::PhotographSet() = default;
PhotographSet::~PhotographSet() = default;
PhotographSet::PhotographSet(PhotographSet&&) noexcept = default;
PhotographSet& PhotographSet::operator=(PhotographSet&&) noexcept = default;

PhotographSet::PhotographSet(std::span<const std::uint8_t> photographs, std::span<const std::uint8_t> masks,
                             std::int64_t size, Device device, bool on_device, std::int64_t batch)
    : count_(static_cast<std::int64_t>(masks.size()) / (size * size)) {
  if (on_device || count_ == 0) {
    images_ = tensor_of<std::uint8_t>(photographs, {count_, size, size, 3}).to(device);
    masks_ = tensor_of<std::uint8_t>(masks, {count_, size, size}).to(device);
    return;
  }
  const std::int64_t rows = std::min(batch, count_);
  images_ = room(rows, size, true, device);
  masks_ = room(rows, size, false, device);
  host_ = std::make_unique<Host>(Host{.photographs = {photographs.begin(), photographs.end()},
                                      .masks = {masks.begin(), masks.end()},
                                      .pixels = static_cast<std::size_t>(size * size),
                                      .device = device,
                                      .images_ahead = room(rows, size, true, device),
                                      .masks_ahead = room(rows, size, false, device),
                                      .stream = backend_of(device.kind).make_stream(device.index),
                                      .ahead = {},
                                      .arrival = {}});
}

std::vector<std::int32_t> PhotographSet::place(std::span<const std::uint32_t> samples) {
  if (host_ == nullptr) return {samples.begin(), samples.end()};
  DERMATOME_CHECK(static_cast<std::int64_t>(samples.size()) <= rows(), "{} photographs do not fit into {} rows",
                  samples.size(), rows());
  host_->bring(samples, images_, masks_);
  std::vector<std::int32_t> places(samples.size());
  std::iota(places.begin(), places.end(), 0);
  return places;
}

void PhotographSet::prefetch(std::span<const std::uint32_t> samples) {
  if (host_ != nullptr && !samples.empty()) host_->prefetch(samples);
}

}  // namespace dermatome::training
