#!/usr/bin/env bash
# test.sh BUILD JOBS [--label-exclude LABEL] [--sanitize] [--prefix FOLDER] [--benchmarks]: builds and runs the tests, each on one thread.
# --sanitize: with little optimisation, which compiles in a third of the time.
# --prefix: where CMake looks for libraries first.
# --benchmarks: the Google Benchmark of the operations too, and its test.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/scripts/common.sh
build=$1
jobs=$2
shift 2
selection=()
options=(-DDERMATOME_TESTS=ON)
packages=(clang-format)
while [ $# -gt 0 ]; do
  case $1 in
    --label-exclude) selection=(--label-exclude "$2"); shift 2 ;;
    --sanitize) options+=(-DDERMATOME_SANITIZE=address,undefined -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1"); shift ;;
    --benchmarks) options+=(-DDERMATOME_BENCHMARKS=ON) packages+=(libbenchmark-dev); shift ;;
    --prefix) options+=(-DCMAKE_PREFIX_PATH="$2"); shift 2 ;;
    *) echo "test.sh: unknown argument $1" >&2; exit 2 ;;
  esac
done

# What failed, with all that it printed, and whether it fails again.
show_failures() {
  echo "--- what failed tests printed (all that ran: $build/tests.log)"
  awk '/^ *Start +[0-9]+: / || /^ *[0-9]+\/[0-9]+ Test +#/ { shown = /\*\*\*/ && !/\*\*\*Skipped/ }
       /^[0-9]+% tests passed/ { exit }
       shown' "$build/tests.log"
  echo "--- the same tests once more, one at a time (they count as failed in any case)"
  timeout 600 ctest --test-dir "$build" --rerun-failed --output-on-failure || true
  echo "--- all tests"
}

run_tests() {
  ctest --test-dir "$build" --output-on-failure --parallel "$jobs" "${selection[@]}" --quiet --output-log "$build/tests.log" && status=0 || status=$?
  if [ "$status" -ne 0 ]; then show_failures; fi
  sed -n '/tests passed/,$p' "$build/tests.log"  # ctest's own summary
  return "$status"
}

phase "install packages" tools/scripts/packages.sh "${packages[@]}"
phase "build" tools/scripts/build.sh "$build" "$jobs" "${options[@]}"
phase "tests" run_tests
print_phases
