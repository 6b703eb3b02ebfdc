// What the subcommands share: registration, common options, output.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <functional>
#include <memory>
#include <string>

#include "engine/compile/options.h"
#include "engine/core/device.h"
#include "engine/core/dtype.h"

namespace dermatome {

// Each subcommand's file defines one of these; it adds itself to the application and does its work in a callback. What
// its options take (a folder, a file, a model, ...) stands in tools/option_value.cpp, for help and completion.
void add_train(CLI::App& app);
void add_evaluate(CLI::App& app);
void add_predict(CLI::App& app);
void add_submit(CLI::App& app);
void add_report(CLI::App& app);
void add_graph(CLI::App& app);
void add_config(CLI::App& app);
void add_schedule(CLI::App& app);
void add_lr_find(CLI::App& app);
void add_bench(CLI::App& app);
void add_bench_op(CLI::App& bench);       // a command of bench
void add_bench_machine(CLI::App& bench);  // another
void add_profile(CLI::App& app);
void add_info(CLI::App& app);
void add_completion(CLI::App& app);
void add_manual(CLI::App& app);
void add_prepare(CLI::App& app);
void add_check(CLI::App& app);
void add_convert(CLI::App& app);
void add_export(CLI::App& app);

// A recorded launch holds all kernels of its steps.
inline constexpr int kMostStepsPerLaunch = 64;

// --threads, --device, --type and the debug switches.
struct RunOptions {
  int threads = 0;
  std::string device_name = "auto";
  std::string type_name = "f32";
  CompileOptions compile;  // the environment's switches, then the command line's

  Device device() const { return parse_device(device_name); }
  DType type() const;  // of activations; throws UsageError for a type that the device does not offer
  void apply();        // checks the type, sets it for the compiler, and sets the threads
};

// Where --type bf16 is offered, and why not elsewhere: "on the cpu, by --type bf16; on cuda:0".
std::string bf16_offer();

// The object lives as long as the application does.
std::shared_ptr<RunOptions> add_run_options(CLI::App& command);

// Writes to the file, or to standard output for "-".
void write_json(const std::string& path, const nlohmann::json& json);
void write_text(const std::string& path, const std::string& text);

inline constexpr const char* kWhichModel =
    "which model? Give --run DIR (a folder that `dermatome train` made) or --weights FILE (a checkpoint)";

// DIR/best.safetensors, or else last.safetensors. Throws Error where there is neither.
std::string checkpoint_of_run(const std::string& run);

// One model: --run DIR, or --weights FILE, which may also be a run's folder. Throws UsageError when neither is given,
// saying what to do.
struct WeightsOption {
  std::string run;
  std::string weights;
  std::string model;  // of weights that do not say which network they are of
  std::string path() const;
};
std::shared_ptr<WeightsOption> add_weights_option(CLI::App& command);

// The exit code that the program ends with after its command has run; 0 unless set.
void set_exit_code(int code);
int exit_code();

}  // namespace dermatome
