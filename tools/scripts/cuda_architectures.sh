#!/usr/bin/env bash
# cuda_architectures.sh BUILD JOBS: compiles the GPU kernels for every architecture that is supported, warnings (spilled registers among
# them) as errors. Nothing where nvcc is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1
jobs=$2
command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || { echo "no nvcc: the GPU kernels are not compiled"; exit 0; }
tools/scripts/cudnn_frontend.sh "$HOME/.cache/dermatome/cudnn-frontend"
cmake -S . -B "$build" -G Ninja -DDERMATOME_CUDA=ON "-DDERMATOME_CUDA_ARCHITECTURES=80;86;89;90;100;120" -DDERMATOME_TESTS=OFF >/dev/null
cmake --build "$build" --parallel "$jobs" --target dermatome_cuda
