#!/usr/bin/env bash
# debian_binary.sh FOLDER PACKAGE COMMAND [PACKAGE…]: prints the path of COMMAND out of Debian's PACKAGE, unpacked once below
# FOLDER, together with further packages (libraries, plugins). COMMAND is a name in usr/bin, or a path such as usr/sbin/x.
# Nothing is installed: it needs no root, and no service starts.
set -euo pipefail
folder=$1/$2 package=$2
case $3 in
*/*) path=$folder/$3 ;;
*) path=$folder/usr/bin/$3 ;;
esac

fetch() {
    if ! command -v apt-get >/dev/null; then
        echo "$package: there is no apt-get to fetch it with; on another system than Debian, put its $3 at $path" >&2
        return 1
    fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # apt reads no file of ours as another user: a download without its sandbox says less.
    local apt=(apt-get -q -o APT::Sandbox::User=root)
    local packages=("$package" "${@:4}")
    if ! (cd "$work" && "${apt[@]}" download "${packages[@]}") >&2; then
        echo "$package: trying again with a package list of our own" >&2
        mkdir -p "$work"/{state/lists/partial,cache/archives/partial}
        apt+=(-o Dir::State="$work/state" -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$work/cache")
        (cd "$work" && "${apt[@]}" update && "${apt[@]}" download "${packages[@]}") >&2
    fi
    local one
    for one in "${packages[@]}"; do dpkg-deb -x "$work"/"$one"_*.deb "$work/unpacked"; done
    mkdir -p "$(dirname "$folder")"
    rm -rf "$folder"
    mv "$work/unpacked" "$folder"
}

if [ ! -x "$path" ]; then fetch "$@"; fi
echo "$path"
