#!/bin/sh
# Installs the Debian packages that are missing, as root or with sudo; else prints the one line to run.
set -eu

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

missing=
while read -r package; do
  case $package in '' | '#'*) continue ;; esac
  is_installed "$package" || missing="$missing $package"
done <"$(dirname "$0")/debian-packages.txt"
[ -n "$missing" ] || exit 0

install="apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
  sh -c "$install"
elif sudo -n true 2>/dev/null; then
  sudo sh -c "$install"
else
  echo "Debian packages are missing. Run this line, then make again:" >&2
  echo "  sudo sh -c '$install'" >&2
  exit 1
fi
