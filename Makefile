# Two commands set everything up on a fresh Debian 12: `make demo` and `make test`.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
BUILD ?= build
PYTHON_ENVIRONMENT ?= $(HOME)/.cache/dermatome/pytorch
ONEDNN3 ?= $(HOME)/.cache/dermatome/onednn-3.2
FUZZ_SECONDS ?= 900
export PYTHON_ENVIRONMENT

.PHONY: demo paper test test-all compare bench bench-check bench-operations fuzz format lint build packages clean

demo: ## build, train on the sample photographs, evaluate, predict, write a report
	@tools/scripts/demo.sh $(BUILD) $(JOBS)

paper: packages ## the paper's experiments in little on DATA=FOLDER (ISIC 2017 at about 256 px), and docs/paper.md; about an hour
	@test -n "$(DATA)" || { echo "make paper needs DATA=FOLDER, photographs and masks of ISIC 2017" >&2; exit 2; }
	@tools/scripts/build.sh $(BUILD) $(JOBS) dermatome
	@python3 bench/paper.py --data "$(DATA)" --binary $(BUILD)/dermatome $(PAPER_OPTIONS)

test: ## build and run every test but the slow ones
	@tools/scripts/test.sh $(BUILD) $(JOBS) --label-exclude slow

test-all: ## the slow tests and the operation benchmark's too, GPU kernels for all architectures, again under the sanitizers, a minute of each fuzzer, again with oneDNN 3, and `compare` where its environments are
	@tools/scripts/test.sh $(BUILD) $(JOBS) --benchmarks
	@tools/scripts/cuda_architectures.sh $(BUILD)-cuda $(JOBS)
	@tools/scripts/test.sh $(BUILD)-asan $(JOBS) --label-exclude slow --sanitize
	@tools/scripts/fuzz.sh $(BUILD)-fuzz $(JOBS) 60
	@tools/scripts/onednn3.sh $(ONEDNN3)
	@tools/scripts/test.sh $(BUILD)-onednn3 $(JOBS) --label-exclude slow --prefix $(ONEDNN3)
	@tools/scripts/compare.sh $(BUILD) $(JOBS) --if-there

compare: ## weights, ONNX files, scores and event files beside PyTorch, ONNX Runtime, the challenge's scorer and TensorBoard
	@tools/scripts/compare.sh $(BUILD) $(JOBS)

bench: ## speed and memory beside PyTorch, ONNX Runtime and OpenVINO, one table of ratios; BENCH_OPTIONS="--only train:f32"
	@tools/scripts/bench.sh $(BUILD) $(JOBS)

bench-check: ## fails where this machine's committed ratios are lost by more than 8 %; says SKIPPED where there is nothing to compare with
	@tools/scripts/bench-check.sh $(BUILD) $(JOBS)

bench-operations: ## Google Benchmark of every kernel at the shapes of U-Net34; BENCH_OPTIONS="--type bf16 --benchmark_filter=train/conv2d/"
	@tools/scripts/bench-operations.sh $(BUILD) $(JOBS)

fuzz: ## libFuzzer over weight files, graph texts and recipes, FUZZ_SECONDS each
	@tools/scripts/fuzz.sh $(BUILD)-fuzz $(JOBS) $(FUZZ_SECONDS)

build: packages
	@tools/scripts/build.sh $(BUILD) $(JOBS)

packages:
	@tools/scripts/packages.sh

format: ## clang-format over all sources
	@git ls-files '*.cpp' '*.h' '*.cc' '*.cu' '*.cuh' | xargs clang-format -i

lint: ## formatting, then clang-tidy over all sources, or over FILES="a.cpp b.cpp"
	@tools/scripts/packages.sh clang-format clang-tidy
	@tools/scripts/lint.sh format
	@cmake -S . -B $(BUILD) -G Ninja >/dev/null
	@tools/scripts/lint.sh tidy $(BUILD) $(JOBS) $(FILES)

clean: ## the fuzzers' folder stays: it holds what they learnt
	rm -rf $(BUILD) $(BUILD)-cuda $(BUILD)-asan $(BUILD)-onednn3 runs/demo
