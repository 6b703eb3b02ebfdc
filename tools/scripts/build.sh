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
command -v ccache >/dev/null && options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
cmake -S . -B "$build" -G Ninja "${options[@]}" >"$build.configure.log" 2>&1 || { cat "$build.configure.log"; exit 1; }
rm -f "$build.configure.log"
cmake --build "$build" --parallel "$jobs" ${targets:+--target "${targets[@]}"} | grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking)' || true
test "${PIPESTATUS[0]}" -eq 0
