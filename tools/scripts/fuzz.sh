#!/usr/bin/env bash
# fuzz.sh BUILD JOBS SECONDS: builds the fuzzers and runs each for so long; a finding ends it, and its input is kept in
# BUILD/findings. What is learnt stays in BUILD/corpus, so that a later run goes on from there.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/scripts/common.sh
build=$1
jobs=$2
seconds=$3

build_fuzzers() {
  cmake -S tests/fuzz -B "$build" -G Ninja -DCMAKE_CXX_COMPILER=clang++ >"$build.configure.log" 2>&1 ||
    { cat "$build.configure.log"; return 1; }
  rm -f "$build.configure.log"
  cmake --build "$build" --parallel "$jobs" | { grep -E "error|FAILED|warning" || true; }
}

# fuzz TARGET FOLDER...: seeds lie in the folders.
fuzz() {
  local target=$1
  shift
  mkdir -p "$build/corpus/$target" "$build/findings"
  if ! "$build/fuzz_$target" -max_total_time="$seconds" -max_len=20000 -timeout=20 -rss_limit_mb=3000 \
    -dict="tests/fuzz/$target.dict" -artifact_prefix="$build/findings/$target-" -print_final_stats=1 \
    "$build/corpus/$target" "tests/fuzz/corpus/$target" "$@" >"$build/$target.log" 2>&1; then
    tail -n 60 "$build/$target.log"
    echo "fuzz_$target found something: $(ls "$build"/findings/"$target"-*)" >&2
    return 1
  fi
  awk -v target="$target" '/number_of_executed_units/ { units = $2 } /average_exec_per_sec/ { rate = $2 } / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
    END { printf "%-12s %12d executions, %d a second, %d branches covered, no finding\n", target, units, rate, cov }' "$build/$target.log"
}

phase "install packages" tools/scripts/packages.sh clang libclang-rt-dev libomp-dev
phase "build" build_fuzzers
phase "checkpoint" fuzz checkpoint tests/models/weights
phase "safetensors" fuzz safetensors tests/models/weights
phase "graph" fuzz graph models
phase "config" fuzz config
print_phases
