// cuDNN behind one file: convolution graphs, how their plans are chosen, and what is accepted for a GPU that is not
// here. cuDNN is loaded when it is first needed. Where a convolution is a matrix product, plans may be cuBLASLt's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/device.h"
#include "engine/core/dtype.h"

namespace dermatome::cudnn {

// What is done to the sums before they are stored: y = relu(relu_first(sum + bias) * scale + shift + residual), each
// part where it is asked for; then `mask` leaves zero where the residual is not positive, whether or not it was added.
// Bias, scale, shift and the residual's factor are f32, one a channel; the residual is laid out as y.
struct Epilogue {
  bool bias = false, relu_first = false, scale = false, residual = false, relu = false;
  bool residual_factor = false, mask = false;
  bool sums = false;  // also each channel's sums of what comes out and of its square, f32
  // What batch norm's gradient makes of a data gradient: `gate` leaves zero where a tensor laid out as y is not
  // positive, and `sums_with` sums each channel's y and its product with another such tensor, f32.
  bool gate = false, sums_with = false;
  bool changes() const { return bias || relu_first || scale || residual || relu || mask; }
  bool any() const { return changes() || sums || gate || sums_with; }
  bool reads_residual() const { return residual || mask; }
  friend bool operator==(const Epilogue&, const Epilogue&) = default;
};

enum class Direction : std::uint8_t { forward, data_gradient, weight_gradient };

// One cuDNN graph: a convolution of x [n, height, width, in] and a kernel [out, kernel, kernel, in] giving
// y [n, out_height, out_width, out], or one of its gradients, with what follows it in the same kernel.
struct Convolution {
  Direction direction = Direction::forward;
  std::int64_t n = 0, height = 0, width = 0, in = 0;
  std::int64_t out_height = 0, out_width = 0, out = 0;
  std::int64_t kernel = 0, stride = 1, pad = 0;
  // Channels of the tensors of which x and y are slices; 0: they are whole tensors.
  std::int64_t x_pitch = 0, y_pitch = 0;
  DType type = DType::f32;    // of both operands
  DType result = DType::f32;  // of what is written
  Epilogue epilogue = {};
  bool identity = false;       // the result goes through an identity: so engines write another type than they read
  bool exact = false;          // a result that is wider than the operands is never rounded to their type on the way
  bool tf32 = false;           // f32 operands may be rounded to tf32
  bool deterministic = false;  // only engines that give the same bits every time
  bool product = false;        // not as a graph: as matrix products, by cuBLASLt
  friend bool operator==(const Convolution&, const Convolution&) = default;

  std::int64_t channels_written() const { return direction == Direction::data_gradient ? in : out; }
  // Elements from a pixel of x, of y or of what is written to the next.
  std::int64_t x_step() const { return x_pitch > 0 ? x_pitch : in; }
  std::int64_t y_step() const { return y_pitch > 0 ? y_pitch : out; }
  std::int64_t written_step() const { return direction == Direction::data_gradient ? x_step() : y_step(); }
  std::int64_t x_pixels() const { return n * height * width; }
  std::int64_t y_pixels() const { return n * out_height * out_width; }
  std::int64_t pixels_written() const { return direction == Direction::data_gradient ? x_pixels() : y_pixels(); }
};

std::string to_string(const Convolution& convolution);  // also the key in the plan cache

// The two operands in the order x, kernel; y, kernel (data gradient: dy, kernel); x, dy (weight gradient).
struct Operands {
  const void* first = nullptr;
  const void* second = nullptr;
  const float* bias = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;
  const void* residual = nullptr;
  const float* residual_factor = nullptr;
  const void* gate = nullptr;
  const void* other = nullptr;  // of sums_with
  float* sum = nullptr;
  float* second_sum = nullptr;  // of squares, or of products with `other`
  void* result = nullptr;
  void* workspace = nullptr;
};

// A graph with the engine that runs it.
class Plan {
 public:
  virtual ~Plan() = default;
  virtual std::int64_t workspace_bytes() const = 0;
  virtual void run(const Operands& operands, Stream& stream) = 0;
  virtual std::string describe() const = 0;
};

// Why cuDNN cannot be used on this machine, and what to do; empty where it can.
std::string why_absent();
std::string version();  // "9.19.0"; empty without
std::string file();     // that it was loaded from; empty without

// The candidates' fastest plan on that GPU, and which candidate it is of: timed when first asked for, with the pass
// that makes `wanted` of what a candidate lacks; then known from the plan caches: a run's own file `plans` where there
// is one, then the user's. Null where cuDNN accepts none. Throws Error where cuDNN is absent.
struct Choice {
  std::unique_ptr<Plan> plan;
  std::size_t candidate = 0;
};
Choice choose_plan(const Convolution& wanted, const std::vector<Convolution>& candidates, int device,
                   const std::string& plans = {});

// Shortest seconds of a product of two square matrices on that GPU; 0 where cuDNN has no plan for it.
double matrix_product_seconds(DType type, std::int64_t side, int device);

// A plan that computes the same on the host, with plain loops: for devices that the host stands in for.
std::unique_ptr<Plan> make_host_plan(const Convolution& convolution);

// Whether a GPU that is not here could run it: how many plans cuDNN offers for the device profile (JSON, see
// tests/cudnn/profiles.h) within the workspace limit, and with `build` the first that it builds.
struct Acceptance {
  std::int64_t plans = 0;
  std::string built;  // the engine's name; empty: none
  std::string refusal;
};
Acceptance accepted_for(const Convolution& convolution, const std::string& profile, int capability, bool build);

// Plans that want more than this are not taken.
inline constexpr std::int64_t kWorkspaceLimit = std::int64_t{512} << 20;

}  // namespace dermatome::cudnn
