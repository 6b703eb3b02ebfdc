// Programs and states: the order of reads and writes, and copies that kernels want prepared.
#include "engine/compile/program.h"

#include <gtest/gtest.h>

#include "tests/engine/expect_error.h"
#include "tests/engine/run_graph.h"
#include "tests/harness/test_ops.h"

namespace dermatome {
namespace {

using Floats = std::vector<float>;

TEST(ProgramState, StatesAreWrittenWhereTheyLie) {
  Draft s;
  s.graph.write_state("a", s.call("next", "test_increment", {s.state("a")}));
  Program program = s.compile();
  s.store.write("a", vector_of({1, 2, 3, 4}));
  const std::byte* place = s.store.get("a").tensor.data();
  program.run();
  program.run();
  EXPECT_EQ(s.read("a"), (Floats{3, 4, 5, 6}));
  EXPECT_EQ(s.store.get("a").tensor.data(), place);
  EXPECT_EQ(step_names(program), (std::vector<std::string>{"next"}));
}

TEST(ProgramState, WhatAProgramNeedsIsKnownWithoutItsStates) {
  Draft s;
  const Value a = s.state("a");
  const Value weighted = s.call("weighted", "test_weighted", {s.graph.add_input("x", kVector), a});
  s.graph.write_state("a", s.call("next", "test_increment", {a}));
  s.graph.write_state("b",
                      s.call("aside", "test_multiply", {s.state("b"), s.call("scratch", "test_scratch", {weighted})}));
  s.graph.mark_output("old", a);
  s.graph.mark_output("y", weighted);
  const ProgramNeeds needs = Program::needs(s.graph, kCpuDevice);
  const Program program = s.compile();
  EXPECT_GT(program.memory().arena, 0u);
  EXPECT_EQ(needs.memory.arena, program.memory().arena);
  EXPECT_EQ(needs.memory.arena_lower_bound, program.memory().arena_lower_bound);
  EXPECT_EQ(needs.memory.inputs_and_outputs, program.memory().inputs_and_outputs);
  EXPECT_EQ(needs.outputs, kVector.bytes());
  EXPECT_EQ(needs.prepared_bytes(), s.store.prepared_bytes());
  EXPECT_EQ(needs.prepared_copies.count({"a", "reversed"}), 1u);
}

// 64 TiB, which no store could hold.
TEST(ProgramState, WhatAProgramNeedsIsNotTaken) {
  Graph graph;
  Builder builder(graph);
  const Value state = state_of(graph, "large", {DType::f32, {std::int64_t{1} << 44}});
  graph.mark_output("y", builder.call("test_reverse", {builder.call("test_square", {state})}));
  const ProgramNeeds needs = Program::needs(graph, kCpuDevice);
  EXPECT_EQ(needs.memory.arena, std::size_t{1} << 46);
  EXPECT_EQ(needs.outputs, std::size_t{1} << 46);
}

TEST(ProgramState, ReadersOfTheOldValueRunBeforeItIsOverwritten) {
  Draft s;
  const Value a = s.state("a");
  s.graph.write_state("a", s.call("write", "test_increment", {a}));
  s.graph.mark_output("old", s.call("read", "test_reverse", {a}));
  Program program = s.compile();
  s.store.write("a", vector_of({1, 2, 3, 4}));
  program.run();
  EXPECT_EQ(step_names(program), (std::vector<std::string>{"read", "write"}));
  EXPECT_EQ(elements(program.output("old")), (Floats{4, 3, 2, 1}));
  EXPECT_EQ(s.read("a"), (Floats{2, 3, 4, 5}));
}

TEST(ProgramState, AnOpThatMayNotWorkInPlaceIsComputedAside) {
  Draft s;
  s.graph.write_state("a", s.call("write", "test_reverse", {s.state("a")}));
  Program program = s.compile();
  s.store.write("a", vector_of({1, 2, 3, 4}));
  program.run();
  EXPECT_EQ(s.read("a"), (Floats{4, 3, 2, 1}));
  EXPECT_EQ(step_names(program), (std::vector<std::string>{"write", "copy to a"}));
}

TEST(ProgramState, AReaderThatNeedsBothValuesSeesBoth) {
  Draft s;
  const Value a = s.state("a");
  const Value next = s.call("write", "test_increment", {a});
  s.graph.write_state("a", next);
  s.graph.mark_output("product", s.call("read", "test_multiply", {next, a}));
  Program program = s.compile();
  s.store.write("a", vector_of({1, 2, 3, 4}));
  program.run();
  EXPECT_EQ(elements(program.output("product")), (Floats{2, 6, 12, 20}));
  EXPECT_EQ(s.read("a"), (Floats{2, 3, 4, 5}));
}

TEST(ProgramState, LaterReadersOfTheNewValueSeeIt) {
  Draft s;
  const Value next = s.call("write", "test_increment", {s.state("a")});
  s.graph.write_state("a", next);
  s.graph.mark_output("square", s.call("read", "test_square", {next}));
  Program program = s.compile();
  s.store.write("a", vector_of({1, 2, 3, 4}));
  program.run();
  EXPECT_EQ(elements(program.output("square")), (Floats{4, 9, 16, 25}));
  EXPECT_EQ(s.read("a"), (Floats{2, 3, 4, 5}));
}

TEST(ProgramState, StatesCanBeSwapped) {
  Draft s;
  const Value a = s.state("a");
  const Value b = s.state("b");
  s.graph.write_state("a", b);
  s.graph.write_state("b", a);
  Program program = s.compile();
  s.store.write("a", vector_of({1, 2, 3, 4}));
  s.store.write("b", vector_of({5, 6, 7, 8}));
  program.run();
  EXPECT_EQ(s.read("a"), (Floats{5, 6, 7, 8}));
  EXPECT_EQ(s.read("b"), (Floats{1, 2, 3, 4}));
}

TEST(ProgramState, StatesCanBeRotatedWhileOneChanges) {
  for (const bool change_first : {true, false}) {
    Draft s;
    const Value a = s.state("a");
    const Value b = s.state("b");
    const Value next = s.call("next", "test_increment", {a});
    if (change_first) s.graph.write_state("a", next);
    s.graph.write_state("b", a);  // the old a
    if (!change_first) s.graph.write_state("a", next);
    s.graph.mark_output("old b", s.call("read", "test_reverse", {b}));
    Program program = s.compile();
    s.store.write("a", vector_of({1, 2, 3, 4}));
    s.store.write("b", vector_of({5, 6, 7, 8}));
    program.run();
    EXPECT_EQ(s.read("a"), (Floats{2, 3, 4, 5}));
    EXPECT_EQ(s.read("b"), (Floats{1, 2, 3, 4}));
    EXPECT_EQ(elements(program.output("old b")), (Floats{8, 7, 6, 5}));
  }
}

TEST(ProgramState, CrossedUpdatesReadTheOldValues) {
  Draft s;
  const Value a = s.state("a");
  const Value b = s.state("b");
  s.graph.write_state("a", s.call("a from b", "test_increment", {b}));
  s.graph.write_state("b", s.call("b from a", "test_reverse", {a}));
  Program program = s.compile();
  s.store.write("a", vector_of({1, 2, 3, 4}));
  s.store.write("b", vector_of({5, 6, 7, 8}));
  program.run();
  EXPECT_EQ(s.read("a"), (Floats{6, 7, 8, 9}));
  EXPECT_EQ(s.read("b"), (Floats{4, 3, 2, 1}));
}

TEST(ProgramState, OneValueCanBecomeTwoStates) {
  Draft s;
  const Value next = s.call("next", "test_increment", {s.state("a")});
  s.state("b");
  s.graph.write_state("a", next);
  s.graph.write_state("b", next);
  Program program = s.compile();
  s.store.write("a", vector_of({1, 2, 3, 4}));
  program.run();
  EXPECT_EQ(s.read("a"), (Floats{2, 3, 4, 5}));
  EXPECT_EQ(s.read("b"), (Floats{2, 3, 4, 5}));
}

TEST(ProgramState, AnInputCanBecomeAState) {
  Draft s;
  s.state("a");
  s.graph.write_state("a", s.graph.add_input("x", kVector));
  Program program = s.compile();
  program.input("x").copy_from(vector_of({1, 2, 3, 4}));
  program.run();
  EXPECT_EQ(s.read("a"), (Floats{1, 2, 3, 4}));
}

TEST(ProgramState, OutputsAreNotChangedByLaterWritesOfTheState) {
  Draft s;
  const Value a = s.state("a");
  const Value next = s.call("next", "test_increment", {a});
  s.graph.write_state("a", next);
  s.graph.mark_output("new", next);
  s.graph.mark_output("old", a);
  Program program = s.compile();
  s.store.write("a", vector_of({1, 2, 3, 4}));
  program.run();
  s.store.write("a", vector_of({9, 9, 9, 9}));
  EXPECT_EQ(elements(program.output("new")), (Floats{2, 3, 4, 5}));
  EXPECT_EQ(elements(program.output("old")), (Floats{1, 2, 3, 4}));
}

TEST(ProgramState, OutputsMayBeTheNextValueOfAState) {
  Draft s;
  const Value next = s.call("next", "test_increment", {s.state("a")});
  s.graph.write_state("a", next);
  s.graph.mark_output("y", next);
  Program program = s.compile();
  s.store.write("a", vector_of({1, 2, 3, 4}));
  program.run();
  EXPECT_EQ(elements(program.output("y")), (Floats{2, 3, 4, 5}));
  EXPECT_EQ(s.read("a"), (Floats{2, 3, 4, 5}));
}

TEST(ProgramState, OutputsMayBeTheOldValueOfAState) {
  Draft s;
  const Value a = s.state("a");
  s.graph.write_state("a", s.call("next", "test_increment", {a}));
  s.graph.mark_output("old", a);
  Program program = s.compile();
  s.store.write("a", vector_of({1, 2, 3, 4}));
  program.run();
  EXPECT_EQ(elements(program.output("old")), (Floats{1, 2, 3, 4}));
  EXPECT_EQ(s.read("a"), (Floats{2, 3, 4, 5}));
}

TEST(ProgramState, OutputsMayBeInputsOrUnwrittenStates) {
  Draft s;
  s.graph.mark_output("input again", s.graph.add_input("x", kVector));
  s.graph.mark_output("state", s.state("a"));
  Program program = s.compile();
  program.input("x").copy_from(vector_of({1, 2, 3, 4}));
  s.store.write("a", vector_of({5, 6, 7, 8}));
  program.run();
  EXPECT_EQ(elements(program.output("input again")), (Floats{1, 2, 3, 4}));
  EXPECT_EQ(elements(program.output("state")), (Floats{5, 6, 7, 8}));
}

TEST(ProgramState, StatesMustExistAndFit) {
  Draft s;
  s.graph.mark_output("y", s.call("y", "test_square", {s.state("a")}));
  expect_error([&] { Program(s.graph, kCpuDevice, s.store); }, {"no state 'a'"});
  s.store.create({{.name = "a", .desc = {DType::f32, {5}}, .initializer = {}, .group = {}}}, 1);
  expect_error([&] { Program(s.graph, kCpuDevice, s.store); }, {"'a'", "f32[5]", "f32[4]"});
  StateStore elsewhere({DeviceKind::reference, 0});
  elsewhere.create(s.graph.states(), 1);
  expect_error([&] { Program(s.graph, kCpuDevice, elsewhere); }, {"cpu", "reference"});
}

TEST(ProgramState, DoesNotRunOnceAStateIsRemoved) {
  Draft s;
  s.graph.mark_output("y", s.call("y", "test_square", {s.state("a")}));
  Program program = s.compile();
  s.store.remove("a");
  expect_error([&] { program.run(); }, {"'a' was removed"});
  s.store.create(s.graph.states(), 1);
  expect_error([&] { program.run(); }, {"'a' was removed"});
}

TEST(ProgramState, PreparedCopiesFollowTheirState) {
  Draft s;
  const Value x = s.graph.add_input("x", kVector);
  s.graph.mark_output("y", s.call("y", "test_weighted", {x, s.state("w")}));
  Program program = s.compile();
  program.input("x").copy_from(vector_of({1, 2, 3, 4}));
  s.store.write("w", vector_of({1, 1, 1, 2}));
  const int before = harness::weighted_reorders();
  program.run();
  program.run();
  EXPECT_EQ(harness::weighted_reorders() - before, 1) << "an unchanged weight needs one reorder";
  EXPECT_EQ(elements(program.output("y")), (Floats{1, 2, 3, 8}));
  s.store.write("w", vector_of({3, 1, 1, 2}));
  program.run();
  EXPECT_EQ(elements(program.output("y")), (Floats{3, 2, 3, 8}));
}

TEST(ProgramState, PreparedCopiesFollowWritesOfPrograms) {
  Draft s;
  const Value x = s.graph.add_input("x", kVector);
  const Value w = s.state("w");
  s.graph.mark_output("y", s.call("y", "test_weighted", {x, w}));
  s.graph.write_state("w", s.call("update", "test_increment", {w}));
  Program program = s.compile();
  program.input("x").copy_from(vector_of({1, 2, 3, 4}));
  s.store.write("w", vector_of({1, 1, 1, 2}));
  program.run();
  EXPECT_EQ(elements(program.output("y")), (Floats{1, 2, 3, 8}));
  program.run();
  EXPECT_EQ(elements(program.output("y")), (Floats{2, 4, 6, 12}));
  EXPECT_EQ(s.read("w"), (Floats{3, 3, 3, 4}));
}

TEST(ProgramState, PreparedCopiesAreSharedByPrograms) {
  Draft s;
  const Value x = s.graph.add_input("x", kVector);
  s.graph.mark_output("y", s.call("y", "test_weighted", {x, s.state("w")}));
  Program first = s.compile();
  Program second = s.compile();
  first.bind("x", vector_of({1, 2, 3, 4}));
  second.bind("x", vector_of({1, 2, 3, 4}));
  EXPECT_EQ(first.steps()[0].inputs[1].data, second.steps()[0].inputs[1].data);
  EXPECT_EQ(s.store.prepared_bytes(), 16u);
  const int before = harness::weighted_reorders();
  first.run();
  second.run();
  EXPECT_EQ(harness::weighted_reorders() - before, 1);
}

TEST(ProgramState, ValuesArePreparedBeforeEachRun) {
  Draft s;
  const Value x = s.graph.add_input("x", kVector);
  const Value w = s.call("w", "test_increment", {s.graph.add_input("v", kVector)});
  s.graph.mark_output("y", s.call("y", "test_weighted", {x, w}));
  Program program = s.compile({.disabled_passes = {}, .poison_arena = true, .dump_tensors = {}});
  program.input("x").copy_from(vector_of({1, 2, 3, 4}));
  for (const float extra : {0.0f, 1.0f}) {
    program.input("v").copy_from(vector_of({extra, 0, 0, 1}));
    program.run();
    EXPECT_EQ(elements(program.output("y")), (Floats{1 + extra, 2, 3, 8}));
  }
}

TEST(ProgramState, UpdatesAndReadersShareTheStore) {
  Draft reader;
  reader.graph.mark_output("y", reader.call("y", "test_reverse", {reader.state("a")}));
  Program reading = reader.compile();
  Graph graph;
  Builder builder(graph);
  graph.write_state("a", builder.call("test_increment", {state_of(graph, "a")}));
  Program writing(graph, kCpuDevice, reader.store);
  reader.store.write("a", vector_of({1, 2, 3, 4}));
  writing.run();
  reading.run();
  EXPECT_EQ(elements(reading.output("y")), (Floats{5, 4, 3, 2}));
}

}  // namespace
}  // namespace dermatome
