#!/usr/bin/env bash
# Measures this project beside Apache Flink: benches/README.md, section "Flink".
#
#   scripts/bench_flink.sh [--quick] [--only NAME]
#
# Flink's jars come from the PyPI package apache-flink-libraries, once, into the cache folder. A JDK is
# needed, version 11 or 17 (JAVA_HOME, or java and javac in PATH); nothing else in the project needs one.
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=scripts/rocksdb.sh
. scripts/rocksdb.sh

version=2.3.0
flink=$ALLUVIUM_CACHE/flink-$version
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
javac=${JAVA_HOME:+$JAVA_HOME/bin/}javac

scripts/setup.sh build
if ! command -v "$java" >/dev/null 2>&1 || ! command -v "$javac" >/dev/null 2>&1; then
    alluvium_die "java and javac were not found: install the Debian package openjdk-17-jdk-headless, or set JAVA_HOME."
fi

# Unpacks the jars into a new folder that gets its name when it is whole.
fetch() {
    local work
    mkdir -p "$ALLUVIUM_CACHE"
    work=$(mktemp -d "$ALLUVIUM_CACHE/flink.XXXXXX")
    echo "== fetching Flink $version, once" >&2
    if ! python3 -m pip download -q --no-deps --no-build-isolation -d "$work/package" "apache-flink-libraries==$version" >&2; then
        rm -rf "$work"
        alluvium_die "the package apache-flink-libraries $version could not be fetched from PyPI."
    fi
    mkdir "$work/lib"
    python3 - "$work" <<'PYTHON'
import pathlib, shutil, sys, tarfile, zipfile

work = pathlib.Path(sys.argv[1])
[package] = (work / "package").iterdir()
jars = 0


def keep(name, source):
    global jars
    path = pathlib.PurePosixPath(name)
    if path.suffix == ".jar" and path.parent.name == "lib":
        with source, open(work / "lib" / path.name, "wb") as target:
            shutil.copyfileobj(source, target)
        jars += 1


if zipfile.is_zipfile(package):
    with zipfile.ZipFile(package) as archive:
        for name in archive.namelist():
            keep(name, archive.open(name))
else:
    with tarfile.open(package) as archive:
        for member in archive:
            if member.isfile():
                keep(member.name, archive.extractfile(member))
if jars == 0:
    sys.exit("error: there is no jar in the package")
PYTHON
    rm -rf "$work/package"
    mv "$work" "$flink"
}

[ -d "$flink/lib" ] || fetch
dist=$(compgen -G "$flink/lib/flink-dist-*.jar" | head -n 1) || true
[ -n "$dist" ] || alluvium_die "there is no flink-dist in $flink/lib: delete that folder and try again."

classes=$CARGO_TARGET_DIR/flink-harness
rm -rf "$classes"
mkdir -p "$classes"
"$javac" -Xlint:unchecked,deprecation -cp "$flink/lib/*" -d "$classes" benches/flink/src/alluvium/flink/*.java
cp benches/flink/resources/* "$classes/"

cargo build --release --locked -q -p alluvium-benches --features rocksdb --bin flink
exec "$CARGO_TARGET_DIR/release/flink" --java "$java" --class-path "$classes:$flink/lib/*" "$@"
