#!/bin/sh
# Install the missing packages for the tests, on Debian and Ubuntu. Uses sudo unless run as root.
set -eu
PATH=$PATH:/usr/sbin # where Debian has pgbouncer

has() {
    for name; do
        command -v "$name" >/dev/null && return
    done
    return 1
}

missing=
has chromium chromium-browser google-chrome || missing="$missing chromium"
ls /usr/lib/*/libatomic.so.1 >/dev/null 2>&1 || missing="$missing libatomic1" # for Playwright
has postgres /usr/lib/postgresql/*/bin/postgres || missing="$missing postgresql"
has pgbouncer || missing="$missing pgbouncer"
has zsh || missing="$missing zsh"
has fish || missing="$missing fish"
php -m 2>/dev/null | grep -qx curl || missing="$missing php-cli php-curl"
"${PYTHON:-python3}" -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
if [ -z "$missing" ]; then
    exit
elif ! has apt-get; then
    echo "apt-get not found. Install these packages in another way:$missing" >&2
    exit 1
elif [ "$(id -u)" = 0 ]; then
    sudo=
elif has sudo; then
    sudo=sudo
else
    echo "sudo not found. Run as root: apt-get install$missing" >&2
    exit 1
fi
echo "Installing$missing."
$sudo apt-get update -qq
# shellcheck disable=SC2086 # word splitting is intended
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
