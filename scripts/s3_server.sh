#!/usr/bin/env bash
# Runs a local S3 server (moto) with an empty bucket.
#
#   scripts/s3_server.sh COMMAND...    run the command with the server's address in its environment
#   scripts/s3_server.sh               run the server until Ctrl-C
#   scripts/s3_server.sh --install     install the server and stop
#
# The command gets ALLUVIUM_S3_ENDPOINT, ALLUVIUM_S3_BUCKET and AWS credentials. The port is a free
# one, chosen by the system. The server ends with this script, however that ends.
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=scripts/setup.sh
. scripts/setup.sh

moto_version=5.2.5
bucket=alluvium-test
moto_dir=$ALLUVIUM_CACHE/moto

# Runs Python with moto, from the virtual environment or from the plain folder of packages.
moto_python() {
    if [ -x "$moto_dir/bin/python" ]; then
        "$moto_dir/bin/python" "$@"
    else
        PYTHONPATH=$moto_dir/packages python3 "$@"
    fi
}

moto_ready() {
    [ -d "$moto_dir" ] && moto_python - "$moto_version" >/dev/null 2>&1 <<'PY'
import sys
import moto
import moto.server
sys.exit(moto.__version__ != sys.argv[1])
PY
}

make_venv() {
    rm -rf "$moto_dir"
    # A Debian without python3-venv leaves a folder without pip.
    python3 -m venv "$moto_dir" >/dev/null 2>&1 && "$moto_dir/bin/python" -m pip --version >/dev/null 2>&1
}

install_moto() {
    if moto_ready; then
        return
    fi
    echo "== installing moto $moto_version from PyPI into $moto_dir" >&2
    local pip=() spec="moto[server]==$moto_version"
    if make_venv || { alluvium_can_install && alluvium_apt_install python3-venv && make_venv; }; then
        pip=("$moto_dir/bin/python" -m pip install)
    elif python3 -m pip --version >/dev/null 2>&1; then
        rm -rf "$moto_dir"
        pip=(python3 -m pip install --target "$moto_dir/packages")
    else
        rm -rf "$moto_dir"
        alluvium_die "the S3 tests need Python's venv or pip: install the Debian package python3-venv."
    fi
    if ! "${pip[@]}" --quiet --no-input --disable-pip-version-check "$spec" >&2 || ! moto_ready; then
        rm -rf "$moto_dir"
        alluvium_die "moto $moto_version, the S3 server of the tests, could not be installed from PyPI (it needs Python 3.10 or later and a network on the first run)."
    fi
}

# Two runs at once install it once.
install_locked() {
    if command -v flock >/dev/null 2>&1; then
        mkdir -p "$ALLUVIUM_CACHE"
        { flock 9 && install_moto 9>&-; } 9>"$ALLUVIUM_CACHE/moto.lock"
    else
        install_moto
    fi
}

install_locked
if [ "${1:-}" = --install ]; then
    exit
fi

work=$(mktemp -d)
server=
stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Writes its address to a file once the bucket is there; ends when this script is gone.
cat >"$work/serve.py" <<'PY'
import os
import sys
import time
import urllib.request

from moto.server import ThreadedMotoServer

address, bucket, parent = sys.argv[1], sys.argv[2], int(sys.argv[3])
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
endpoint = "http://127.0.0.1:%d" % server.get_host_and_port()[1]
# A proxy in the environment must not see requests to this machine.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
opener.open(urllib.request.Request(endpoint + "/" + bucket, method="PUT"), timeout=30).close()
with open(address + ".new", "w", encoding="ascii") as file:
    file.write(endpoint)
os.rename(address + ".new", address)
while os.getppid() == parent:
    time.sleep(0.5)
PY

# `exec` makes the process this script's own child.
(
    if [ -x "$moto_dir/bin/python" ]; then
        exec "$moto_dir/bin/python" "$work/serve.py" "$work/address" "$bucket" $$
    else
        export PYTHONPATH=$moto_dir/packages
        exec python3 "$work/serve.py" "$work/address" "$bucket" $$
    fi
) >"$work/log" 2>&1 </dev/null &
server=$!

for _ in $(seq 300); do
    if [ -e "$work/address" ] || ! kill -0 "$server" 2>/dev/null; then
        break
    fi
    sleep 0.2
done
if [ ! -e "$work/address" ]; then
    tail -n 20 "$work/log" >&2
    alluvium_die "the local S3 server did not start; its last lines are above."
fi

ALLUVIUM_S3_ENDPOINT=$(cat "$work/address")
export ALLUVIUM_S3_ENDPOINT
export ALLUVIUM_S3_BUCKET=$bucket
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1
unset AWS_SESSION_TOKEN AWS_PROFILE
export NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}"
export no_proxy=$NO_PROXY

if [ $# -gt 0 ]; then
    "$@"
else
    for name in ALLUVIUM_S3_ENDPOINT ALLUVIUM_S3_BUCKET AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION; do
        echo "export $name=${!name}"
    done
    wait "$server"
fi
