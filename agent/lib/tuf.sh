# shellcheck shell=sh
# TUF documents (The Update Framework 1.0): what one is, and whether the right keys signed it. After a
# document is verified only its canonical bytes, re-serialized by us, are ever read.

# tuf_open FILE TYPE ROLE AUTHORITY SIGNED_OUT: writes the canonical bytes of .signed, signed by the keys
# that AUTHORITY names for ROLE (section 5.3.4 and the like), and sets tuf_version and tuf_fresh.
# AUTHORITY is a verified root, the verified targets document that delegates ROLE, or `self` for a root.
tuf_open() {
  tuf_role=$3 tuf_is_self=false tuf_authority=$4
  [ "$4" != self ] || tuf_is_self=true tuf_authority=/dev/null
  read -r tuf_start <"$1"
  case $tuf_start in '{'*) ;; *) tuf_malformed ;; esac
  jq -njcS --arg type "$2" --arg role "$3" --argjson now "$(earliest_now)" --argjson self "$tuf_is_self" \
    --slurpfile authority "$tuf_authority" "$TUF_JUDGE" "$1" >"$tuf/judged" 2>/dev/null || tuf_malformed
  sed '1,/^$/d' "$tuf/judged" >"$5"
  {
    read -r tuf_version tuf_fresh tuf_threshold
    tuf_count_signatures "$5"
  } <"$tuf/judged"
}

# Writes `version fresh threshold`, a line for each signature that could count, a line for each fact that
# the agent looks up, an empty line, and the canonical bytes. Refuses whatever OLPC canonical JSON and
# `jq -cjS` could spell differently: other than printable ASCII, fractions, integers past 2^53. A key id may
# sign once. One run of jq does all of it: under emulation each costs a noticeable part of a second.
TUF_JUDGE='
  def require($holds; $what): if $holds then . else error($what) end;
  def whole: type == "number" and . == floor and . >= 0 and . <= 9007199254740991;
  def printable: explode | all(. >= 32 and . <= 126);
  def ed25519: .keytype == "ed25519" and .scheme == "ed25519";
  def reference: (.length | whole and . >= 1) and (.hashes | keys == ["sha256"]);
  def delegation: if ._type == "root" then {keys, role: .roles[$role]}
    else .delegations | {keys, role: (.roles | map(select(.name == $role))
      | require(length == 1; "not delegated") | .[0])} end;
  def facts: if ._type == "root" then
      .["x-bootward-grant-keys"] | to_entries[] | select(.value | ed25519) | "grant \(.key) \(.value.keyval.public)\n"
    elif ._type == "targets" then
      (.delegations.roles // [] | .[] | "delegation \(.name) \(.paths | join(" "))\n"),
      (.targets | to_entries[] | select(.value | reference) | .value.custom as $custom
        | "target \(.key) \(.value.length) \(.value.hashes.sha256) \($custom.version) \($custom.architecture) \($custom.name)\n")
    else .meta | to_entries[] | select(.value | reference and (.version | whole and . >= 1))
      | "meta \(.key) \(.value.version) \(.value.length) \(.value.hashes.sha256)\n" end;
  [inputs] | require(length == 1; "not one document") | .[0] | .signatures as $signatures
  | require(all(.. | numbers; whole); "numbers")
  | require(all(.. | strings, (objects | keys[]); printable); "texts")
  | require($signatures | map(.keyid) | length == (unique | length); "signed twice")
  | .signed | require(._type == $type and (.version | whole and . >= 1); "type and version")
  | require(.spec_version | test("^1\\.0(\\.[0-9]{1,3})?\\z"); "spec_version")
  | require(.expires | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\\z"); "expires")
  | (if $self then . else $authority[0] end | delegation) as {$keys, role: {$keyids, $threshold}}
  | require($threshold | whole and . >= 1; "threshold")
  | "\(.version) \((.expires | fromdateiso8601) > $now) \($threshold)\n",
    ($signatures[] | select(.keyid as $id | $keyids | index([$id])) | .sig as $signature
      | $keys[.keyid] | select(ed25519) | "signature \(.keyval.public) \($signature)\n"),
    facts, "\n", .'

# Stricter than TUF: a key counts once by its material, whatever its id.
tuf_count_signatures() { # SIGNED; reads the lines of signatures
  tuf_counted='' tuf_missing=$tuf_threshold
  while [ "$tuf_missing" -gt 0 ] && read -r tuf_line tuf_public tuf_signature && [ "$tuf_line" = signature ]; do
    case " $tuf_counted " in *" $tuf_public "*) continue ;; esac
    ed25519_verifies "$tuf_public" "$tuf_signature" "$1" || continue
    tuf_counted="$tuf_counted $tuf_public" tuf_missing=$((tuf_missing - 1))
  done
  [ "$tuf_missing" -eq 0 ] ||
    stop metadata-signature "The $tuf_role metadata is not signed by enough of the keys that may sign it."
}

# tuf_fact ROLE KIND NAME: sets fact to what a trusted document says of it. Fails when it says nothing.
tuf_fact() {
  while read -r fact_kind fact_name fact && [ -n "$fact_kind" ]; do
    [ "$fact_kind $fact_name" != "$2 $3" ] || return 0
  done <"$tuf/$1.facts"
  return 1
}

# ed25519_verifies PUBLIC_HEX SIGNATURE_HEX FILE (RFC 8032; the prefix is RFC 8410's SubjectPublicKeyInfo)
ed25519_verifies() {
  is_hex "$1" 64 && is_hex "$2" 128 || return
  unhex "302a300506032b6570032100$1" >"$BOOTWARD_RUN/ed25519.der"
  unhex "$2" >"$BOOTWARD_RUN/ed25519.sig"
  openssl pkeyutl -verify -pubin -keyform DER -inkey "$BOOTWARD_RUN/ed25519.der" -rawin -in "$3" \
    -sigfile "$BOOTWARD_RUN/ed25519.sig" >/dev/null 2>&1
}

tuf_malformed() {
  stop metadata-malformed "The $tuf_role metadata is not a TUF document that this agent can read without doubt."
}
