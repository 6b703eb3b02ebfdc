#!/usr/bin/env bash
# onednn3.sh FOLDER: oneDNN 3.2 with its headers and CMake files, from PyPI, into a folder outside the tree; nothing if it is there.
# Later versions on PyPI (packages onednn, onednn-devel) are SYCL builds, which do not serve a program that runs on OpenMP.
set -euo pipefail
folder=$1
[ -e "$folder/lib/cmake/dnnl/dnnl-config.cmake" ] && exit 0
"$(dirname "$0")/packages.sh" python3-venv
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet onednn-cpu-gomp==2023.2.0 onednn-devel-cpu-gomp==2023.2.0
