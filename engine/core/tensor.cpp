// Tensor: memory, copies between devices, views.
#include "engine/core/tensor.h"

namespace dermatome {
namespace {

bool host_addressable(Device device) {
  return backend_of(device.kind).host_addressable();
}

}  // namespace

Tensor::Tensor(TensorDesc desc, Device device) : desc_(desc), buffer_(std::make_shared<Buffer>(device, desc.bytes())) {}

void Tensor::check_host(DType wanted) const {
  DERMATOME_CHECK(defined(), "an undefined tensor has no elements");
  DERMATOME_CHECK(type() == wanted, "a tensor of {} was read as {}", name_of(type()), name_of(wanted));
  DERMATOME_CHECK(host_addressable(device()), "memory on {} cannot be read by the host; copy it first",
                  to_string(device()));
}

Tensor Tensor::clone() const {
  Tensor copy(desc_, device());
  copy.copy_from(*this);
  return copy;
}

Tensor Tensor::to(Device target) const {
  if (device() == target || (host_addressable(device()) && host_addressable(target))) return *this;
  Tensor copy(desc_, target);
  copy.copy_from(*this);
  return copy;
}

void Tensor::copy_from(const Tensor& other) const {
  DERMATOME_CHECK(defined() && other.defined() && desc_ == other.desc_, "cannot copy {} into {}",
                  to_string(other.desc_), to_string(desc_));
  const bool to_host = host_addressable(device());
  const bool from_host = host_addressable(other.device());
  Backend& backend = backend_of(to_host ? other.device().kind : device().kind);
  const auto stream = backend.make_stream(to_host ? other.device().index : device().index);
  if (to_host) {
    backend.copy_to_host(data(), other.data(), bytes(), *stream);
  } else if (from_host) {
    backend.copy_from_host(data(), other.data(), bytes(), *stream);
  } else {
    backend.copy(data(), other.data(), bytes(), *stream);
  }
  stream->synchronize();
}

void Tensor::zero() const {
  Backend& backend = backend_of(device().kind);
  const auto stream = backend.make_stream(device().index);
  backend.fill_bytes(data(), 0, bytes(), *stream);
  stream->synchronize();
}

Tensor Tensor::view(std::size_t byte_offset, TensorDesc desc) const {
  DERMATOME_CHECK(byte_offset + desc.bytes() <= bytes(), "a view of {} at byte {} leaves {}", to_string(desc),
                  byte_offset, to_string(desc_));
  Tensor part = *this;
  part.desc_ = desc;
  part.offset_ = offset_ + byte_offset;
  return part;
}

}  // namespace dermatome
