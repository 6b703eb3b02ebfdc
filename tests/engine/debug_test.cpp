// The debug switches, and the environment variables that set them.
#include "engine/compile/debug.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/core/threads.h"
#include "tests/engine/expect_error.h"
#include "tests/engine/run_graph.h"
#include "tests/harness/test_ops.h"

namespace dermatome {
namespace {

// y = op(reverse(x)).
Program small_program(std::string_view op, StateStore& store, const CompileOptions& options) {
  Graph graph;
  Builder builder(graph);
  builder.set_scope({.name = "first", .group = {}, .at = {}});
  const Value reversed = builder.call("test_reverse", {graph.add_input("x", kVector)});
  builder.set_scope({.name = "layer1/second", .group = {}, .at = {}});
  graph.mark_output("y", builder.call(op, {reversed}));
  Program program(graph, kCpuDevice, store, options);
  program.input("x").copy_from(vector_of({1, 2, 3, 4}));
  return program;
}

TEST(VerifyNodes, FindsAWrongKernel) {
  StateStore store;
  Program program =
      small_program("test_wrong", store, {.disabled_passes = {}, .verify_nodes = true, .dump_tensors = {}});
  expect_error([&] { program.run(); }, {"layer1/second", "test_wrong", "element 3", "2.5", "2"});
  Program unverified = small_program("test_wrong", store, {});
  EXPECT_NO_THROW(unverified.run());
}

TEST(VerifyNodes, AcceptsRightKernelsAlsoInPlace) {
  StateStore store;
  for (const char* op : {"test_increment", "test_scratch", "test_square", "relu"}) {
    Program program = small_program(op, store, {.disabled_passes = {}, .verify_nodes = true, .dump_tensors = {}});
    EXPECT_NO_THROW(program.run()) << op;
  }
}

TEST(VerifyNodes, LooksAtPlainInputsOfKernelsThatPrepareThem) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kVector);
  graph.mark_output("y", builder.call("test_weighted", {x, state_of(graph, "w")}));
  StateStore store;
  store.create(graph.states(), 1);
  Program program(graph, kCpuDevice, store, {.disabled_passes = {}, .verify_nodes = true, .dump_tensors = {}});
  program.input("x").copy_from(vector_of({1, 2, 3, 4}));
  store.write("w", vector_of({1, 2, 3, 4}));
  EXPECT_NO_THROW(program.run());
}

TEST(DumpTensors, WritesAFileForEveryOutput) {
  const auto folder = std::filesystem::temp_directory_path() / "dermatome_dump_test";
  std::filesystem::remove_all(folder);
  StateStore store;
  Program program = small_program("test_halves", store, {.disabled_passes = {}, .dump_tensors = folder.string()});
  program.run();
  EXPECT_TRUE(std::filesystem::exists(folder / "0000_first.npy"));
  EXPECT_TRUE(std::filesystem::exists(folder / "0001_layer1_second.npy"));
  EXPECT_FALSE(std::filesystem::exists(folder / "0001_layer1_second.1.npy")) << "an unused output has no contents";
  std::ifstream file(folder / "0000_first.npy", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  float first = 0;
  std::memcpy(&first, text.data() + text.size() - 4 * sizeof(float), sizeof(float));
  EXPECT_EQ(first, 4);
  std::filesystem::remove_all(folder);
}

TEST(TraceNodes, PrintsOneLineANode) {
  StateStore store;
  Program program =
      small_program("test_square", store, {.disabled_passes = {}, .trace_nodes = true, .dump_tensors = {}});
  testing::internal::CaptureStderr();
  program.run();
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  for (const char* part : {"first", "layer1/second", "max |y| 16", "f32[4]", "ms", "test"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in:\n" << text;
  }
}

// Sets a variable while it lives.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Environment() { unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
};

TEST(Options, ComeFromTheEnvironment) {
  const CompileOptions defaults = options_from_environment();
  EXPECT_TRUE(defaults.planner && !defaults.poison_arena && !defaults.verify_nodes && !defaults.trace_nodes);
  const Environment planner("DERMATOME_DISABLE_PLANNER", "1");
  const Environment poison("DERMATOME_POISON_ARENA", "1");
  const Environment verify("DERMATOME_VERIFY_NODES", "0");
  const Environment trace("DERMATOME_TRACE_NODES", "1");
  const Environment dump("DERMATOME_DUMP_TENSORS", "/tmp/dump");
  const CompileOptions options = options_from_environment();
  EXPECT_TRUE(!options.planner && options.poison_arena && !options.verify_nodes && options.trace_nodes);
  EXPECT_EQ(options.dump_tensors, "/tmp/dump");
}

TEST(Options, Bf16ActivationsAreOfferedWhereTheyPay) {
  EXPECT_EQ(activation_type("f32", kCpuDevice), DType::f32);
  EXPECT_EQ(activation_type("f32", {DeviceKind::reference, 0}), DType::f32);
  expect_error<UsageError>([] { (void)activation_type("f64", kCpuDevice); }, {"--type f64", "f32 or bf16"});
  expect_error<UsageError>([] { (void)activation_type("bf16", {DeviceKind::reference, 0}); }, {"--type bf16", "f32"});
  if (has_bf16_products()) {
    EXPECT_EQ(activation_type("bf16", kCpuDevice), DType::bf16);
  } else {
    expect_error<UsageError>([] { (void)activation_type("bf16", kCpuDevice); }, {"AVX512-BF16", "use --type f32"});
  }
}

TEST(Options, PassesInTheEnvironmentMustExist) {
  const Environment passes("DERMATOME_DISABLE_PASS", "test_increment_first,test_drop_double_reverse");
  EXPECT_EQ(options_from_environment().disabled_passes.size(), 2u);
  const Environment wrong("DERMATOME_DISABLE_PASS", "test_no_such_pass_at_all");
  expect_error<UsageError>([] { (void)options_from_environment(); }, {"test_no_such_pass_at_all"});
}

}  // namespace
}  // namespace dermatome
