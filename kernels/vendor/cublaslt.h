// Matrix products by cuBLASLt, which is loaded when one is first asked for.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/device.h"
#include "engine/core/dtype.h"

namespace dermatome::cublaslt {

// As cuBLAS has matrices: column by column.
struct Matrix {
  DType type = DType::f32;
  std::int64_t rows = 0, columns = 0;  // as it lies in memory
  std::int64_t leading = 0;            // elements from a column to the next
  std::int64_t batch_stride = 0;       // elements from a product's to the next one's; 0: all have the same
  bool transposed = false;             // before it is multiplied
  friend bool operator==(const Matrix&, const Matrix&) = default;
};

// D = A B of f32 or bf16, for each of a batch; its sums are f32. Then D = relu(D + bias), each part where it is asked
// for; the bias, of D's type, has an element a row.
struct Product {
  Matrix a, b, d;
  std::int64_t batch = 1;
  std::int64_t alignment = 16;  // bytes, of where the matrices begin
  bool bias = false, relu = false;
  bool tf32 = false;           // f32 operands may be rounded to tf32
  bool deterministic = false;  // sums are never split
  friend bool operator==(const Product&, const Product&) = default;

  std::int64_t terms() const { return a.transposed ? a.rows : a.columns; }  // of each sum
};

struct Operands {
  const void* a = nullptr;
  const void* b = nullptr;
  const void* bias = nullptr;
  void* d = nullptr;
  void* workspace = nullptr;
};

// A product with the algorithm that computes it.
class Multiplication {
 public:
  virtual ~Multiplication() = default;
  virtual std::int64_t workspace_bytes() const = 0;
  virtual void run(const Operands& operands, Stream& stream) = 0;
  virtual std::string describe() const = 0;
};

std::string why_absent();  // empty where cuBLASLt can be loaded
std::int64_t version();    // 130100; 0 without

// Names of the algorithms that cuBLASLt guesses to be the fastest on that GPU, best guess first; none where it has none
// or cannot be loaded.
std::vector<std::string> algorithms_for(const Product& product, int device);

// Null where there is no algorithm of that name for the product (any more).
std::unique_ptr<Multiplication> make_multiplication(const Product& product, const std::string& algorithm, int device);

// An algorithm as cuBLASLt lets it be kept: for the version that gave it alone, so its name says which that is.
using Algorithm = std::array<std::uint64_t, 8>;
std::string name_of(const Algorithm& algorithm, std::int64_t version);
std::optional<Algorithm> algorithm_named(const std::string& name, std::int64_t version);

// For tests: what cuBLASLt's descriptors of the product say when they are read again. Needs no device.
std::string descriptors_of(const Product& product);

// Algorithms that want more than this are not taken.
inline constexpr std::int64_t kWorkspaceLimit = std::int64_t{512} << 20;

}  // namespace dermatome::cublaslt
