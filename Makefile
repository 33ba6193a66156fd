SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The backend of `make demo`.
BACKEND ?= fs

# Sets CARGO_TARGET_DIR to a folder outside the checkout, unless the caller set it.
ENV := source scripts/setup.sh;

# What `make bench-heap` passes on: `--quick`, `--only <beginning of a figure's name>`.
BENCH ?=

# How often `make kills` kills for each backend and mode.
KILLS ?= 50

.PHONY: help setup demo test kills bench-heap fmt clippy doc clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '%-10s %s\n' "$$name" "$$text"; done

setup: ## check what the build and the tests need
	@scripts/setup.sh

demo: ## build the program and run its demo (BACKEND=fs by default)
	@scripts/setup.sh build
	$(ENV) cargo build --release --locked -p alluvium-cli
	$(ENV) "$$CARGO_TARGET_DIR/release/alluvium" demo --backend $(BACKEND)

test: ## run every check: format, lints, documentation, all tests
	@scripts/test.sh

kills: ## kill jobs at random moments, KILLS=50 for each backend and mode
	@scripts/setup.sh build
	$(ENV) ALLUVIUM_KILLS=$(KILLS) cargo test -p alluvium-tests --test kills --test failures -- --nocapture

bench-heap: ## measure the heap backend (BENCH=--quick for small sizes)
	@scripts/setup.sh build
	@$(ENV) cargo run --release --locked -p alluvium-benches --bin heap -- $(BENCH)

fmt: ## format the code
	$(ENV) cargo fmt --all

clippy: ## run the lints
	$(ENV) cargo clippy --workspace --all-targets --locked -- -D warnings

doc: ## build the documentation
	$(ENV) RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

clean: ## remove the build folder
	$(ENV) cargo clean
