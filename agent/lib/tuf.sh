# shellcheck shell=sh
# TUF documents (The Update Framework 1.0): what one is, and whether the right keys signed it. After a
# document is verified only its canonical bytes, re-serialized by us, are ever read.

# tuf_open FILE TYPE SIGNED_OUT: writes the canonical bytes of .signed. Refuses whatever OLPC canonical
# JSON and `jq -cjS` could spell differently: other than printable ASCII, fractions, integers past 2^53.
tuf_open() {
  [ "$(tr -d '\n\r\t -~' <"$1" | wc -c)" -eq 0 ] || return
  jq -cjenS --arg type "$2" '
    def whole: . == floor and . >= 0 and . <= 9007199254740991;
    [inputs] | if length == 1 then .[0] else error("not one document") end
    | if all(.. | numbers; whole) and all(.. | strings, (objects | keys[]); explode | all(. >= 32 and . <= 126))
      then .signed else error("not canonical") end
    | if ._type == $type and (.spec_version | test("^1\\.0(\\.[0-9]{1,3})?$"))
        and (.version | type == "number" and . >= 1)
        and (.expires | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"))
      then . else error("not this kind of document") end' "$1" >"$3" 2>/dev/null
}

# tuf_is_signed FILE SIGNED AUTHORITY ROLE: section 5.3.3 and the like. AUTHORITY is a verified root or
# targets document that delegates ROLE. Stricter than the specification: a key counts once by its
# material, not by its id, and a key id may sign once.
tuf_is_signed() {
  jq -er --arg role "$4" --slurpfile authority "$3" '
    def delegation: if ._type == "root" then {keys, role: .roles[$role]}
      else .delegations | {keys, role: (.roles | map(select(.name == $role)) | if length == 1 then .[0] else null end)} end;
    ($authority[0] | delegation) as {$keys, role: {$keyids, $threshold}}
    | if ($threshold | type) == "number" and $threshold >= 1 then $threshold else error("threshold") end,
      (.signatures | if (map(.keyid) | length == (unique | length)) then .[] else error("signed twice") end
        | select(.keyid as $id | $keyids | index([$id]))
        | $keys[.keyid] as $key | select($key.keytype == "ed25519" and $key.scheme == "ed25519")
        | "\($key.keyval.public) \(.sig)")' "$1" >"$tuf/signatures" 2>/dev/null || return
  {
    read -r tuf_threshold
    tuf_counted=
    while [ "$(echo "$tuf_counted" | wc -w)" -lt "$tuf_threshold" ] && read -r tuf_public tuf_signature; do
      case " $tuf_counted " in *" $tuf_public "*) continue ;; esac
      ! ed25519_verifies "$tuf_public" "$tuf_signature" "$2" || tuf_counted="$tuf_counted $tuf_public"
    done
  } <"$tuf/signatures"
  [ "$(echo "$tuf_counted" | wc -w)" -ge "$tuf_threshold" ]
}

# ed25519_verifies PUBLIC_HEX SIGNATURE_HEX FILE (RFC 8032; the prefix is RFC 8410's SubjectPublicKeyInfo)
ed25519_verifies() {
  is_hex "$1" 64 && is_hex "$2" 128 || return
  unhex "302a300506032b6570032100$1" >"$BOOTWARD_RUN/ed25519.der"
  unhex "$2" >"$BOOTWARD_RUN/ed25519.sig"
  openssl pkeyutl -verify -pubin -keyform DER -inkey "$BOOTWARD_RUN/ed25519.der" -rawin -in "$3" \
    -sigfile "$BOOTWARD_RUN/ed25519.sig" >/dev/null 2>&1
}

tuf_version() { # SIGNED
  jq '.version' "$1"
}

# Compared with the earliest moment that it can be: a machine without a clock cannot do better.
tuf_is_fresh() { # SIGNED
  jq -e --argjson now "$(earliest_now)" '(.expires | fromdateiso8601) > $now' "$1" >/dev/null 2>&1
}

# tuf_matches FILE LISTING: length and hash as the metadata above gave them (section 5.5.2). TUF leaves
# both optional; here they are not.
tuf_matches() {
  jq -e --argjson length "$(size_of "$1")" --arg sha256 "$(sha256_of "$1")" \
    '.length == $length and .hashes.sha256 == $sha256' "$2" >/dev/null
}
