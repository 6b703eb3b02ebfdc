// The .npy header and its data.
#include "engine/core/npy.h"

#include <fmt/ranges.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <vector>

namespace dermatome {
namespace {

const char* descr_of(DType type) {
  switch (type) {
    case DType::f32: return "<f4";
    case DType::bf16: return "<f4";
    case DType::f64: return "<f8";
    case DType::u8: return "|u1";
    case DType::i32: return "<i4";
  }
  return "";
}

std::string header_of(const Tensor& tensor) {
  std::string shape = fmt::format("{}", fmt::join(tensor.shape().extents(), ", "));
  if (tensor.shape().rank() == 1) shape += ",";  // a Python tuple of one
  std::string dict =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr_of(tensor.type()), shape);
  while ((10 + dict.size() + 1) % 64 != 0) dict += ' ';
  dict += '\n';
  const auto length = static_cast<std::uint16_t>(dict.size());
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(length & 0xff);
  header += static_cast<char>(length >> 8);
  return header + dict;
}

std::vector<float> widened(const Tensor& tensor) {
  const auto* words = reinterpret_cast<const std::uint16_t*>(tensor.data());
  std::vector<float> values(static_cast<std::size_t>(tensor.shape().elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint32_t bits = static_cast<std::uint32_t>(words[i]) << 16;
    std::memcpy(&values[i], &bits, sizeof(bits));
  }
  return values;
}

}  // namespace

void write_npy(const std::filesystem::path& path, const Tensor& tensor) {
  const Tensor host = tensor.to({DeviceKind::cpu, 0});
  const std::string header = header_of(host);
  const auto temporary = path.string() + ".partial";
  errno = 0;
  {
    std::ofstream file(temporary, std::ios::binary);
    file.write(header.data(), static_cast<std::streamsize>(header.size()));
    if (host.type() == DType::bf16) {
      const auto values = widened(host);
      file.write(reinterpret_cast<const char*>(values.data()),
                 static_cast<std::streamsize>(values.size() * sizeof(float)));
    } else {
      file.write(reinterpret_cast<const char*>(host.data()), static_cast<std::streamsize>(host.bytes()));
    }
    file.close();
    if (!file.good()) {
      const std::string cause = errno != 0 ? std::strerror(errno) : "the disk may be full";
      std::remove(temporary.c_str());
      fail("{} could not be written: {}", path.string(), cause);
    }
  }
  std::filesystem::rename(temporary, path);
}

}  // namespace dermatome
