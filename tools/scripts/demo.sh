#!/usr/bin/env bash
# demo.sh BUILD JOBS: from nothing to a trained model, masks and a report on the sample photographs of data/sample.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/scripts/common.sh
build=$1
jobs=$2
run=runs/demo
dermatome=$build/dermatome

phase "install packages" tools/scripts/packages.sh
phase "build" tools/scripts/build.sh "$build" "$jobs" dermatome
phase "train" "$dermatome" train --data data/sample --run $run --overwrite size=96 batch=8 epochs=25 lr=1e-3
phase "evaluate" "$dermatome" evaluate --run $run --data data/sample --split $run/split.csv --json $run/evaluation.json
phase "predict" "$dermatome" predict --run $run data/sample/ISIC-2017_Training_Data --out $run/masks --overlay
phase "report" "$dermatome" report $run
print_phases
echo
echo "Open $run/report.html in a browser; outlines of every photograph are in $run/masks."
