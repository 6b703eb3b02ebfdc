#!/usr/bin/env bash
# bench.sh BUILD JOBS: builds, makes a Python environment with PyTorch outside the tree if there is none, and runs bench/run.py.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/scripts/common.sh
build=$1
jobs=$2
environment=${PYTHON_ENVIRONMENT:-$HOME/.cache/dermatome/pytorch}

make_environment() {
  [ -x "$environment/bin/python" ] && "$environment/bin/python" -c "import torch, numpy" 2>/dev/null && return
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet torch numpy
}

phase "install packages" tools/scripts/packages.sh python3-venv
phase "build" tools/scripts/build.sh "$build" "$jobs" dermatome
phase "PyTorch" make_environment
phase "benchmarks" python3 bench/run.py --binary "$build/dermatome" --python "$environment/bin/python" ${BENCH_OPTIONS:-}
print_phases
