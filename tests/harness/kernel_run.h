// Running one kernel by itself, as strictly as the contract allows: fresh poisoned outputs and workspace, guard bytes
// behind and before each, inputs that must not change.
#pragma once

#include <memory>
#include <vector>

#include "tests/harness/instance.h"

namespace dermatome::harness {

// A kernel with its wanted layouts moved out.
class ReadyKernel {
 public:
  explicit ReadyKernel(std::unique_ptr<Kernel> kernel);

  struct Settings {
    unsigned char poison = 0xff;  // NaN in every floating type
    std::vector<bool> used;       // outputs that get memory; empty: all
    InPlace shared{-1, -1};       // this output is given a copy of this input as its memory
  };

  // Outputs in host memory; undefined where unused. Throws Error when the kernel writes outside its outputs and
  // workspace or changes an input that it was not given in place.
  std::vector<Tensor> run(const Instance& instance, Device device, const Settings& settings) const;
  std::vector<Tensor> run(const Instance& instance, Device device) const { return run(instance, device, {}); }

  bool prepares(int input) const;
  bool works_in_place(const InPlace& pair) const { return kernel_->works_in_place(pair.output, pair.input); }
  std::string describe() const { return kernel_->describe(); }

 private:
  std::unique_ptr<Kernel> kernel_;
  std::vector<PreparedInput> prepared_;
};

// The kernels of one op that share a name on one kind of device: "reference", "cpu", "onednn".
struct Implementation {
  std::string op;
  DeviceKind device = DeviceKind::cpu;
  std::string name;
  Device place() const { return {device, 0}; }
};

// Best first.
std::vector<Implementation> implementations_of(std::string_view op);

// Null when the implementation does not serve the request.
std::unique_ptr<Kernel> make(const Implementation& implementation, const KernelRequest& request);

}  // namespace dermatome::harness
