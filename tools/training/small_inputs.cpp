// The layout of the buffer, and binding programs to it.
#include "tools/training/small_inputs.h"

#include "engine/core/error.h"

namespace dermatome::training {
namespace {

constexpr std::size_t kAlignment = 64;

}  // namespace

SmallInputs::SmallInputs(const std::map<std::string, std::size_t>& bytes, Device device) {
  std::size_t total = 0;
  for (const auto& [name, room] : bytes) {
    rooms_[name] = {total, room};
    total += (room + kAlignment - 1) / kAlignment * kAlignment;
  }
  const TensorDesc desc{DType::u8, {static_cast<std::int64_t>(total)}};
  on_device_ = Tensor(desc, device);
  on_host_ = Tensor(desc);
  on_host_.zero();
}

void SmallInputs::bind(Program& program, const std::string& name) {
  place_of(program, name, program.graph().desc(program.graph().input(name)).bytes());
}

std::byte* SmallInputs::place_of(Program& program, const std::string& name, std::size_t bytes) {
  const TensorDesc& desc = program.graph().desc(program.graph().input(name));
  const auto room = rooms_.find(name);
  DERMATOME_CHECK(room != rooms_.end() && bytes == desc.bytes() && bytes <= room->second.bytes,
                  "input '{}' is {} and cannot take {} bytes{}", name, to_string(desc), bytes,
                  room == rooms_.end() ? ": it has no room" : "");
  program.bind(name, on_device_.view(room->second.offset, desc));
  return on_host_.data() + room->second.offset;
}

void SmallInputs::send() const {
  on_device_.copy_from(on_host_);
}

}  // namespace dermatome::training
