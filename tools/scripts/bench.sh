#!/usr/bin/env bash
# bench.sh BUILD JOBS: builds, makes the peers' Python environment outside the tree if there is none, and runs bench/run.py.
# BENCH_OPTIONS goes to bench/run.py, for example "--only train:f32 --originals isic2017-original".
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/scripts/common.sh
. tools/scripts/bench-environment.sh
build=$1
jobs=$2

phase "install packages" tools/scripts/packages.sh python3-venv
phase "build" tools/scripts/build.sh "$build" "$jobs" dermatome
phase "PyTorch, ONNX Runtime, OpenVINO" make_environment
phase "benchmarks" python3 bench/run.py --binary "$build/dermatome" --python "$python" ${BENCH_OPTIONS:-}
print_phases
