#!/usr/bin/env bash
# carry.sh BUILD FOLDER: the binary and the GPU tests with every library that they need, the C library included, in a folder that runs on
# a machine without Debian's packages. NVIDIA's driver and cuDNN are loaded at run time and are that machine's.
set -euo pipefail
[ $# -eq 2 ] || { echo "carry.sh BUILD FOLDER: which build, and where to" >&2; exit 2; }
build=$1
folder=$2
[ -x "$build/dermatome" ] || { echo "carry.sh: there is no $build/dermatome; build it first" >&2; exit 1; }
mkdir -p "$folder/bin" "$folder/lib"
loader=$(ldd "$build/dermatome" | grep -o '/[^ ]*/ld-linux[^ ]*' | head -n 1)
libc=$(ldd "$build/dermatome" | awk '$1 == "libc.so.6" { print $3 }')
cp -L "$loader" "$folder/lib/"
for program in dermatome dermatome_cuda_tests; do
  [ -x "$build/$program" ] || continue
  missing=$(ldd "$build/$program" | grep 'not found' || true)
  [ -z "$missing" ] || { echo "carry.sh: $program needs libraries that are not here:$missing" >&2; exit 1; }
  strip --strip-unneeded -o "$folder/bin/$program" "$build/$program"
  # The driver asks for the last four, which the C library itself no longer needs.
  { ldd "$build/$program" | awk '$3 ~ /^\// { print $3 }'; for name in dl pthread rt nss_files; do ls "$(dirname "$libc")"/lib$name.so.*; done; } |
    sort -u | xargs cp -Lt "$folder/lib/"
  cat >"$folder/$program" <<EOF
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")
exec "\$here/lib/$(basename "$loader")" --library-path "\$here/lib\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" "\$here/bin/$program" "\$@"
EOF
  chmod +x "$folder/$program"
done
echo "$folder: $(du -sh "$folder" | cut -f 1); run $folder/dermatome there"
