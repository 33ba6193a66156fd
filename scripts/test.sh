#!/usr/bin/env bash
# Runs every check of the project: format, lints, documentation, and all tests.
#
# Each step prints how long it took. Nothing is skipped: what cannot run is an error.
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=scripts/setup.sh
. scripts/setup.sh

# Everything that can be switched on.
features=alluvium-benches/rocksdb,alluvium-fuzz-targets/rocksdb,alluvium-storage/s3-server-tests
features=$features,alluvium-tests/s3-server-tests,alluvium-tests/rocksdb,alluvium-tests/power-cuts

times=()

# step NAME COMMAND... runs the command and notes its time.
step() {
    local name=$1 start=$SECONDS
    shift
    echo "== $name"
    "$@"
    times+=("$name: $((SECONDS - start)) s")
    echo "== $name took $((SECONDS - start)) s"
}

# Passes lines on, but puts the times before the last result of the test runner, so that its own
# lines end the output.
times_before_last_result() {
    local name=$1 start=$2 line held=()
    while IFS= read -r line || [ -n "$line" ]; do
        if [[ $line == "test result:"* ]]; then
            held=("$line")
        elif [ "${#held[@]}" -gt 0 ] && [[ -z $line || $line == "error: "* ]]; then
            held+=("$line")
        else
            [ "${#held[@]}" -eq 0 ] || printf '%s\n' "${held[@]}"
            held=()
            printf '%s\n' "$line"
        fi
    done
    echo "== times"
    printf '%s\n' "${times[@]}" "$name: $((SECONDS - start)) s" "all: $SECONDS s"
    echo
    [ "${#held[@]}" -eq 0 ] || printf '%s\n' "${held[@]}"
}

step "setup" scripts/setup.sh
# Sourced, so that cargo finds the archive.
step "RocksDB" source scripts/rocksdb.sh
step "format" cargo fmt --all --check
# A workspace of its own, whose other stores nothing here builds.
step "format of benches/compare" cargo fmt --manifest-path benches/compare/Cargo.toml --check
step "lints" cargo clippy --workspace --all-targets --locked \
    --features "$features" -- -D warnings
step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
step "S3 server" scripts/s3_server.sh --install
echo "== all tests"
# One call for all of them: other features would build the dependencies once more.
scripts/s3_server.sh cargo test --workspace --locked \
    --features "$features" 2>&1 |
    times_before_last_result "all tests" "$SECONDS"
