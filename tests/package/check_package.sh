#!/usr/bin/env bash
# check_package.sh [--apt] CMAKE BUILD: installs, packs and unpacks into a folder of its own, and runs the program from there.
# --apt also installs the package with apt into a clean Debian 12 that debootstrap makes, which needs root and network.
set -euo pipefail
with_apt=
if [ "$1" = --apt ]; then
  with_apt=yes
  shift
  command -v debootstrap >/dev/null || { echo "skipped: debootstrap, which makes the clean Debian, is missing"; exit 77; }
  [ "$(id -u)" -eq 0 ] || { echo "skipped: only root can make a clean Debian and run in it"; exit 77; }
fi
cmake=$1
build=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT # of a clean Debian that was cut short, not the host's /proc
fail() { echo "$*"; exit 1; }

"$cmake" --install "$build" --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; fail "cmake --install fails"; }
(cd "$work" && "$work/prefix/bin/dermatome" --version) | grep '^dermatome [0-9]' >/dev/null || fail "what is installed does not run"

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
env -i PATH=/usr/bin:/bin "$program" info | grep '^models .*unet34' >/dev/null || fail "info does not name the models"
env -i PATH=/usr/bin:/bin "$program" graph unet34 --text | grep '^model unet34' >/dev/null || fail "the built-in model is not there"
env -i PATH=/usr/bin:/bin "$program" completion bash | cmp - usr/share/bash-completion/completions/dermatome || fail "the completion is another"
zcat usr/share/man/man1/dermatome.1.gz | grep '^\.SS dermatome train' >/dev/null || fail "the manual page does not know train"
if command -v groff >/dev/null; then
  warnings=$(zcat usr/share/man/man1/dermatome.1.gz | groff -man -Tutf8 -ww -z 2>&1)
  [ -z "$warnings" ] || fail "groff: $warnings"
fi
echo "$(basename "$package") depends on $depends"

[ -n "$with_apt" ] || exit 0
debian=$work/debian
debootstrap --variant=minbase bookworm "$debian" "${DERMATOME_DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$work/log" 2>&1 || { tail "$work/log"; fail "debootstrap fails"; }
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive chroot "$debian" "$@"; }
install -m 644 "$package" "$debian/dermatome.deb"
inside apt-get update >"$work/log" 2>&1 || { tail "$work/log"; fail "apt-get update fails"; }
inside apt-get install -y --no-install-recommends /dermatome.deb >"$work/log" 2>&1 || { tail "$work/log"; fail "apt does not install the package"; }
inside dermatome --version | grep '^dermatome [0-9]' >/dev/null || fail "what apt installed does not run"
inside dermatome graph unet34 --text | grep '^model unet34' >/dev/null || fail "the built-in model is not in what apt installed"
inside apt-get purge -y dermatome >"$work/log" 2>&1 || { tail "$work/log"; fail "apt does not remove the package"; }
[ ! -e "$debian/usr/bin/dermatome" ] || fail "apt leaves the program behind"
echo "installed, run and removed by apt in a clean Debian 12"
