# shellcheck shell=sh
# The server's challenge: a compact JWS (RFC 7515, EdDSA) by a grant key that the verified TUF root names.
# The agent answers nothing else, so nobody can borrow its quotes.

# What a quote must cover at least: everything that firmware and stage-0 measure, and PCR 14.
MINIMUM_PCRS='[0,1,2,3,4,5,6,7,8,9,11,12,13,14]'
MAX_CHALLENGE_SECONDS=600
MAX_CHALLENGE_LENGTH=4096

# challenge_open ANSWER_FILE PURPOSE: sets challenge (its exact text) and challenge_pcrs (0,1,2,...).
challenge_open() {
  challenge_purpose=$2 challenge_dir=$BOOTWARD_RUN/challenge
  mkdir -p "$challenge_dir"
  # Wherever in the answer it stands: what it says is verified below.
  challenge=$(sed -n 's/^.*"challenge": *"\([A-Za-z0-9_.-]*\)".*$/\1/p' "$1")
  challenge_split
  challenge_verify_signature
  challenge_judge_payload
  mark challenge "purpose=$challenge_purpose" "pcrs=$challenge_pcrs"
}

challenge_split() {
  [ "${#challenge}" -le "$MAX_CHALLENGE_LENGTH" ] || challenge_refuse challenge-malformed
  case $challenge in
    *.*.*.* | *[!A-Za-z0-9_.-]*) challenge_refuse challenge-malformed ;;
    *.*.*) ;;
    *) challenge_refuse challenge-malformed ;;
  esac
  challenge_rest=${challenge#*.}
  if ! base64url_decode "${challenge%%.*}" "$challenge_dir/header" ||
    ! base64url_decode "${challenge_rest%%.*}" "$challenge_dir/payload" ||
    ! base64url_decode "${challenge_rest#*.}" "$challenge_dir/signature"; then
    challenge_refuse challenge-malformed
  fi
}

# Exactly the header of docs/protocol.md, to the byte: the algorithm is ours, and nothing in a header is
# ever followed. `kid` only chooses among the grant keys of the root.
challenge_verify_signature() {
  challenge_kid=$(sed -n 's/^{"alg":"EdDSA","typ":"bootward-challenge+jwt","kid":"\([0-9a-f]*\)"}$/\1/p' "$challenge_dir/header")
  is_hex "$challenge_kid" 64 && [ "$(size_of "$challenge_dir/header")" -eq 119 ] || challenge_refuse challenge-header
  tuf_fact root grant "$challenge_kid" || challenge_refuse challenge-key
  printf '%s' "${challenge%.*}" >"$challenge_dir/signed"
  ed25519_verifies "$fact" "$(hex_of "$challenge_dir/signature")" "$challenge_dir/signed" ||
    challenge_refuse challenge-signature
}

# The payload serialized again must be the same bytes: so there are no duplicate keys, no second document,
# no odd numbers, and what jq reads is what was signed. Prints the PCRs, or the code of what is wrong.
challenge_judge_payload() {
  challenge_pcrs=$(jq -nrR --arg purpose "$challenge_purpose" --arg ak "$ak_name" --arg server "$server_key" \
    --argjson minimum "$MINIMUM_PCRS" --argjson now "$(earliest_now)" --argjson longest "$MAX_CHALLENGE_SECONDS" '
    def whole: type == "number" and . == floor and . >= 0;
    [inputs] | if length == 1 then .[0] else error("not one line") end | . as $text | fromjson
    | if (tojson == $text
        and keys == ["akName", "exp", "iat", "nonce", "pcrBank", "pcrs", "purpose", "serverKeys"]
        and (.nonce | test("^[A-Za-z0-9_-]{43}\\z")) and .pcrBank == "sha256"
        and (.pcrs | type == "array" and all(whole and . <= 23) and . == unique)
        and (.serverKeys | type == "array" and length >= 1 and length <= 8 and all(test("^[0-9a-f]{64}\\z")))
        and (.iat | whole) and (.exp | whole) and .exp > .iat and .exp - .iat <= $longest) | not
      then "challenge-malformed"
      elif .purpose != $purpose then "challenge-purpose"
      elif .akName != $ak then "challenge-ak"
      elif $minimum - .pcrs != [] then "challenge-pcrs"
      elif .exp <= $now then "challenge-expired"
      elif .serverKeys | index([$server]) == null then "challenge-server-key"
      else .pcrs | join(",") end' "$challenge_dir/payload" 2>/dev/null) || challenge_pcrs=challenge-malformed
  case $challenge_pcrs in challenge-*) challenge_refuse "$challenge_pcrs" ;; esac
}

challenge_refuse() { # CODE
  stop "$1" "The server's challenge $(challenge_fault "$1"): it gets no answer."
}

challenge_fault() {
  case $1 in
    challenge-header) echo 'does not have the one header that a challenge has' ;;
    challenge-key) echo 'is signed by a key that the TUF root does not name' ;;
    challenge-signature) echo 'does not carry a valid signature of the grant key' ;;
    challenge-purpose) echo 'is for another purpose than was asked for' ;;
    challenge-ak) echo 'is for another attestation key' ;;
    challenge-pcrs) echo 'asks for fewer PCRs than prove this boot' ;;
    challenge-expired) echo "has expired by this machine's clock" ;;
    challenge-server-key) echo 'does not name the key of this connection: someone may stand in between' ;;
    *) echo 'is not a challenge that this agent can read without doubt' ;;
  esac
}
