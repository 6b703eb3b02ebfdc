// conv2d, its gradients and conv2d_fused, the specification: naive loops, sums in the tensor's own type. The weight is
// read, and its gradient made, in a copy [ky][kx][...] whose last axis is that of the innermost loop: otherwise a whole
// network in f64 takes minutes.
#include <vector>

#include "kernels/conv2d/geometry.h"
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

// f(tap, from, to) for every pixel `to` of y and the pixel `from` of x that this tap of the kernel shows it.
template <typename F>
void for_each_tap(const conv2d::Geometry& g, const F& f) {
  for (std::int64_t ky = 0; ky < g.kernel; ++ky)
    for (std::int64_t kx = 0; kx < g.kernel; ++kx)
      for (std::int64_t n = 0; n < g.n; ++n)
        for (std::int64_t oy = 0; oy < g.out_height; ++oy)
          for (std::int64_t ox = 0; ox < g.out_width; ++ox) {
            const std::int64_t y = oy * g.stride - g.pad + ky;
            const std::int64_t x = ox * g.stride - g.pad + kx;
            if (y < 0 || y >= g.height || x < 0 || x >= g.width) continue;
            f(ky * g.kernel + kx, (n * g.height + y) * g.width + x, (n * g.out_height + oy) * g.out_width + ox);
          }
}

// f(place in OIHW, tap, i, o) for every entry of the weight.
template <typename F>
void for_each_weight(const conv2d::Geometry& g, const F& f) {
  const std::int64_t taps = g.kernel * g.kernel;
  for (std::int64_t o = 0; o < g.out; ++o)
    for (std::int64_t i = 0; i < g.in; ++i)
      for (std::int64_t tap = 0; tap < taps; ++tap) f((o * g.in + i) * taps + tap, tap, i, o);
}

template <typename T>
void forward(const Call& call) {
  const auto g = conv2d::forward_geometry(call);
  const T* x = launch::in<T>(call, 0);
  const T* weight = launch::in<T>(call, 1);
  const T* bias = call.input_count > 2 ? launch::in<T>(call, 2) : nullptr;
  T* y = launch::out<T>(call, 0);
  T* copy = static_cast<T*>(call.workspace);  // [tap][i][o]
  for_each_weight(g, [&](std::int64_t w, std::int64_t tap, std::int64_t i, std::int64_t o) {
    copy[(tap * g.in + i) * g.out + o] = weight[w];
  });
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) y[i] = bias != nullptr ? bias[i % g.out] : T(0);
  for_each_tap(g, [&](std::int64_t tap, std::int64_t from, std::int64_t to) {
    for (std::int64_t i = 0; i < g.in; ++i)
      for (std::int64_t o = 0; o < g.out; ++o)
        y[to * g.out + o] += x[from * g.in + i] * copy[(tap * g.in + i) * g.out + o];
  });
}

// The first output of a convolution, in memory of its own where nobody asks for it.
template <typename T>
class FirstOutput {
 public:
  template <typename F>
  FirstOutput(const Call& call, const F& convolution) {
    Operand output = call.outputs[0];
    if (output.data == nullptr) {
      own_.resize(static_cast<std::size_t>(output.elements));
      output.data = own_.data();
    }
    Call whole = call;
    whole.outputs = &output;
    convolution(whole);
    values_ = static_cast<T*>(output.data);
  }
  T& operator[](std::int64_t i) const { return values_[i]; }

 private:
  std::vector<T> own_;
  T* values_;
};

template <typename T>
void sums(const Call& call) {
  const FirstOutput<T> y(call, forward<T>);
  const auto channels = call.outputs[0].extent[3];
  for (std::int64_t c = 0; c < channels; ++c) {
    T sum = 0;
    T squares = 0;
    for (std::int64_t i = c; i < call.outputs[0].elements; i += channels) {
      sum += y[i];
      squares += y[i] * y[i];
    }
    if (T* to = launch::out<T>(call, 1); to != nullptr) to[c] = sum;
    if (T* to = launch::out<T>(call, 2); to != nullptr) to[c] = squares;
  }
}

// The convolution, then one step behind the other on each element.
template <typename T>
void fused(const Call& call) {
  forward<T>(call);
  const T* scale = launch::in<T>(call, conv2d::kScale);
  const T* shift = launch::in<T>(call, conv2d::kShift);
  const T* residual = launch::in<T>(call, conv2d::kResidual);
  T* y = launch::out<T>(call, 0);
  const auto channels = call.outputs[0].extent[3];
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) {
    if (launch::integer(call, conv2d::kReluFirst) != 0 && y[i] < 0) y[i] = 0;
    if (scale != nullptr) y[i] = y[i] * scale[i % channels] + shift[i % channels];
    if (residual != nullptr) y[i] += residual[i];
    if (launch::integer(call, conv2d::kRelu) != 0 && y[i] < 0) y[i] = 0;
  }
}

template <typename T>
void data_gradient(const Call& call) {
  const auto g = conv2d::data_gradient_geometry(call);
  const T* dy = launch::in<T>(call, 0);
  const T* weight = launch::in<T>(call, 1);
  T* dx = launch::out<T>(call, 0);
  T* copy = static_cast<T*>(call.workspace);  // [tap][o][i]
  for_each_weight(g, [&](std::int64_t w, std::int64_t tap, std::int64_t i, std::int64_t o) {
    copy[(tap * g.out + o) * g.in + i] = weight[w];
  });
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) dx[i] = 0;
  for_each_tap(g, [&](std::int64_t tap, std::int64_t from, std::int64_t to) {
    for (std::int64_t o = 0; o < g.out; ++o)
      for (std::int64_t i = 0; i < g.in; ++i)
        dx[from * g.in + i] += dy[to * g.out + o] * copy[(tap * g.out + o) * g.in + i];
  });
}

template <typename T>
void weight_gradient(const Call& call) {
  const auto g = conv2d::weight_gradient_geometry(call);
  const T* x = launch::in<T>(call, 0);
  const T* dy = launch::in<T>(call, 1);
  if (T* dweight = launch::out<T>(call, 0); dweight != nullptr) {
    T* sums = static_cast<T*>(call.workspace);  // [tap][o][i]
    for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) sums[i] = 0;
    for_each_tap(g, [&](std::int64_t tap, std::int64_t from, std::int64_t to) {
      for (std::int64_t o = 0; o < g.out; ++o)
        for (std::int64_t i = 0; i < g.in; ++i)
          sums[(tap * g.out + o) * g.in + i] += x[from * g.in + i] * dy[to * g.out + o];
    });
    for_each_weight(g, [&](std::int64_t w, std::int64_t tap, std::int64_t i, std::int64_t o) {
      dweight[w] = sums[(tap * g.out + o) * g.in + i];
    });
  }
  if (T* dbias = launch::out<T>(call, 1); dbias != nullptr) {
    for (std::int64_t o = 0; o < g.out; ++o) dbias[o] = 0;
    for (std::int64_t i = 0; i < call.inputs[1].elements; ++i) dbias[i % g.out] += dy[i];
  }
}

template <typename T>
std::int64_t weight_bytes(const Call& call) {
  return call.inputs[1].elements * static_cast<std::int64_t>(sizeof(T));
}
template <typename T>
void data_gradient_sums(const Call& call) {
  const FirstOutput<T> g(call, data_gradient<T>);
  const T* gate = launch::in<T>(call, conv2d::kGate);
  const T* other = launch::in<T>(call, conv2d::kOther);
  const T* added = call.input_count > conv2d::kAdded ? launch::in<T>(call, conv2d::kAdded) : nullptr;
  const auto channels = call.outputs[0].extent[3];
  for (std::int64_t c = 0; c < channels; ++c) {
    T sum = 0;
    T products = 0;
    for (std::int64_t i = c; i < call.outputs[0].elements; i += channels) {
      g[i] = gate[i] > 0 ? g[i] + (added == nullptr ? T(0) : added[i]) : T(0);
      sum += g[i];
      products += g[i] * other[i];
    }
    if (T* to = launch::out<T>(call, 1); to != nullptr) to[c] = sum;
    if (T* to = launch::out<T>(call, 2); to != nullptr) to[c] = products;
  }
}

template <typename T>
std::int64_t weight_gradient_bytes(const Call& call) {
  return call.outputs[0].elements * static_cast<std::int64_t>(sizeof(T));
}

DERMATOME_REFERENCE({"conv2d", DType::f32, forward<float>, weight_bytes<float>},
                    {"conv2d", DType::f64, forward<double>, weight_bytes<double>},
                    {"conv2d_fused", DType::f32, fused<float>, weight_bytes<float>},
                    {"conv2d_fused", DType::f64, fused<double>, weight_bytes<double>},
                    {"conv2d_sums", DType::f32, sums<float>, weight_bytes<float>},
                    {"conv2d_sums", DType::f64, sums<double>, weight_bytes<double>},
                    {"conv2d_data_gradient", DType::f32, data_gradient<float>, weight_bytes<float>},
                    {"conv2d_data_gradient", DType::f64, data_gradient<double>, weight_bytes<double>},
                    {"conv2d_data_gradient_sums", DType::f32, data_gradient_sums<float>, weight_bytes<float>},
                    {"conv2d_data_gradient_sums", DType::f64, data_gradient_sums<double>, weight_bytes<double>},
                    {"conv2d_weight_gradient", DType::f32, weight_gradient<float>, weight_gradient_bytes<float>},
                    {"conv2d_weight_gradient", DType::f64, weight_gradient<double>, weight_gradient_bytes<double>});

}  // namespace
}  // namespace dermatome
