// The type policy of mixed precision: activations and their gradients in bf16; logits, statistics, weights and their
// gradients in f32. Which input may be what is declared by each op (InputSpec::precision), not here.
#pragma once

#include <set>
#include <string>

#include "engine/compile/kernel.h"
#include "engine/graph/graph.h"

namespace dermatome {

// Rebuilds the graph so that every f32 input declared `reduced` is read as bf16, and every one that `follows` where
// another input of its node is bf16. Casts are added where types meet, one a value and type; a value that was cast is
// never cast back, its origin is taken. Graph inputs, outputs and states keep their types. An op whose output nobody
// wants in bf16 is asked to write f32 (Op::write_full_precision). Returns the number of nodes that now read or write
// bf16, casts left out. Values and nodes are numbered anew. Graph inputs named in `reduced_inputs` become bf16
// themselves, as if an op in front had made them: so an operation can be measured alone as it runs inside a network.
int apply_type_policy(Graph& graph, const std::set<std::string>& reduced_inputs = {});

// What the policy will make of a node whose inputs are all f32 yet: where one is declared `reduced`, it becomes bf16
// with all that follow, and so do the outputs.
void reduce_types(KernelRequest& request);

}  // namespace dermatome
