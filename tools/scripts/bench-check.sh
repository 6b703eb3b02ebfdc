#!/usr/bin/env bash
# bench-check.sh BUILD JOBS: builds and compares today's speed with the committed record of this kind of machine (bench/check.py).
# PyTorch is a yardstick where its environment is there; it is not fetched for this. Where nothing can be compared that is said, and is no failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/scripts/common.sh
. tools/scripts/bench-environment.sh
build=$1
jobs=$2

skipped=no
compare() {
  local status=0
  python3 bench/check.py --binary "$build/dermatome" --python "$python" ${BENCH_OPTIONS:-} || status=$?
  if [ "$status" -eq 77 ]; then
    skipped=yes
    return
  fi
  return "$status"
}

phase "install packages" tools/scripts/packages.sh
phase "build" tools/scripts/build.sh "$build" "$jobs" dermatome
phase "comparison with the record" compare
print_phases
if [ "$skipped" = yes ]; then echo "SKIPPED: nothing was compared (the reason stands above)"; fi
