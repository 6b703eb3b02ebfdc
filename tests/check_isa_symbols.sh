#!/bin/sh
# Fails when an object file compiled for one instruction set defines a symbol that the linker may merge with the same
# symbol of other files (weak or unique), unless its name says the instruction set: the baseline could then run AVX-512.
# Usage: NM=nm check_isa_symbols.sh v4 object...
isa=$1
shift
[ $# -gt 0 ] || { echo "no object files for $isa"; exit 1; }
status=0
for object in "$@"; do
  # In mangled names the inline namespace v4 is written 2v4; v4_bf16 is 7v4_bf16.
  leaks=$("${NM:-nm}" --defined-only "$object" | awk -v part="${#isa}$isa" '
    $2 ~ /^[WwVvu]$/ && index($3, part) == 0 && $3 !~ /^DW\.ref\./ { print $3 }') || exit 1
  if [ -n "$leaks" ]; then
    echo "$object: merged with other instruction sets:"
    echo "$leaks" | c++filt
    status=1
  fi
done
exit $status
