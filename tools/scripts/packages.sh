#!/usr/bin/env bash
# Installs what a build needs from Debian's packages, if anything is missing; with sudo when not root.
set -euo pipefail

needed=(g++ cmake ninja-build git python3 libdnnl-dev ocl-icd-opencl-dev libpng-dev libjpeg-dev libtiff-dev
        libxxhash-dev libzip-dev libonnx-dev libprotobuf-dev pkg-config libfmt-dev nlohmann-json3-dev libcli11-dev libtomlplusplus-dev libgtest-dev "$@")
missing=()
for package in "${needed[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "these packages are missing and there is no sudo: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
