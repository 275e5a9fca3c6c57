#!/usr/bin/env bash
# need.sh CHECK PACKAGE…: makes sure that the command CHECK works, installing Debian's PACKAGEs if it does not.
# Installs as root or through sudo, and asks no questions; says what to install when it may not.
set -euo pipefail
check=$1
shift
works() { bash -c "$check" >/dev/null 2>&1; }
if works; then exit 0; fi

refuse() { # WHY PACKAGE…
    echo "\`$check\` does not work here, and $1. Debian's packages for it: ${*:2}" >&2
    exit 1
}
if ! command -v apt-get >/dev/null; then refuse "there is no apt-get to install it with" "$@"; fi
if [ "$(id -u)" = 0 ]; then
    as=(env)
elif sudo -n true 2>/dev/null; then
    as=(sudo -n env)
else
    refuse "neither root nor sudo is at hand" "$@"
fi
install() { "${as[@]}" DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"; }
if ! install "$@"; then
    echo "trying again with a new package list" >&2
    "${as[@]}" apt-get update -q
    install "$@"
fi
if ! works; then refuse "the packages did not bring it" "$@"; fi
