// oneDNN's matrix product, timed: the machine's matrix rate that kernels are compared with.
#include <dnnl.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "engine/core/error.h"
#include "kernels/vendor/onednn.h"

namespace dermatome::onednn {
namespace {

using dnnl::memory;

dnnl::matmul::primitive_desc product_desc(const dnnl::engine& engine, const memory::desc& plain,
                                          const memory::desc& any) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine, plain, any, plain};
#else
  return {dnnl::matmul::desc(plain, any, plain), engine};
#endif
}

// Ones, whatever the layout: zeros would draw less power than real numbers do.
memory filled(const memory::desc& desc, const dnnl::engine& engine, DType type) {
  memory object(desc, engine);
  auto* bytes = static_cast<std::uint8_t*>(object.get_data_handle());
  const float one = 1;
  const std::uint16_t one_bf16 = 0x3f80;
  const std::size_t step = size_of(type);
  for (std::size_t at = 0; at + step <= desc.get_size(); at += step) {
    std::memcpy(bytes + at, type == DType::f32 ? static_cast<const void*>(&one) : &one_bf16, step);
  }
  return object;
}

}  // namespace

double time_matrix_product(DType type, std::int64_t side, double seconds) {
  DERMATOME_CHECK(type == DType::f32 || type == DType::bf16, "matrix products are timed in f32 and bf16, not in {}",
                  name_of(type));
  const auto element = type == DType::f32 ? memory::data_type::f32 : memory::data_type::bf16;
  const memory::dims dims{side, side};
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  try {
    auto desc = product_desc(engine, {dims, element, memory::format_tag::ab}, {dims, element, memory::format_tag::any});
    while (std::strncmp(desc.impl_info_str(), "ref", 3) == 0) {
      if (!desc.next_impl()) return 0;
    }
    const dnnl::matmul product(desc);
    const memory a = filled(desc.src_desc(), engine, type);
    const memory b = filled(desc.weights_desc(), engine, type);
    const memory c = filled(desc.dst_desc(), engine, type);
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    double best = 0;
    for (int runs = 0; runs < 3 || std::chrono::duration<double>(Clock::now() - start).count() < seconds; ++runs) {
      const auto before = Clock::now();
      product.execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
      stream.wait();
      const double elapsed = std::chrono::duration<double>(Clock::now() - before).count();
      best = runs == 0 ? elapsed : std::min(best, elapsed);
    }
    return best;
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_unimplemented || error.status == dnnl_invalid_arguments) return 0;
    throw;
  }
}

}  // namespace dermatome::onednn
