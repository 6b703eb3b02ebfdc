#!/usr/bin/env bash
# cudnn_frontend.sh FOLDER: the headers of cuDNN's frontend (header only, 1.32.0) from PyPI into FOLDER/include; nothing if they are there.
set -euo pipefail
folder=$1
[ -e "$folder/include/cudnn_frontend.h" ] && exit 0
command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 || "$(dirname "$0")/packages.sh" python3-pip
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$download" nvidia-cudnn-frontend==1.32.0
mkdir -p "$folder"
python3 - "$download" "$folder" <<'PYTHON'
import pathlib, sys, zipfile
(wheel,) = pathlib.Path(sys.argv[1]).glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(sys.argv[2], [name for name in archive.namelist() if name.startswith("include/")])
PYTHON
