SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The backend of `make demo`.
BACKEND ?= fs

# Sets CARGO_TARGET_DIR to a folder outside the checkout, unless the caller set it.
ENV := source scripts/setup.sh;

# The same, and the archive of RocksDB, built first if it is not there.
ROCKSDB_ENV := source scripts/rocksdb.sh;

# Without this feature the command knows no RocksDB, and is built in a minute.
ifeq ($(BACKEND),rocksdb)
DEMO_ENV := $(ROCKSDB_ENV)
DEMO_FEATURES := --features rocksdb
else
DEMO_ENV := $(ENV)
DEMO_FEATURES :=
endif

# What `make bench-heap`, `make bench-rocksdb`, `make bench-runtime`, `make bench-compare` and `make bench-flink`
# pass on: `--quick`, `--only <beginning of a figure's name>`; the second one also
# `--soak <minutes> --state-gib <GiB>`.
BENCH ?=

# How the tests of the long runs below are compiled: `release`, or `test` as `make test` does, without optimization.
PROFILE ?= release
LONG_TEST := cargo test --locked --profile $(PROFILE)

# How many simulated jobs `make simulate` plays, from FIRST_SEED on.
SEEDS ?= 2000

# How many states of the local disk after a power cut `make power-cuts` tries.
STATES ?= 10000

# How many seconds `make fuzz` runs each fuzzer.
TIME ?= 60

# How many damaged checkpoints `make corruption` tries: a number, or all.
CASES ?= all

# How often `make kills` kills for each backend and mode.
KILLS ?= 50

# How many random programs `make programs` runs on BACKEND (heap, nested, fs or rocksdb), and the seed
# of the first.
PROGRAMS ?= 100000
FIRST_SEED ?= 0
PROGRAMS_RUN = ALLUVIUM_PROGRAMS=$(PROGRAMS) ALLUVIUM_FIRST_SEED=$(FIRST_SEED) $(LONG_TEST)
ifeq ($(BACKEND),rocksdb)
PROGRAMS_CRATE := alluvium-rocksdb
else
PROGRAMS_CRATE := alluvium-heap
endif

# What `make bench-plots` draws, and how: with a title that says what is measured. Of the heap backend there
# are hundreds of figures, so those with 5 million entries, which have the bars, stand for all sizes.
RESULTS := $(patsubst benches/results/%.tsv,%,$(wildcard benches/results/*.tsv))
OVER_HASHBROWN := get get-many update update-many mix get-while-writing update-while-writing mix-while-writing
PLOT_heap := --title "Heap backend" $(OVER_HASHBROWN:%=--only %-over-hashbrown/5m) \
	$(addprefix --only ,memory-over-hashbrown/5m freeze-p99 write-after-freeze-p9999/5m write-after-freeze-worst/5m \
	append-after-freeze insert-after-freeze restore-over-inserting first-get-after-restore \
	incremental-over-changed empty-groups worst-insert-while-growing snapshot-speed/5m memory-copy-speed)
PLOT_rocksdb := --title "RocksDB backend"
PLOT_runtime := --title "Checkpoints of a running job"
PLOT_inspector := --title "Looking into checkpoints"
PLOT_flink := --title "How many times faster than Apache Flink 2.3.0"
PLOT_compare := --title "How many times faster than other stores"

.PHONY: help setup demo test corruption kills power-cuts programs simulate museum fuzz bench-check bench-compare bench-heap bench-inspect bench-rocksdb bench-runtime bench-flink bench-plots fmt clippy doc clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '%-13s %s\n' "$$name" "$$text"; done

setup: ## check what the build and the tests need
	@scripts/setup.sh

demo: ## build the program and run its demo (BACKEND=fs by default; fs-nested, rocksdb)
	@scripts/setup.sh build
	$(DEMO_ENV) cargo build --release --locked -p alluvium-cli $(DEMO_FEATURES)
	$(ENV) "$$CARGO_TARGET_DIR/release/alluvium" demo --backend $(BACKEND)

test: ## run every check: format, lints, documentation, all tests
	@scripts/test.sh

kills: ## kill jobs at random moments, KILLS=50 for each backend and mode
	@scripts/setup.sh build
	$(ROCKSDB_ENV) ALLUVIUM_KILLS=$(KILLS) $(LONG_TEST) -p alluvium-tests --features rocksdb --test kills --test failures -- --nocapture

corruption: ## damage checkpoints of every backend, CASES=all of some 2.5 million cases, or a number
	@scripts/setup.sh build
	$(ROCKSDB_ENV) ALLUVIUM_CORRUPTION_CASES=$(CASES) $(LONG_TEST) -p alluvium-tests --features rocksdb --test corruption -- --nocapture

power-cuts: ## cut the power after any step on the local disk, STATES=10000 different states
	@scripts/setup.sh build
	$(ENV) ALLUVIUM_STATES=$(STATES) $(LONG_TEST) -p alluvium-tests --features power-cuts --test power_cuts -- --nocapture

programs: ## run PROGRAMS=100000 random programs on BACKEND (fs by default; heap, nested, rocksdb)
	$(if $(filter heap nested fs rocksdb,$(BACKEND)),,$(error no programs on BACKEND=$(BACKEND)))
	@scripts/setup.sh build
	$(DEMO_ENV) $(PROGRAMS_RUN) -p $(PROGRAMS_CRATE) --test programs programs_on_$(BACKEND) -- --exact --nocapture

simulate: ## play SEEDS=2000 simulated jobs with faults, from FIRST_SEED=0 on
	@scripts/setup.sh build
	$(ENV) ALLUVIUM_SEEDS=$(SEEDS) ALLUVIUM_FIRST_SEED=$(FIRST_SEED) $(LONG_TEST) -p alluvium-tests --test simulation every_seed -- --nocapture

museum: ## make known mistakes of the field again, each of which the simulation must catch
	@scripts/setup.sh build
	$(ENV) $(LONG_TEST) -p alluvium-tests --features museum --test museum -- --nocapture

fuzz: ## run every fuzzer for TIME=60 seconds each (nightly compiler and cargo-fuzz)
	@scripts/fuzz.sh $(TIME)

bench-check: ## compare instructions of hot paths with those in benches/instructions.tsv (valgrind)
	@scripts/bench_check.sh $(BENCH)

bench-heap: ## measure the heap backend (BENCH=--quick for small sizes)
	@scripts/setup.sh build
	@$(ENV) cargo run --release --locked -p alluvium-benches --bin heap -- $(BENCH)

bench-rocksdb: ## measure the RocksDB backend (BENCH=--quick for small sizes)
	@scripts/setup.sh build
	@$(ROCKSDB_ENV) cargo run --release --locked -p alluvium-benches --features rocksdb --bin rocksdb -- $(BENCH)

bench-runtime: ## measure what checkpoints cost a running job (BENCH=--quick for small sizes)
	@scripts/setup.sh build
	@$(ENV) cargo run --release --locked -p alluvium-benches --bin runtime -- $(BENCH)

bench-inspect: ## measure how fast checkpoints are looked into (BENCH=--quick for small sizes)
	@scripts/setup.sh build
	@$(ENV) cargo run --release --locked -p alluvium-benches --bin inspector -- $(BENCH)

bench-flink: ## measure beside Apache Flink 2.3.0, which is fetched once (needs a JDK; BENCH=--quick)
	@scripts/bench_flink.sh $(BENCH)

bench-compare: ## measure beside hashbrown, imbl, the crate rocksdb, redb and fjall (BENCH=--quick)
	@scripts/setup.sh build
	@$(ROCKSDB_ENV) cargo run --release --locked --manifest-path benches/compare/Cargo.toml -- $(BENCH)

bench-plots: ## draw benches/plots/*.svg from what benches printed, benches/results/*.tsv
	$(if $(RESULTS),,$(error no results in benches/results))
	@scripts/setup.sh build
	@$(ENV) cargo build --release --locked -p alluvium-benches --bin plots
	@$(ENV) mkdir -p benches/plots; $(foreach name,$(RESULTS),"$$CARGO_TARGET_DIR/release/plots" benches/results/$(name).tsv benches/plots/$(name).svg $(PLOT_$(name));)

fmt: ## format the code
	$(ENV) cargo fmt --all
	$(ENV) cargo fmt --manifest-path benches/compare/Cargo.toml

clippy: ## run the lints
	$(ROCKSDB_ENV) cargo clippy --workspace --all-targets --locked -- -D warnings

doc: ## build the documentation
	$(ROCKSDB_ENV) RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

clean: ## remove the build folder
	$(ENV) cargo clean
