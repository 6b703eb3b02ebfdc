#!/usr/bin/env bash
# compare.sh BUILD JOBS [--if-there]: builds, and compares weights, ONNX files, scores and event files with what PyTorch, ONNX Runtime,
# the ISIC challenge's own scorer and TensorBoard make of them. Their Python environments lie outside the tree.
# --if-there: makes no environment; what has none is skipped, which a sentence says.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/scripts/common.sh
. tools/scripts/bench-environment.sh
build=$1
jobs=$2
mode=${3:-}
# An environment of their own: what they ask of numpy shall not change what PyTorch is measured with.
scorers=${SCORERS_ENVIRONMENT:-$environment-scorers}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

has_scorers() {
  [ -x "$scorers/bin/python" ] && "$scorers/bin/python" -c 'import importlib.util as u, sys
sys.exit(any(u.find_spec(n) is None for n in ("isic_challenge_scoring", "tensorboard", "numpy", "PIL")))'
}

make_scorers() {
  has_scorers && return
  [ -x "$scorers/bin/python" ] || python3 -m venv "$scorers"
  "$scorers/bin/pip" install --quiet isic-challenge-scoring tensorboard numpy pillow
}

compare_scores() {
  "$build/dermatome" train --data data/sample --run "$folder/run" size=64 batch=8 epochs=2
  "$build/dermatome" predict --run "$folder/run" --out "$folder/masks" data/sample/ISIC-2017_Training_Data
  "$scorers/bin/python" bench/official_scores.py --dermatome "$build/dermatome" --predictions "$folder/masks" \
    --truth data/sample/ISIC-2017_Training_Part1_GroundTruth
}

if [ "$mode" != --if-there ]; then
  phase "install packages" tools/scripts/packages.sh python3-venv
  phase "PyTorch, ONNX Runtime" make_environment
  phase "the challenge's scorer, TensorBoard" make_scorers
fi
peers=false
scoring=false
if has_peers; then peers=true; else echo "weights and ONNX files: the comparison with PyTorch is skipped, $environment does not hold it (\`make compare\` makes it)"; fi
if has_scorers; then scoring=true; else echo "scores and event files: the comparison with the challenge's scorer is skipped, $scorers does not hold it (\`make compare\` makes it)"; fi
$peers || $scoring || exit 0

phase "build" tools/scripts/build.sh "$build" "$jobs" -DDERMATOME_TESTS=ON dermatome dermatome_forward
if $peers; then
  phase "weights beside PyTorch" "$python" tests/golden/compare_weights.py --build "$build"
  phase "ONNX beside ONNX Runtime" "$python" tests/golden/compare_onnx.py --build "$build"
fi
if $scoring; then
  phase "scores beside the challenge's" compare_scores
  phase "event files in TensorBoard" "$scorers/bin/python" bench/event_files.py --run "$folder/run"
fi
print_phases
