// dermatome info: what this build and this machine offer, and what is off and why.
#include <fmt/format.h>

#include "data/codec.h"
#include "engine/compile/pass.h"
#include "engine/core/threads.h"
#include "engine/graph/op.h"
#include "models/builtin.h"
#include "tools/command.h"
#include "tools/version.h"
#ifdef DERMATOME_ONEDNN
#include "kernels/vendor/onednn.h"
#endif
#ifdef DERMATOME_CUDA
#include "kernels/vendor/cuda_version.h"
#include "kernels/vendor/cudnn.h"
#endif

namespace dermatome {
namespace {

std::string onednn_text() {
#ifdef DERMATOME_ONEDNN
  return onednn::version();
#else
  return "off (built without it; convolutions run in plain loops, slowly)";
#endif
}

// What of CUDA is there, and what is missing.
void print_cuda() {
#ifdef DERMATOME_CUDA
  fmt::print("CUDA             {}\n", cuda::version_text());
  const std::string why = cudnn::why_absent();
  fmt::print("cuDNN            {}\n",
             why.empty() ? fmt::format("{} from {}", cudnn::version(), cudnn::file()) : fmt::format("off ({})", why));
  const Backend& backend = backend_of(DeviceKind::cuda);
  if (backend.device_count() == 0) fmt::print("GPU              off ({})\n", backend.why_absent());
  for (int i = 0; i < backend.device_count(); ++i) fmt::print("cuda:{:<11} {}\n", i, backend.describe(i));
#else
  fmt::print("CUDA             off (built without it)\n");
#endif
}

void run_info(bool ops) {
  fmt::print("dermatome        {}\n", kVersion);
  fmt::print("processor        {}\n", cpu_model_name());
  fmt::print("instruction set  {}\n", name_of(instruction_set()));
  fmt::print("cores            {} usable\n", usable_cores());
  fmt::print("oneDNN           {}\n", onednn_text());
  fmt::print("pictures         {}\n", data::codec_versions());
  fmt::print("devices         ");
  for (const Device device : available_devices()) fmt::print(" {}", to_string(device));
  fmt::print("\n");
  print_cuda();
  fmt::print("bf16             {}\n", bf16_offer());
  fmt::print("models          ");
  for (const auto& name : builtin_model_names()) fmt::print(" {}", name);
  fmt::print("\npasses          ");
  for (const auto& name : rewrite_names()) fmt::print(" {}", name);
  fmt::print("{}\n", all_rewrites().empty() ? " none" : "");
  if (!ops) return;
  fmt::print("\n");
  for (const Op* op : all_ops()) fmt::print("{:<28} {}\n", op->name(), op->signature().summary);
}

}  // namespace

void add_info(CLI::App& app) {
  auto* command =
      app.add_subcommand("info", "Version, instruction set, threads, libraries, devices, and what is off and why");
  auto ops = std::make_shared<bool>(false);
  command->add_flag("--ops", *ops, "Also list the operations of the graph language");
  command->callback([ops] { run_info(*ops); });
}

}  // namespace dermatome
