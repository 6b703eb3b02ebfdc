#!/usr/bin/env bash
# bench-operations.sh BUILD JOBS: builds and runs the Google Benchmark of every kernel at the shapes of U-Net34 (bench/operations.cpp).
# BENCH_OPTIONS goes to it, for example "--type bf16 --benchmark_filter=train/conv2d/.*"; quoting inside is not understood.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/scripts/common.sh
build=$1
jobs=$2

phase "install packages" tools/scripts/packages.sh libbenchmark-dev
phase "build" tools/scripts/build.sh "$build" "$jobs" -DDERMATOME_BENCHMARKS=ON dermatome_operation_benchmarks
set -f  # a filter's asterisk is no file name
phase "operations" "$build/dermatome_operation_benchmarks" --benchmark_counters_tabular=true ${BENCH_OPTIONS:-}
print_phases
