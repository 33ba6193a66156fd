#!/usr/bin/env bash
# Runs every fuzzer, or those named, for some seconds each: `scripts/fuzz.sh 60 metadata codecs`.
#
# Inputs that reach something new go to a folder beside the build, and are dropped with it; an input that
# fails is printed, with how to repeat it, and belongs into fuzz/corpus once the bug is fixed.
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=scripts/setup.sh
. scripts/setup.sh

seconds=${1:-60}
shift || true
target=$CARGO_TARGET_DIR/fuzz

rustup toolchain list 2>/dev/null | grep -q '^nightly' ||
    alluvium_die "fuzzing needs a nightly compiler: run 'rustup toolchain install nightly'."
cargo +nightly fuzz --version >/dev/null 2>&1 ||
    alluvium_die "cargo-fuzz was not found: run 'cargo install cargo-fuzz'."

if [ "$#" -eq 0 ]; then
    set -- $(cd fuzz/corpus && ls)
fi
for name in "$@"; do
    echo "== $name"
    mkdir -p "$target/corpus/$name"
    CARGO_TARGET_DIR=$target cargo +nightly fuzz run "$name" "$target/corpus/$name" "fuzz/corpus/$name" -- \
        -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 -max_len=4096 -print_final_stats=1
done
