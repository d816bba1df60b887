#!/bin/sh
# Installs the Debian packages that are missing, as root or with sudo; else prints the one line to run.
set -eu

list=$(dirname "$0")/debian-packages.txt
missing=
for package in $(grep -v '^#' "$list"); do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

install="apt-get update -q && apt-get install -y -q --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
  DEBIAN_FRONTEND=noninteractive sh -c "$install"
elif sudo -n true 2>/dev/null; then
  sudo DEBIAN_FRONTEND=noninteractive sh -c "$install"
else
  echo "Debian packages are missing. Run this line, then make again:" >&2
  echo "  sudo sh -c '$install'" >&2
  exit 1
fi
