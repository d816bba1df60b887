# shellcheck shell=sh
# The server's challenge: a compact JWS (RFC 7515, EdDSA) by a grant key that the verified TUF root names.
# The agent answers nothing else, so nobody can borrow its quotes.

# What a quote must cover at least: everything that firmware and stage-0 measure, and PCR 14.
MINIMUM_PCRS='[0,1,2,3,4,5,6,7,8,9,11,12,13,14]'
MAX_CHALLENGE_SECONDS=600
MAX_CHALLENGE_LENGTH=4096

# challenge_open JWS PURPOSE: sets challenge (its exact text) and challenge_pcrs (0,1,2,...).
challenge_open() {
  challenge=$1 challenge_purpose=$2 challenge_dir=$BOOTWARD_RUN/challenge
  mkdir -p "$challenge_dir"
  challenge_split
  challenge_verify_signature
  challenge_check_payload
  challenge_pcrs=$(jq -r '.pcrs | join(",")' "$challenge_dir/payload")
  mark challenge "purpose=$challenge_purpose"
}

challenge_split() {
  [ "${#challenge}" -le "$MAX_CHALLENGE_LENGTH" ] || challenge_refuse challenge-malformed "is too long"
  case $challenge in *.*.*.* | *[!A-Za-z0-9_.-]*) challenge_refuse challenge-malformed "is not a compact JWS" ;; esac
  challenge_rest=${challenge#*.}
  if ! base64url_decode "${challenge%%.*}" "$challenge_dir/header" ||
    ! base64url_decode "${challenge_rest%%.*}" "$challenge_dir/payload" ||
    ! base64url_decode "${challenge_rest#*.}" "$challenge_dir/signature"; then
    challenge_refuse challenge-malformed "is not a compact JWS"
  fi
  for part in header payload; do
    json_is_unambiguous "$challenge_dir/$part" || challenge_refuse challenge-malformed "has a $part that can be read in two ways"
  done
}

# Serialized again it must be the same bytes: so there are no duplicate keys, no second document, no odd
# numbers, and what jq reads is what was signed.
json_is_unambiguous() {
  jq -cje 'objects' "$1" 2>/dev/null | cmp -s - "$1"
}

# Exactly the header of docs/protocol.md: the algorithm is ours, and no header member is ever followed.
challenge_verify_signature() {
  jq -e 'keys == ["alg", "kid", "typ"] and .alg == "EdDSA" and .typ == "bootward-challenge+jwt"
    and (.kid | test("^[0-9a-f]{64}$"))' "$challenge_dir/header" >/dev/null 2>&1 ||
    challenge_refuse challenge-header "does not have the header of a challenge"
  challenge_key=$(jq -er --slurpfile header "$challenge_dir/header" '.["x-bootward-grant-keys"][$header[0].kid]
    | select(.keytype == "ed25519" and .scheme == "ed25519") | .keyval.public' "$tuf/root.signed" 2>/dev/null) ||
    challenge_refuse challenge-key "is signed by a key that the TUF root does not name"
  printf '%s' "${challenge%.*}" >"$challenge_dir/signed"
  ed25519_verifies "$challenge_key" "$(hex_of "$challenge_dir/signature")" "$challenge_dir/signed" ||
    challenge_refuse challenge-signature "does not carry a valid signature of the server's grant key"
}

challenge_check_payload() {
  jq -e --argjson longest "$MAX_CHALLENGE_SECONDS" '
    def whole: type == "number" and . == floor and . >= 0;
    keys == ["akName", "exp", "iat", "nonce", "pcrBank", "pcrs", "purpose", "serverKeys"]
    and (.nonce | test("^[A-Za-z0-9_-]{43}$")) and .pcrBank == "sha256"
    and (.pcrs | type == "array" and all(whole and . <= 23) and . == unique)
    and (.serverKeys | type == "array" and length >= 1 and length <= 8 and all(test("^[0-9a-f]{64}$")))
    and (.iat | whole) and (.exp | whole) and .exp > .iat and .exp - .iat <= $longest' "$challenge_dir/payload" >/dev/null 2>&1 ||
    challenge_refuse challenge-malformed "does not have the fields of a challenge"
  challenge_holds challenge-purpose ".purpose == \$expected" "$challenge_purpose" "is for another purpose than was asked for"
  challenge_holds challenge-ak ".akName == \$expected" "$ak_name" "is for another attestation key"
  challenge_holds challenge-pcrs "(\$expected | fromjson) - .pcrs == []" "$MINIMUM_PCRS" "asks for fewer PCRs than prove this boot"
  challenge_holds challenge-expired ".exp > (\$expected | tonumber)" "$(earliest_now)" "has expired, by this machine's clock"
  challenge_holds challenge-server-key ".serverKeys | index([\$expected]) != null" "$server_key" \
    "does not name the key that this connection uses: someone may stand in between"
}

challenge_holds() { # CODE CONDITION EXPECTED WORDS
  jq -e --arg expected "$3" "$2" "$challenge_dir/payload" >/dev/null 2>&1 || challenge_refuse "$1" "$4"
}

challenge_refuse() { # CODE WORDS
  stop "$1" "The server's challenge $2: it gets no answer."
}
