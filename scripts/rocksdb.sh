#!/usr/bin/env bash
# Builds RocksDB once, and keeps the archive for all profiles and all build folders.
#
#   scripts/rocksdb.sh              build the archive if it is not there (some 10 minutes on 2 cores)
#   . scripts/rocksdb.sh            the same, and set ROCKSDB_LIB_DIR and ROCKSDB_STATIC for cargo
#
# The archive belongs to one version of RocksDB and of the C++ compiler. Where the caller has set
# ROCKSDB_LIB_DIR, that one is used.

# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

# The version of the crate that brings RocksDB, from the lock file.
alluvium_rocksdb_version() {
    awk '/^name = "librocksdb-sys"$/ { getline; gsub(/"/, "", $3); print $3 }' "$1/Cargo.lock"
}

# Whether bindgen will find libclang.
alluvium_has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] || ldconfig -p 2>/dev/null | grep -q 'libclang[-.0-9]*\.so' ||
        compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null
}

alluvium_need_libclang() {
    # Debian's libclang1 alone lacks the compiler's own headers.
    if alluvium_has_libclang && { [ -n "${LIBCLANG_PATH:-}" ] || compgen -G '/usr/lib/llvm-*/lib/clang/*/include/stddef.h' >/dev/null || compgen -G '/usr/lib*/clang/*/include/stddef.h' >/dev/null; }; then
        return
    fi
    alluvium_can_install ||
        alluvium_die "the RocksDB backend needs libclang to be built: install the Debian package libclang-dev, or set LIBCLANG_PATH."
    alluvium_apt_install libclang-dev ||
        alluvium_die "the Debian package libclang-dev, which the RocksDB backend needs to be built, could not be installed."
}

# Builds the crate alone, with the features of the workspace, and takes the archive out.
alluvium_build_rocksdb() {
    local top=$1 version=$2 lib=$3 work found
    work=$(mktemp -d "$ALLUVIUM_CACHE/rocksdb/build.XXXXXX")
    mkdir "$work/src"
    : >"$work/src/lib.rs"
    cp "$top/Cargo.lock" "$work/"
    cat >"$work/Cargo.toml" <<TOML
[package]
name = "rocksdb-archive"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
librocksdb-sys = { version = "=$version", default-features = false, features = ["bindgen-runtime", "lz4", "zstd"] }
TOML
    echo "== building RocksDB ($version), once: some 10 minutes on 2 cores" >&2
    if ! (cd "$work" && unset ROCKSDB_LIB_DIR ROCKSDB_STATIC && CARGO_TARGET_DIR=$work/target cargo build --release >&2); then
        rm -rf "$work"
        alluvium_die "RocksDB could not be built; the lines above say why. It needs a C++20 compiler and libclang."
    fi
    found=$(find "$work/target/release/build" -name librocksdb.a | head -n 1)
    [ -n "$found" ] || alluvium_die "the build of RocksDB left no librocksdb.a in $work."
    mkdir -p "$lib"
    mv "$found" "$lib/librocksdb.a.new"
    mv "$lib/librocksdb.a.new" "$lib/librocksdb.a"
    rm -rf "$work"
}

alluvium_rocksdb() {
    local top version
    alluvium_need_libclang
    if [ -n "${ROCKSDB_LIB_DIR:-}" ]; then
        return
    fi
    top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    version=$(alluvium_rocksdb_version "$top")
    [ -n "$version" ] || alluvium_die "Cargo.lock names no version of librocksdb-sys."
    # The `+` of a version means something to no tool, but is better kept out of library paths.
    local lib=$ALLUVIUM_CACHE/rocksdb/${version//+/-}-$(c++ -dumpmachine)-$(c++ -dumpversion)
    if [ ! -e "$lib/librocksdb.a" ]; then
        mkdir -p "$ALLUVIUM_CACHE/rocksdb"
        if command -v flock >/dev/null 2>&1; then
            # Two runs at once build it once.
            { flock 9 && { [ -e "$lib/librocksdb.a" ] || alluvium_build_rocksdb "$top" "$version" "$lib" 9>&-; }; } 9>"$ALLUVIUM_CACHE/rocksdb/lock"
        else
            alluvium_build_rocksdb "$top" "$version" "$lib"
        fi
    fi
    export ROCKSDB_LIB_DIR=$lib ROCKSDB_STATIC=1
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -euo pipefail
fi
alluvium_rocksdb
