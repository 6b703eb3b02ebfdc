#!/usr/bin/env bash
# lint.sh format | tidy BUILD JOBS [FILES ...]: every source as .clang-format has it; what .clang-tidy finds in all, or in FILES.
# Exit code 77 where the tool is missing, which ctest counts as skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."

sources() { find bench data engine kernels models tests tools \( "$@" \) -print | sort; }

# clang-format's output differs from release to release; Debian 12 has 14.
check_format() {
  local tool
  tool=$(command -v clang-format-14 || command -v clang-format) || { echo "clang-format 14 is not installed"; exit 77; }
  "$tool" --version | grep -q 'version 14\.' || { echo "clang-format 14 is needed, this is: $("$tool" --version)"; exit 77; }
  local bad
  bad=$(sources -name '*.cpp' -o -name '*.h' -o -name '*.cc' -o -name '*.cu' -o -name '*.cuh' | xargs "$tool" --dry-run 2>&1 |
    sed -n 's/^\([^:]*\):[0-9]*:[0-9]*: warning: code should be clang-formatted.*/\1/p' | sort -u)
  [ -z "$bad" ] && return
  sed 's/$/ is not as .clang-format has it/' <<<"$bad"
  echo "\`make format\` mends it"
  exit 1
}

check_tidy() {
  local build=$1 jobs=$2
  shift 2
  command -v clang-tidy >/dev/null || { echo "clang-tidy is not installed"; exit 77; }
  test -f "$build/compile_commands.json" || { echo "$build holds no compile_commands.json; configure it first"; exit 1; }
  if [ $# -eq 0 ]; then
    mapfile -t files < <(sources -name '*.cpp')
    set -- "${files[@]}"
  fi
  # GCC's precompiled headers are not clang's.
  local commands status=0
  commands=$(mktemp -d)
  sed -E 's/-Winvalid-pch -include [^ ]*cmake_pch\.hxx//; s/-fpch-preprocess//' "$build/compile_commands.json" >"$commands/compile_commands.json"
  printf '%s\n' "$@" | xargs -P "$jobs" -n 1 clang-tidy --quiet -p "$commands" 2>/dev/null || status=$?
  rm -rf "$commands"
  return "$status"
}

case ${1:-} in
  format) check_format ;;
  tidy) shift; check_tidy "$@" ;;
  *) echo "usage: lint.sh format | tidy BUILD JOBS [FILES ...]" >&2; exit 2 ;;
esac
