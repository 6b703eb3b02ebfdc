# Two commands set everything up on a fresh Debian 12: `make demo` and `make test`.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
BUILD ?= build
PYTHON_ENVIRONMENT ?= $(HOME)/.cache/dermatome/pytorch

.PHONY: demo test test-all bench format lint build packages clean

demo: ## build, train on the sample photographs, evaluate, predict, write a report
	@tools/scripts/demo.sh $(BUILD) $(JOBS)

test: ## build and run every test but the slow ones
	@tools/scripts/test.sh $(BUILD) $(JOBS) --label-exclude slow

test-all: ## the slow tests too, and again under the sanitizers
	@tools/scripts/test.sh $(BUILD) $(JOBS)
	@tools/scripts/test.sh $(BUILD)-asan $(JOBS) --label-exclude slow --sanitize

bench: ## speed of training and inference beside PyTorch's, one table of ratios
	@PYTHON_ENVIRONMENT=$(PYTHON_ENVIRONMENT) tools/scripts/bench.sh $(BUILD) $(JOBS)

build: packages
	@tools/scripts/build.sh $(BUILD) $(JOBS)

packages:
	@tools/scripts/packages.sh

format: ## clang-format over all sources
	@git ls-files '*.cpp' '*.h' '*.cc' | xargs clang-format -i

lint: ## formatting, then clang-tidy over all sources, or over FILES="a.cpp b.cpp"
	@tools/scripts/packages.sh clang-format clang-tidy
	@tools/scripts/lint.sh format
	@cmake -S . -B $(BUILD) -G Ninja >/dev/null
	@tools/scripts/lint.sh tidy $(BUILD) $(JOBS) $(FILES)

clean:
	rm -rf $(BUILD) $(BUILD)-asan runs/demo
