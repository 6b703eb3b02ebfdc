// TensorDesc (type and shape) and Tensor (memory with a description).
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <string>

#include "engine/core/device.h"
#include "engine/core/dtype.h"
#include "engine/core/error.h"
#include "engine/core/shape.h"

namespace dermatome {

struct TensorDesc {
  DType type = DType::f32;
  Shape shape;

  std::size_t bytes() const { return static_cast<std::size_t>(shape.elements()) * size_of(type); }
  friend bool operator==(const TensorDesc&, const TensorDesc&) = default;
};

std::string to_string(const TensorDesc& desc);  // "f32[8, 128, 128, 64]"

template <typename T>
struct NoElementType;
template <typename T>
inline constexpr DType dtype_of = NoElementType<T>::value;  // only the types below
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<std::uint8_t> = DType::u8;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::i32;

// Dense row-major memory on one device. Copies of a Tensor share the memory; clone() does not.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(TensorDesc desc, Device device = {});  // contents undefined

  const TensorDesc& desc() const { return desc_; }
  const Shape& shape() const { return desc_.shape; }
  DType type() const { return desc_.type; }
  Device device() const { return buffer_ ? buffer_->device() : Device{}; }
  std::size_t bytes() const { return desc_.bytes(); }
  bool defined() const { return buffer_ != nullptr; }
  std::byte* data() const { return buffer_ ? buffer_->data() + offset_ : nullptr; }

  // Host memory as typed elements. Throws Error on a type mismatch or for memory the host cannot address.
  template <typename T>
  std::span<T> as() const {
    check_host(dtype_of<std::remove_const_t<T>>);
    return {reinterpret_cast<T*>(data()), static_cast<std::size_t>(shape().elements())};
  }

  Tensor clone() const;
  Tensor to(Device device) const;             // shares the memory when it is there already
  void copy_from(const Tensor& other) const;  // same type and shape; between any two devices
  void zero() const;

  // A part of this tensor's memory under another description, which must lie inside.
  Tensor view(std::size_t byte_offset, TensorDesc desc) const;

 private:
  void check_host(DType wanted) const;

  TensorDesc desc_;
  std::shared_ptr<Buffer> buffer_;
  std::size_t offset_ = 0;
};

template <typename T>
Tensor tensor_of(std::span<const T> values, const Shape& shape) {
  Tensor tensor({dtype_of<T>, shape});
  DERMATOME_CHECK(static_cast<std::int64_t>(values.size()) == shape.elements(), "{} values do not fill shape {}",
                  values.size(), to_string(shape));
  std::memcpy(tensor.data(), values.data(), values.size_bytes());
  return tensor;
}

}  // namespace dermatome
