#!/bin/sh
# Installs what is missing (Debian packages), builds, and runs `rehearse demo`. Arguments go to the demo; see
# `rehearse demo --help`. As root, or as a user with sudo when something has to be installed.
set -eu
start=$PWD
cd "$(dirname "$0")/.."
# shellcheck source=tools/packages.sh
. tools/packages.sh

# shellcheck disable=SC2086 # lists of words
packages_install $packages_build $packages_run
cmake --preset release >&2
cmake --build --preset release --target rehearse >&2
program=$PWD/build/release/bin/rehearse
cd "$start"
exec "$program" demo "$@"
