#!/usr/bin/env bash
# Runs every fuzzer, or those named, for some seconds each: `scripts/fuzz.sh 60 metadata codecs`.
#
# What is fuzzed has no unsafe code but that of its dependencies, so there is no sanitizer by default, and more
# inputs in the same time; SANITIZER=address builds with AddressSanitizer. Either way overflows and debug assertions
# are checked. MAX_LEN is the longest input, in bytes; FEATURES=rocksdb adds RocksDB to the random programs.
#
# Inputs that reach something new go to a folder beside the build, and are dropped with it; an input that
# fails is kept there and printed, with how to repeat it, and belongs into fuzz/corpus once the bug is fixed.
# The other fuzzers run all the same; the script fails in the end.
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=scripts/setup.sh
. scripts/setup.sh
case ${FEATURES:-} in
*rocksdb*) . scripts/rocksdb.sh ;;
esac

seconds=${1:-60}
shift || true
sanitizer=${SANITIZER:-none}
target=$CARGO_TARGET_DIR/fuzz

rustup toolchain list 2>/dev/null | grep -q '^nightly' ||
    alluvium_die "fuzzing needs a nightly compiler: run 'rustup toolchain install nightly'."
cargo +nightly fuzz --version >/dev/null 2>&1 ||
    alluvium_die "cargo-fuzz was not found: run 'cargo install cargo-fuzz --locked'."

if [ "$#" -eq 0 ]; then
    set -- $(cd fuzz/corpus && ls)
fi

began=$SECONDS
echo "== building (sanitizer: $sanitizer)"
CARGO_TARGET_DIR=$target cargo +nightly fuzz build --sanitizer "$sanitizer" --features "${FEATURES:-}"
echo "== built in $((SECONDS - began)) s"
programs=$target/$(rustc +nightly -vV | sed -n 's/^host: //p')/release

total=0
failed=()
for name in "$@"; do
    echo "== $name"
    mkdir -p "$target/corpus/$name" "$target/artifacts/$name"
    log=$target/$name.log
    "$programs/$name" "$target/corpus/$name" "fuzz/corpus/$name" -artifact_prefix="$target/artifacts/$name/" \
        -max_total_time="$seconds" -rss_limit_mb=2048 -malloc_limit_mb=256 -timeout=20 \
        -max_len="${MAX_LEN:-4096}" -print_final_stats=1 >"$log" 2>&1 || failed+=("$name")
    count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    total=$((total + ${count:-0}))
    tail -n 6 "$log"
done
echo "== $total executions of $# fuzzers"
if [ "${#failed[@]}" -gt 0 ]; then
    alluvium_die "these failed: ${failed[*]}; see $target/<name>.log, and $target/artifacts/<name>/ for the input."
fi
