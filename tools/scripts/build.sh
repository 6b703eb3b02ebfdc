#!/usr/bin/env bash
# build.sh BUILD JOBS [TARGETS OR CMAKE OPTIONS ...]: configures and builds.
set -euo pipefail
build=$1
jobs=$2
shift 2
options=()
targets=()
for argument in "$@"; do
  case $argument in
    -D*) options+=("$argument") ;;
    *) targets+=("$argument") ;;
  esac
done
# The GPU backend is built where nvcc is; the headers that it needs besides come from PyPI, once.
if command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; then
  tools/scripts/cudnn_frontend.sh "$HOME/.cache/dermatome/cudnn-frontend" || echo "the headers of cuDNN's frontend could not be had; building without the GPU backend"
fi
command -v ccache >/dev/null && options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
export CCACHE_SLOPPINESS=pch_defines,time_macros  # without it nothing behind a precompiled header is kept
cmake -S . -B "$build" -G Ninja "${options[@]}" >"$build.configure.log" 2>&1 || { cat "$build.configure.log"; exit 1; }
grep -o 'No GPU backend: .*' "$build.configure.log" || true
rm -f "$build.configure.log"
cmake --build "$build" --parallel "$jobs" ${targets:+--target "${targets[@]}"} | { grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking)' || true; }
