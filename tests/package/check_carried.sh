#!/usr/bin/env bash
# check_carried.sh BUILD: what carry.sh makes runs from another place, and where there is no other file at all.
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "$*"; exit 1; }

tools/scripts/carry.sh "$build" "$work/first" >"$work/log" 2>&1 || { cat "$work/log"; fail "carry.sh fails"; }
[ "$(wc -l <"$work/log")" -eq 1 ] || { cat "$work/log"; fail "carry.sh has something to say"; }
mkdir "$work/root"
mv "$work/first" "$work/root/carried"
ln -s root/carried/dermatome "$work/link"
env -i "$work/link" graph unet34 --text | grep '^model unet34' >/dev/null || fail "it does not run from another folder through a link"
said=$(tools/scripts/carry.sh "$work" "$work/second" 2>&1) && fail "a build that is not there is carried"
grep -q 'there is no .*build it first' <<<"$said" || fail "a build that is not there is not named"

[ "$(id -u)" -eq 0 ] || { echo "only root can try it in an empty root folder"; exit 77; }
for program in dermatome dermatome_cuda_tests; do
  [ -e "$work/root/carried/bin/$program" ] || continue
  chroot "$work/root" /carried/lib/ld-linux-x86-64.so.2 --library-path /carried/lib /carried/bin/$program --help | grep . >/dev/null || fail "$program needs more than it carries"
done
