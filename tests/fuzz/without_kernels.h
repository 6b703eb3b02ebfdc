// Included in front of every op.cpp of the graph fuzzer: what operations mean, without the kernels that compute them.
#pragma once

#include "kernels/launch/register.h"

#undef DERMATOME_REGISTER_CPU_TABLE_AS
#define DERMATOME_REGISTER_CPU_TABLE_AS(table, implementation, priority)
