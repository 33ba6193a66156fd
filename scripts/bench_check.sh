#!/usr/bin/env bash
# Counts the instructions of hot paths and compares them with benches/instructions.tsv.
#
#   scripts/bench_check.sh                  compare; an operation that got more expensive is an error
#   scripts/bench_check.sh --write          write the file anew
#   scripts/bench_check.sh NAME...          compare some of them
#
# Times differ from run to run and from machine to machine; counts are repeatable with one compiler, on
# one kind of processor: the C library picks its string functions by what that can do.
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=scripts/setup.sh
. scripts/setup.sh

# In percent: what an operation may cost more than it did, before that is an error.
tolerance=3
expected=benches/instructions.tsv

scripts/setup.sh build
if ! command -v valgrind >/dev/null 2>&1; then
    alluvium_can_install && alluvium_apt_install valgrind ||
        alluvium_die "valgrind was not found; it counts the instructions."
fi
cargo build --release --locked -q -p alluvium-benches --bin instructions
program=$CARGO_TARGET_DIR/release/instructions
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# count NAME prints the instructions of one operation.
count() {
    valgrind --tool=callgrind --callgrind-out-file="$scratch/out" --collect-atstart=no \
        --toggle-collect='instructions::counted*' "$program" "$1" >"$scratch/operations" 2>"$scratch/log" ||
        alluvium_die "$1 failed: $(tail -3 "$scratch/log")"
    local total
    total=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$scratch/log")
    [ "${total:-0}" -gt 0 ] || alluvium_die "$1: nothing was counted"
    echo $((total / $(cat "$scratch/operations")))
}

write=false
if [ "${1:-}" = --write ]; then
    write=true
    shift
fi
[ "$#" -gt 0 ] || mapfile -t names < <("$program" --list)
[ "$#" -eq 0 ] || names=("$@")

if $write; then
    {
        echo "# Instructions of one operation, counted by callgrind: scripts/bench_check.sh --write"
        echo "# $(rustc --version), $(uname -m)"
        for name in "${names[@]}"; do
            printf '%s\t%s\n' "$name" "$(count "$name")"
        done
    } >"$scratch/new"
    mv "$scratch/new" "$expected"
    cat "$expected"
    exit
fi

[ "$(sed -n 2p "$expected")" = "# $(rustc --version), $(uname -m)" ] ||
    echo "note: counted with another compiler than this one: $(sed -n '2s/^# //p' "$expected")"
worse=0
printf '%-28s %10s %10s %8s\n' operation counted expected change
for name in "${names[@]}"; do
    was=$(awk -F '\t' -v name="$name" '$1 == name { print $2 }' "$expected")
    [ -n "$was" ] || alluvium_die "$name is not in $expected; scripts/bench_check.sh --write adds it."
    is=$(count "$name")
    change=$(awk -v is="$is" -v was="$was" 'BEGIN { printf "%+.1f", (is / was - 1) * 100 }')
    verdict=
    if awk -v change="$change" -v most="$tolerance" 'BEGIN { exit !(change > most) }'; then
        verdict=' MORE'
        worse=$((worse + 1))
    elif awk -v change="$change" -v most="$tolerance" 'BEGIN { exit !(change < -most) }'; then
        verdict=' less: write the file anew'
    fi
    printf '%-28s %10s %10s %7s%%%s\n' "$name" "$is" "$was" "$change" "$verdict"
done
[ "$worse" -eq 0 ] || alluvium_die "$worse operations cost more than $tolerance % more instructions."
