#!/bin/sh
# Builds the add-on for HSMs against the headers of the pinned Node: nothing is downloaded.
set -eu
cd "$(dirname "$0")/.."

addon=node_modules/pkcs11js
[ -d "$addon" ] || exit 0 # optional: an installation without it has no keys in HSMs
node=$(readlink -f node_modules/.bin/node || true)
headers=$(dirname "$(dirname "${node:-/}")")
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fail() {
  tail -n 15 "$log" >&2
  echo "The add-on for HSMs (pkcs11js) was not built: $1" >&2
  echo "It needs what setup/debian-packages.txt lists under \"to build\": sh setup/debian-packages.sh, then again." >&2
  exit 1
}

[ -f "$headers/include/node/node_api.h" ] || fail "the pinned Node is not in node_modules; run npm ci --ignore-scripts"
for tool in g++ make python3; do
  command -v "$tool" >/dev/null || fail "$tool is not installed"
done
npm rebuild pkcs11js --ignore-scripts=false --nodedir="$headers" --loglevel=error >"$log" 2>&1 ||
  fail "npm rebuild failed"
"$node" -e 'require("pkcs11js")' 2>>"$log" || fail "it was built, and cannot be loaded"
