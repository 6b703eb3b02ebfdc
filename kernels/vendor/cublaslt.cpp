// Matrix products through cuBLASLt, the one file that includes it.
#include "kernels/vendor/cublaslt.h"

#include <cublasLt.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <map>

#include "engine/core/error.h"
#include "kernels/vendor/cuda.h"
#include "kernels/vendor/shared_library.h"

namespace dermatome::cublaslt {
namespace {

#define DERMATOME_CUBLASLT_FUNCTIONS(function)    \
  function(cublasLtCreate);                       \
  function(cublasLtGetVersion);                   \
  function(cublasLtMatmul);                       \
  function(cublasLtMatmulAlgoCheck);              \
  function(cublasLtMatmulAlgoConfigGetAttribute); \
  function(cublasLtMatmulAlgoGetHeuristic);       \
  function(cublasLtMatmulDescCreate);             \
  function(cublasLtMatmulDescDestroy);            \
  function(cublasLtMatmulDescGetAttribute);       \
  function(cublasLtMatmulDescSetAttribute);       \
  function(cublasLtMatmulPreferenceCreate);       \
  function(cublasLtMatmulPreferenceDestroy);      \
  function(cublasLtMatmulPreferenceSetAttribute); \
  function(cublasLtMatrixLayoutCreate);           \
  function(cublasLtMatrixLayoutDestroy);          \
  function(cublasLtMatrixLayoutGetAttribute);     \
  function(cublasLtMatrixLayoutSetAttribute);

// Under the names that the header declares, so that a call looks as it does everywhere.
struct Library {
#define DERMATOME_MEMBER(name) decltype(&::name) name = nullptr
  DERMATOME_CUBLASLT_FUNCTIONS(DERMATOME_MEMBER)
#undef DERMATOME_MEMBER
  std::string why_absent;
};

template <typename Function>
void find(const SharedLibrary& library, const char* name, Function& function, std::string& why_absent) {
  function = reinterpret_cast<Function>(::dlsym(library.handle, name));
  if (function == nullptr) why_absent = fmt::format("{} has no {}", library.file, name);
}

Library load() {
  Library loaded;
  const SharedLibrary file = open_library(fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR), "DERMATOME_CUBLASLT");
  loaded.why_absent = file.why_absent;
  if (file.handle == nullptr) return loaded;
#define DERMATOME_FIND(name) find(file, #name, loaded.name, loaded.why_absent)
  DERMATOME_CUBLASLT_FUNCTIONS(DERMATOME_FIND)
#undef DERMATOME_FIND
  return loaded;
}

const Library& library() {
  static const Library instance = load();
  return instance;
}

void check(cublasStatus_t status, const char* call) {
  DERMATOME_CHECK(status == CUBLAS_STATUS_SUCCESS, "{} failed (status {})", call, static_cast<int>(status));
}
#define DERMATOME_CUBLASLT_CALL(name, ...) check(library().name(__VA_ARGS__), #name)

cudaDataType_t type_of(DType type) {
  switch (type) {
    case DType::f32: return CUDA_R_32F;
    case DType::bf16: return CUDA_R_16BF;
    default: fail("cuBLASLt's products take f32 or bf16, not {}", name_of(type));
  }
}

// Owns a descriptor.
template <typename T>
class Owned {
 public:
  explicit Owned(cublasStatus_t (*destroy)(T)) : destroy_(destroy) {}
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (descriptor_ != nullptr) destroy_(descriptor_);
  }
  T* address() { return &descriptor_; }
  T get() const { return descriptor_; }

 private:
  T descriptor_ = nullptr;
  cublasStatus_t (*destroy_)(T);
};

// Of one product: cuBLASLt's description of it.
struct Descriptors {
  explicit Descriptors(const Product& product);

  void set(cublasLtMatmulDescAttributes_t attribute, const auto& value) {
    DERMATOME_CUBLASLT_CALL(cublasLtMatmulDescSetAttribute, operation.get(), attribute, &value, sizeof value);
  }

  Owned<cublasLtMatmulDesc_t> operation{library().cublasLtMatmulDescDestroy};
  Owned<cublasLtMatrixLayout_t> a{library().cublasLtMatrixLayoutDestroy};
  Owned<cublasLtMatrixLayout_t> b{library().cublasLtMatrixLayoutDestroy};
  Owned<cublasLtMatrixLayout_t> d{library().cublasLtMatrixLayoutDestroy};
};

void make_layout(Owned<cublasLtMatrixLayout_t>& layout, const Matrix& matrix, std::int64_t batch) {
  DERMATOME_CUBLASLT_CALL(cublasLtMatrixLayoutCreate, layout.address(), type_of(matrix.type),
                          static_cast<std::uint64_t>(matrix.rows), static_cast<std::uint64_t>(matrix.columns),
                          matrix.leading);
  if (batch == 1) return;
  const auto count = static_cast<std::int32_t>(batch);
  DERMATOME_CUBLASLT_CALL(cublasLtMatrixLayoutSetAttribute, layout.get(), CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                          sizeof count);
  DERMATOME_CUBLASLT_CALL(cublasLtMatrixLayoutSetAttribute, layout.get(), CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                          &matrix.batch_stride, sizeof matrix.batch_stride);
}

cublasLtEpilogue_t epilogue_of(const Product& product) {
  if (product.bias) return product.relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
  return product.relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT;
}

Descriptors::Descriptors(const Product& product) {
  const bool tf32 = product.tf32 && product.a.type == DType::f32;
  DERMATOME_CUBLASLT_CALL(cublasLtMatmulDescCreate, operation.address(),
                          tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F);
  set(CUBLASLT_MATMUL_DESC_TRANSA, product.a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_TRANSB, product.b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(product));
  if (product.bias) {
    // Which bias is not known yet; algorithms are chosen by how it is aligned.
    const void* aligned = reinterpret_cast<const void*>(product.alignment);
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, aligned);
  }
  make_layout(a, product.a, product.batch);
  make_layout(b, product.b, product.batch);
  make_layout(d, product.d, product.batch);
}

// Where sums are split, their parts are added in f32: schemes that add in the type of D would round them.
std::uint32_t allowed_reductions(const Product& product) {
  if (product.deterministic) return CUBLASLT_REDUCTION_SCHEME_NONE;
  return product.d.type == DType::f32 ? CUBLASLT_REDUCTION_SCHEME_MASK : CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
}

// A handle a device, kept until the program ends.
cublasLtHandle_t handle_of(int device) {
  static std::map<int, cublasLtHandle_t> handles;
  cuda::use(device);
  auto& handle = handles[device];
  if (handle == nullptr) DERMATOME_CUBLASLT_CALL(cublasLtCreate, &handle);
  return handle;
}

template <typename T>
T configured(const cublasLtMatmulAlgo_t& algorithm, cublasLtMatmulAlgoConfigAttributes_t attribute) {
  T value{};
  std::size_t written = 0;
  DERMATOME_CUBLASLT_CALL(cublasLtMatmulAlgoConfigGetAttribute, &algorithm, attribute, &value, sizeof value, &written);
  return value;
}

bool allowed(const cublasLtMatmulAlgo_t& algorithm, const Product& product) {
  const auto reduction = configured<std::uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME);
  return (reduction & ~allowed_reductions(product)) == 0;
}

constexpr int kAlgorithmsAsked = 8;
static_assert(sizeof(Algorithm) == sizeof(cublasLtMatmulAlgo_t));

std::vector<cublasLtMatmulHeuristicResult_t> guesses(const Product& product, int device) {
  const Descriptors descriptors(product);
  Owned<cublasLtMatmulPreference_t> preference(library().cublasLtMatmulPreferenceDestroy);
  DERMATOME_CUBLASLT_CALL(cublasLtMatmulPreferenceCreate, preference.address());
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    DERMATOME_CUBLASLT_CALL(cublasLtMatmulPreferenceSetAttribute, preference.get(), attribute, &value, sizeof value);
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::uint64_t>(kWorkspaceLimit));
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, allowed_reductions(product));
  for (const auto attribute :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    prefer(attribute, static_cast<std::uint32_t>(product.alignment));
  }
  std::vector<cublasLtMatmulHeuristicResult_t> results(kAlgorithmsAsked);
  int count = 0;
  const auto status = library().cublasLtMatmulAlgoGetHeuristic(
      handle_of(device), descriptors.operation.get(), descriptors.a.get(), descriptors.b.get(), descriptors.d.get(),
      descriptors.d.get(), preference.get(), kAlgorithmsAsked, results.data(), &count);
  results.resize(status == CUBLAS_STATUS_SUCCESS ? static_cast<std::size_t>(count) : 0);
  return results;
}

class GpuMultiplication final : public Multiplication {
 public:
  GpuMultiplication(const Product& product, const cublasLtMatmulAlgo_t& algorithm, int device)
      : product_(product), descriptors_(product), algorithm_(algorithm), device_(device) {}

  // Whether the GPU can run it, which also says how much workspace it takes.
  bool accepted() {
    cublasLtMatmulHeuristicResult_t result{};
    const auto status = library().cublasLtMatmulAlgoCheck(
        handle_of(device_), descriptors_.operation.get(), descriptors_.a.get(), descriptors_.b.get(),
        descriptors_.d.get(), descriptors_.d.get(), &algorithm_, &result);
    workspace_ = static_cast<std::int64_t>(result.workspaceSize);
    return status == CUBLAS_STATUS_SUCCESS && workspace_ <= kWorkspaceLimit && allowed(algorithm_, product_);
  }

  std::int64_t workspace_bytes() const override { return workspace_; }
  std::string describe() const override {
    return fmt::format("cublaslt algorithm {}", configured<std::int32_t>(algorithm_, CUBLASLT_ALGO_CONFIG_ID));
  }
  void run(const Operands& operands, Stream& stream) override {
    const cublasLtHandle_t handle = handle_of(device_);
    if (product_.bias) descriptors_.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, operands.bias);
    const float one = 1;
    const float zero = 0;
    DERMATOME_CUBLASLT_CALL(cublasLtMatmul, handle, descriptors_.operation.get(), &one, operands.a,
                            descriptors_.a.get(), operands.b, descriptors_.b.get(), &zero, operands.d,
                            descriptors_.d.get(), operands.d, descriptors_.d.get(), &algorithm_, operands.workspace,
                            static_cast<std::size_t>(workspace_), cuda::native(stream));
  }

 private:
  Product product_;
  Descriptors descriptors_;
  cublasLtMatmulAlgo_t algorithm_;
  int device_;
  std::int64_t workspace_ = 0;
};

std::string prefix_of(std::int64_t version) {
  return fmt::format("cublaslt {} ", version);
}

constexpr std::size_t kDigits = 16;  // of a word

std::string text_of_layout(cublasLtMatrixLayout_t layout) {
  const auto read = [&](cublasLtMatrixLayoutAttribute_t attribute, auto value) {
    std::size_t written = 0;
    DERMATOME_CUBLASLT_CALL(cublasLtMatrixLayoutGetAttribute, layout, attribute, &value, sizeof value, &written);
    return value;
  };
  const auto type = read(CUBLASLT_MATRIX_LAYOUT_TYPE, std::uint32_t{});
  return fmt::format(
      "{} {}x{} leading {} batch {} stride {}", type == CUDA_R_32F ? "f32" : "bf16",
      read(CUBLASLT_MATRIX_LAYOUT_ROWS, std::uint64_t{}), read(CUBLASLT_MATRIX_LAYOUT_COLS, std::uint64_t{}),
      read(CUBLASLT_MATRIX_LAYOUT_LD, std::int64_t{}), read(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, std::int32_t{}),
      read(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, std::int64_t{}));
}

}  // namespace

std::string why_absent() {
  return library().why_absent;
}

std::int64_t version() {
  return why_absent().empty() ? static_cast<std::int64_t>(library().cublasLtGetVersion()) : 0;
}

std::vector<std::string> algorithms_for(const Product& product, int device) {
  std::vector<std::string> names;
  if (!why_absent().empty()) return names;
  for (const auto& guess : guesses(product, device)) {
    if (guess.state != CUBLAS_STATUS_SUCCESS || !allowed(guess.algo, product)) continue;
    Algorithm words{};
    std::memcpy(words.data(), &guess.algo, sizeof words);
    names.push_back(name_of(words, version()));
  }
  return names;
}

std::unique_ptr<Multiplication> make_multiplication(const Product& product, const std::string& algorithm, int device) {
  if (!why_absent().empty()) return nullptr;
  const auto words = algorithm_named(algorithm, version());
  if (!words) return nullptr;
  cublasLtMatmulAlgo_t kept;
  std::memcpy(&kept, words->data(), sizeof kept);
  auto multiplication = std::make_unique<GpuMultiplication>(product, kept, device);
  return multiplication->accepted() ? std::move(multiplication) : nullptr;
}

std::string name_of(const Algorithm& algorithm, std::int64_t version) {
  std::string name = prefix_of(version);
  for (const std::uint64_t word : algorithm) name += fmt::format("{:016x}", word);
  return name;
}

std::optional<Algorithm> algorithm_named(const std::string& name, std::int64_t version) {
  const std::string prefix = prefix_of(version);
  Algorithm algorithm{};
  if (!name.starts_with(prefix) || name.size() != prefix.size() + kDigits * algorithm.size()) return std::nullopt;
  const char* at = name.data() + prefix.size();
  for (std::uint64_t& word : algorithm) {
    const auto [end, error] = std::from_chars(at, at + kDigits, word, 16);
    if (error != std::errc() || end != at + kDigits) return std::nullopt;
    at += kDigits;
  }
  return algorithm;
}

std::string descriptors_of(const Product& product) {
  const Descriptors descriptors(product);
  const auto read = [&](cublasLtMatmulDescAttributes_t attribute) {
    std::int32_t value = 0;
    std::size_t written = 0;
    DERMATOME_CUBLASLT_CALL(cublasLtMatmulDescGetAttribute, descriptors.operation.get(), attribute, &value,
                            sizeof value, &written);
    return value;
  };
  const auto transposed = [&](cublasLtMatmulDescAttributes_t attribute) {
    return read(attribute) == CUBLAS_OP_T ? " transposed" : "";
  };
  const auto epilogue = read(CUBLASLT_MATMUL_DESC_EPILOGUE);
  const bool bias = epilogue == CUBLASLT_EPILOGUE_BIAS || epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
  const bool relu = epilogue == CUBLASLT_EPILOGUE_RELU || epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
  const bool tf32 = read(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE) == CUBLAS_COMPUTE_32F_FAST_TF32;
  return fmt::format("a {}{}; b {}{}; d {}{}{}{}", text_of_layout(descriptors.a.get()),
                     transposed(CUBLASLT_MATMUL_DESC_TRANSA), text_of_layout(descriptors.b.get()),
                     transposed(CUBLASLT_MATMUL_DESC_TRANSB), text_of_layout(descriptors.d.get()), bias ? " bias" : "",
                     relu ? " relu" : "", tf32 ? " tf32" : "");
}

}  // namespace dermatome::cublaslt
