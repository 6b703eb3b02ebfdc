// Call: what a kernel is run with, as plain data. Files compiled for one instruction set include this header, so it
// holds no inline function and no container: a weak symbol from here could carry their instructions into the baseline
// code.
#pragma once

#include <cstdint>

#include "engine/core/dtype.h"

namespace dermatome {

class Stream;

// An attribute as kernels see it: integers, booleans (0, 1) and choices (index) in `integer`; every number in `real`.
struct AttributeValue {
  std::int64_t integer;
  double real;
};

// A tensor as kernels see it. `data` is null for an absent optional input and for an output that nobody uses.
struct Operand {
  void* data;
  DType type;
  int rank;
  std::int64_t extent[5];
  std::int64_t elements;
};

// What a kernel does for prepared copies of what it writes (PreparedCopy in state_store.h), through Call::listener.
enum class CopyDuty : std::uint8_t {
  none,
  tells,   // what it has written, so that they can be made while it is warm
  writes,  // the channels-last one itself
};

// A copy of an output [out, in, ...] as [out, ..., in], rounded to `type`.
struct ChannelsLastCopy {
  void* data;
  DType type;
};

// What a kernel with a CopyDuty finds there: the first three functions are for one that tells, the last is for one that
// writes.
struct WriteListener {
  void* context;
  // How many rows (of the first extent) to write and tell at a time, but for the last; 0: no matter how many.
  std::int64_t (*rows_at_a_time)(void* context, int output);
  // Of blocks of that many rows, each by the thread that wrote it. Not called where any number would do.
  void (*wrote_rows)(void* context, int output, std::int64_t first, std::int64_t count);
  // Of a whole output, by the thread that run() was called on, outside any team.
  void (*wrote_all)(void* context, int output);
  // The copy to be written with an output; its data is null where there is none.
  ChannelsLastCopy (*channels_last)(void* context, int output);
};

struct Call {
  const Operand* inputs;
  const Operand* outputs;
  int input_count;
  int output_count;
  const AttributeValue* attributes;  // in the order of the op's signature
  void* workspace;                   // as many bytes as the kernel asked for, 64-byte aligned
  Stream* stream;
  const WriteListener* listener = nullptr;  // null: nobody
};

// What a kernel executes, where its way differs from what Op::cost counts.
struct Work {
  double flops;            // a multiply-add counts as two
  double workspace_bytes;  // written and read besides the operands; what stays in a thread's cache is left out
  DType factors;           // of the products that make up most of it
};

// An input as a function wants it instead (PreparedInput of kernel.h). `bytes` and `run` see the input alone.
struct FunctionPreparation {
  int input;
  const char* layout;
  std::int64_t (*bytes)(const Operand& plain);
  void (*run)(const Call&);     // input 0: the plain tensor; output 0: the copy
  std::int64_t rows_at_a_time;  // of the plain tensor's first extent
  // What becomes of such a block of rows, by this thread alone; all blocks together do what `run` does.
  void (*run_rows)(const Call&, std::int64_t first, std::int64_t count);
};

// A kernel as a plain function, as the tables of each instruction set and of the reference offer them.
struct FunctionEntry {
  const char* op;
  DType type;  // that of KernelRequest::type
  void (*run)(const Call&);
  std::int64_t (*workspace)(const Call&) = nullptr;  // bytes; operands carry shapes and presence, no data
  bool (*accepts)(const Call&) = nullptr;            // null: always
  bool mixes_types = false;                          // false: every floating operand must be of `type`
  Work (*work)(const Call&) = nullptr;               // null: what the op's cost says; operands as for `workspace`
  const FunctionPreparation* preparation = nullptr;
  CopyDuty copy_duty = CopyDuty::none;
};

}  // namespace dermatome
