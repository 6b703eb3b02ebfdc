#!/usr/bin/env bash
# check_package.sh CMAKE BUILD: installs, packs and unpacks into a folder of its own, and runs the program from there.
set -euo pipefail
cmake=$1
build=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "$*"; exit 1; }

"$cmake" --install "$build" --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; fail "cmake --install fails"; }
(cd "$work" && "$work/prefix/bin/dermatome" --version) | grep -q '^dermatome [0-9]' || fail "what is installed does not run"

"$(dirname "$cmake")/cpack" --config "$build/CPackConfig.cmake" -B "$work" >"$work/log" 2>&1 || { cat "$work/log"; fail "cpack fails"; }
package=$(echo "$work"/dermatome_*.deb)
dpkg-deb -x "$package" "$work/unpacked"

# Whoever installs the package gets every library that the program is linked with.
program=$work/unpacked/usr/bin/dermatome
depends=$(dpkg-deb -f "$package" Depends)
for library in $(objdump -p "$program" | awk '/NEEDED/ { print $2 }'); do
  file=$(ldd "$program" | awk -v name="$library" '$1 == name { print $3 }')
  [ -n "$file" ] || file=$library # the loader itself
  owner=$(dpkg -S "$(realpath -m "$file")" "$file" "/usr$file" "/lib64/$library" 2>/dev/null | head -1 | cut -d: -f1 || true)
  [ -n "$owner" ] || fail "no package holds $library ($file)"
  tr ', ' '\n' <<<"$depends" | grep -qxF "$owner" || fail "$library comes with $owner, which the package does not depend on: $depends"
done

# Nobody but root owns or writes what is installed.
dpkg-deb -c "$package" | awk '$2 != "root/root" || $1 !~ /^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x|lrwxrwxrwx)$/' >"$work/odd"
[ ! -s "$work/odd" ] || { cat "$work/odd"; fail "odd owners or permissions"; }
for file in share/man/man1/dermatome.1.gz share/bash-completion/completions/dermatome share/doc/dermatome/{copyright,changelog.gz,README.md,docs/config.md}; do
  [ -s "$work/unpacked/usr/$file" ] || fail "the package lacks $file"
done

# Away from the sources, without their environment: the models are in the program.
cd "$work/unpacked"
env -i PATH=/usr/bin:/bin "$program" info | grep -q '^models .*unet34' || fail "info does not name the models"
env -i PATH=/usr/bin:/bin "$program" graph unet34 --text | grep -q '^model unet34' || fail "the built-in model is not there"
env -i PATH=/usr/bin:/bin "$program" completion bash | cmp - usr/share/bash-completion/completions/dermatome || fail "the completion is another"
zcat usr/share/man/man1/dermatome.1.gz | grep -q '^\.SS dermatome train' || fail "the manual page does not know train"
if command -v groff >/dev/null; then
  warnings=$(zcat usr/share/man/man1/dermatome.1.gz | groff -man -Tutf8 -ww -z 2>&1)
  [ -z "$warnings" ] || fail "groff: $warnings"
fi
echo "$(basename "$package") depends on $depends"
