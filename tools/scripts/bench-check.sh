#!/usr/bin/env bash
# bench-check.sh BUILD JOBS: builds and compares today's speed with the committed record of this kind of machine (bench/check.py).
# PyTorch is a yardstick where its environment is there; it is not fetched for this.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/scripts/common.sh
. tools/scripts/bench-environment.sh
build=$1
jobs=$2

compare() {
  local status=0
  python3 bench/check.py --binary "$build/dermatome" --python "$python" ${BENCH_OPTIONS:-} || status=$?
  [ "$status" -eq 77 ] || return "$status"  # skipped, and said so
}

phase "install packages" tools/scripts/packages.sh
phase "build" tools/scripts/build.sh "$build" "$jobs" dermatome
phase "comparison with the record" compare
print_phases
