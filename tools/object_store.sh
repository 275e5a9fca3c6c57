#!/usr/bin/env bash
# object_store.sh minio|azure: prints the path of an object store to test against, installed once into the cache.
# Versions are fixed here; nothing is installed for the system.
set -euo pipefail
cd "$(dirname "$0")/.."
# The same folder as the Makefile's.
cache=${HOME:-}/.cache/tidegate
if [ -z "${HOME:-}" ] || ! mkdir -p "$cache" 2>/dev/null || [ ! -w "$cache" ]; then cache=$PWD/target/cache; fi
folder=$cache/tools/bin
mkdir -p "$folder"

need() { # COMMAND WHAT
    if command -v "$1" >/dev/null; then return; fi
    echo "$1 is not there to install $path with; install $2" >&2
    exit 1
}

from_go() { # NAME MODULE@VERSION
    path=$folder/$1-${2##*@}
    if [ -x "$path" ]; then return; fi
    need go "Go 1.24 or newer"
    echo "building $1: minutes, once" >&2
    GOBIN=$work go install "$2" >&2
    mv "$work/$1" "$path"
}

from_npm() { # COMMAND PACKAGE@VERSION
    path=$folder/$2/node_modules/.bin/$1
    if [ -x "$path" ]; then return; fi
    need npm "Node.js with npm"
    npm install --silent --no-audit --no-fund --prefix "$work" "$2" >&2
    rm -rf "${folder:?}/$2"
    cp -r "$work" "$folder/$2"
}

# Several tests may ask at once: one installs, the others wait.
exec 9>"$folder/.lock"
flock 9
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case ${1:-} in
    minio) from_go minio github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c ;;
    azure) from_npm azurite-blob azurite@3.35.0 ;;
    *)
        echo "usage: $0 minio|azure" >&2
        exit 2
        ;;
esac
echo "$path"
