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
    read -r tuf_version tuf_fresh tuf_threshold tuf_has_lines tuf_expires tuf_signed_at
    tuf_write_message "$5"
    tuf_count_signatures
  } <"$tuf/judged"
}

# What the signatures are over: the canonical form has a line's end as it is where jq writes \n. That is all
# that differs, for a document with lines in it has no other backslash but before a quotation mark.
tuf_write_message() { # SIGNED
  if [ "$tuf_has_lines" = true ]; then
    sed 's/\\n/\
/g' "$1" >"$tuf/message"
  else
    cp "$1" "$tuf/message"
  fi
}

# Writes `version fresh threshold has-lines expires signed-at`, a line for each signature that could count, a
# line for each fact that the agent looks up, an empty line, and the canonical bytes. Refuses whatever OLPC
# canonical JSON and `jq -cjS` could spell differently: other than printable ASCII, fractions, integers past
# 2^53. Only keys in PEM have lines. A key id may sign once. One run of jq does all of it: under emulation each
# costs a noticeable part of a second.
TUF_JUDGE='
  def require($holds; $what): if $holds then . else error($what) end;
  def whole: type == "number" and . == floor and . >= 0 and . <= 9007199254740991;
  def printable: explode | all(. >= 32 and . <= 126);
  def has_lines: contains("\n");
  def ed25519: .keytype == "ed25519" and .scheme == "ed25519" and (.keyval.public | has_lines | not);
  def pem: startswith("-----BEGIN PUBLIC KEY-----\n");
  def pem_body: split("\n") | map(select(startswith("-----") | not)) | join("");
  def spelled: pem_body as $body | ($body | test("^[A-Za-z0-9+/]+={0,2}\\z")) and sub("\n+\\z"; "") == "-----BEGIN PUBLIC KEY-----\n"
    + ([range(0; $body | length; 64) as $at | $body[$at:$at + 64] + "\n"] | add) + "-----END PUBLIC KEY-----";
  def key_words: if ed25519 then "ed25519 \(.keyval.public)"
    elif .keyval.public | spelled | not then empty
    elif .keytype == "ecdsa" and .scheme == "ecdsa-sha2-nistp256" then "ecdsa \(.keyval.public | pem_body)"
    elif .keytype == "rsa" and .scheme == "rsassa-pss-sha256" then "rsa \(.keyval.public | pem_body)"
    else empty end;
  def reference: (.length | whole and . >= 1) and (.hashes | keys == ["sha256"]);
  def delegation: if ._type == "root" then {keys, role: .roles[$role]}
    else .delegations | {keys, role: (.roles | map(select(.name == $role))
      | require(length == 1; "not delegated") | .[0])} end;
  def signed_at: if $type == "timestamp" and has("x-bootward-signed-at")
    then .["x-bootward-signed-at"] | require(whole; "signed-at") else "-" end;
  def facts: if ._type == "root" then
      (.["x-bootward-grant-keys"] | to_entries[] | select(.value | ed25519) | "grant \(.key) \(.value.keyval.public)\n"),
      (.keys as $keys | [.roles.snapshot, .roles.timestamp]
        | map([.keyids[] | $keys[.] | [.keytype, .scheme, .keyval.public]] | sort) | "online keys \(tojson)\n")
    elif ._type == "targets" then
      (.delegations.roles // [] | .[] | "delegation \(.name) \(.paths | join(" "))\n"),
      (.targets | to_entries[] | select(.value | reference) | .value.custom as $custom
        | "target \(.key) \(.value.length) \(.value.hashes.sha256) \($custom.version) \($custom.architecture) \($custom.name)\n")
    else .meta | to_entries[] | select(.value | reference and (.version | whole and . >= 1))
      | "meta \(.key) \(.value.version) \(.value.length) \(.value.hashes.sha256)\n" end;
  [inputs] | require(length == 1; "not one document") | .[0] | .signatures as $signatures
  | require(all(.. | numbers; whole); "numbers")
  | [.. | strings | select(has_lines)] as $lines
  | [.. | objects | .public? | strings | select(has_lines and pem)] as $pems
  | require(($lines | length) == ($pems | length); "lines in a text that is no key")
  | require($lines == [] or all(.. | strings, (objects | keys[]); contains("\\") | not); "backslashes")
  | require(all(.. | strings, (objects | keys[]); has_lines or printable); "texts")
  | require(all($pems[]; split("\n") | all(printable)); "texts of keys")
  | require(all(.. | objects | keys[]; has_lines | not); "lines in a name")
  | require($signatures | map(.keyid) | length == (unique | length); "signed twice")
  | .signed | require(._type == $type and (.version | whole and . >= 1); "type and version")
  | require(.spec_version | test("^1\\.0\\.[0-9]{1,3}\\z"); "spec_version")
  | require(.expires | test("^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\\z"); "expires")
  | require(.expires == (.expires | fromdateiso8601 | todateiso8601); "a day or an hour that there is not")
  | (if $self then . else $authority[0] end | delegation) as {$keys, role: {$keyids, $threshold}}
  | require($threshold | whole and . >= 1; "threshold")
  | "\(.version) \((.expires | fromdateiso8601) > $now) \($threshold) \($lines != []) \(.expires | fromdateiso8601) \(signed_at)\n",
    ($signatures[] | select(.keyid as $id | $keyids | index([$id])) | .sig as $signature
      | $keys[.keyid] | key_words | "signature \(.) \($signature)\n"),
    facts, "\n", .'

# Stricter than TUF: a key counts once by its material, whatever its id.
tuf_count_signatures() { # reads the lines of signatures
  tuf_counted='' tuf_missing=$tuf_threshold
  while [ "$tuf_missing" -gt 0 ] && read -r tuf_line tuf_kind tuf_public tuf_signature && [ "$tuf_line" = signature ]; do
    case " $tuf_counted " in *" $tuf_public "*) continue ;; esac
    signature_verifies "$tuf_kind" "$tuf_public" "$tuf_signature" "$tuf/message" || continue
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

# signature_verifies KIND PUBLIC SIGNATURE_HEX FILE: what src/signing/public-key.ts accepts, and nothing else
signature_verifies() {
  case $1 in
    ed25519) ed25519_verifies "$2" "$3" "$4" ;;
    ecdsa) spki_is_p256 "$2" && [ "${#3}" -le 144 ] && spki_verifies "$2" "$3" "$4" ;;
    rsa)
      spki_is_rsa "$2" && [ "${#3}" -eq "$rsa_signature_digits" ] &&
        spki_verifies "$2" "$3" "$4" -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32
      ;;
    *) return 1 ;;
  esac
}

# ed25519_verifies PUBLIC_HEX SIGNATURE_HEX FILE (RFC 8032; the prefix is RFC 8410's SubjectPublicKeyInfo)
ed25519_verifies() {
  is_hex "$1" 64 && is_hex "$2" 128 || return
  unhex "302a300506032b6570032100$1" >"$BOOTWARD_RUN/verify.der"
  unhex "$2" >"$BOOTWARD_RUN/verify.sig"
  openssl pkeyutl -verify -pubin -keyform DER -inkey "$BOOTWARD_RUN/verify.der" -rawin -in "$3" \
    -sigfile "$BOOTWARD_RUN/verify.sig" >/dev/null 2>&1
}

# spki_verifies SPKI_BASE64 SIGNATURE_HEX FILE [OPTION...]: SHA-256; OpenSSL takes an ECDSA signature in DER only,
# but reads no more of the file than the longest signature of the key has: longer ones are refused before.
spki_verifies() {
  is_hex "$2" "${#2}" && [ "${#2}" -ge 16 ] || return
  base64_decode "$1" "$BOOTWARD_RUN/verify.der" || return
  unhex "$2" >"$BOOTWARD_RUN/verify.sig"
  spki_file=$3
  shift 3
  openssl dgst -sha256 -verify "$BOOTWARD_RUN/verify.der" -keyform DER "$@" \
    -signature "$BOOTWARD_RUN/verify.sig" "$spki_file" >/dev/null 2>&1
}

# The beginning of a SubjectPublicKeyInfo says which key it is (RFC 5480 section 2): P-256, uncompressed point
spki_is_p256() {
  case $1 in MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE*) [ "${#1}" -eq 124 ] ;; *) return 1 ;; esac
}

# RSA-3072 or RSA-4096, exponent 65537 (RFC 8017 appendix A.1.1). Sets how long its signatures are.
spki_is_rsa() {
  case $1 in
    MIIBojANBgkqhkiG9w0BAQEFAAOCAY8AMIIBigKCAYEA*AgMBAAE=) rsa_signature_digits=768 && [ "${#1}" -eq 564 ] ;;
    MIICIjANBgkqhkiG9w0BAQEFAAOCAg8AMIICCgKCAgEA*AwEAAQ==) rsa_signature_digits=1024 && [ "${#1}" -eq 736 ] ;;
    *) return 1 ;;
  esac
}

tuf_malformed() {
  stop metadata-malformed "The $tuf_role metadata is not a TUF document that this agent can read without doubt."
}
