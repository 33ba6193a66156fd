#!/usr/bin/env bash
# Checks what the build needs, and sets the environment the other scripts share.
#
#   scripts/setup.sh          check everything `make test` needs
#   scripts/setup.sh build    check only what `make demo` needs
#   . scripts/setup.sh        set the environment, check nothing
#
# Set on sourcing: HOME and PATH where they lack something, ALLUVIUM_CACHE (the cache folder) and
# CARGO_TARGET_DIR (the build folder, unless the caller set it).

# Prints one sentence and fails.
alluvium_die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

alluvium_can_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1
}

# Installs Debian packages; only where alluvium_can_install holds.
alluvium_apt_install() {
    echo "== installing $*" >&2
    # Old package lists often still serve; they are brought up to date only when they do not.
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2 2>/dev/null && return
    apt-get update -q >&2 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2
}

# Whether the folder exists, made if need be, and can be written to.
alluvium_usable_dir() {
    mkdir -p "$1" 2>/dev/null && [ -w "$1" ] && [ -x "$1" ]
}

alluvium_environment() {
    local top home
    top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

    # Without HOME, `~` is the home folder of the user database.
    if [ -z "${HOME:-}" ]; then
        home=$(unset HOME && echo ~)
        export HOME="$home"
    fi
    export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

    if alluvium_usable_dir "$HOME/.cache/alluvium"; then
        export ALLUVIUM_CACHE="$HOME/.cache/alluvium"
    else
        export ALLUVIUM_CACHE="$top/.cache"
    fi

    if [ -z "${CARGO_TARGET_DIR:-}" ]; then
        if alluvium_usable_dir "$HOME/.cache/alluvium/target"; then
            export CARGO_TARGET_DIR="$HOME/.cache/alluvium/target"
        else
            export CARGO_TARGET_DIR="$top/target"
        fi
    fi
}

alluvium_check() {
    local what=$1 missing=()
    command -v cc >/dev/null 2>&1 || missing+=(gcc libc6-dev)
    command -v c++ >/dev/null 2>&1 || missing+=(g++)
    # jemalloc is built by it.
    command -v make >/dev/null 2>&1 || missing+=(make)
    command -v python3 >/dev/null 2>&1 || missing+=(python3 python3-venv)
    if [ "${#missing[@]}" -gt 0 ]; then
        alluvium_can_install ||
            alluvium_die "a C and C++ compiler and Python 3 are needed: install the Debian packages ${missing[*]}, or what your system calls them."
        alluvium_apt_install "${missing[@]}" ||
            alluvium_die "the Debian packages ${missing[*]} could not be installed."
    fi

    command -v cargo >/dev/null 2>&1 ||
        alluvium_die "cargo was not found: install Rust 1.95 or later with rustup."
    cargo --version >/dev/null ||
        alluvium_die "cargo does not start: install a Rust toolchain, 1.95 or later, with rustup."
    if [ "$what" = all ]; then
        cargo fmt --version >/dev/null 2>&1 ||
            alluvium_die "cargo fmt was not found: run 'rustup component add rustfmt'."
        cargo clippy --version >/dev/null 2>&1 ||
            alluvium_die "cargo clippy was not found: run 'rustup component add clippy'."
    fi
}

alluvium_environment
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -euo pipefail
    alluvium_check "${1:-all}"
fi
