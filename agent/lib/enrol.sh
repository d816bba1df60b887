# shellcheck shell=sh
# Enrolment (DESIGN journey 2): the TPM proves that EK and AK live in the same chip, and shows what it has
# booted; whether the machine belongs here is for the server's lists or an operator to say.

enrol() {
  enrolment=$BOOTWARD_RUN/enrolment
  mkdir -p "$enrolment"
  say "The server does not know this machine yet: enrolling it."
  say "Its EK fingerprint, to compare with what the operator sees: $ek_fingerprint"
  enrol_request
  challenge_open "$enrolment/offer" enrol
  enrol_activate
  enrol_await
}

enrol_request() {
  enrol_certificate=
  [ ! -e "$ek_certificate" ] || enrol_certificate=",\"certificate\":\"$(base64_of "$ek_certificate")\""
  printf '{"eks":[{"public":"%s"%s}],"akPublic":"%s","hints":{"mac":"%s","serial":"%s","product":"%s"}}' \
    "$(base64_of "$tpm/ek.pub")" "$enrol_certificate" "$(base64_of "$tpm/ak.pub")" \
    "$(enrol_hint /sys/class/net/[!l]*/address)" "$(enrol_hint /sys/class/dmi/id/product_serial)" \
    "$(enrol_hint /sys/class/dmi/id/product_name)" >"$enrolment/request"
  http_json POST /v1/enrolments "$enrolment/offer" "$enrolment/request"
  http_require 201 "the enrolment"
  # One credential, for the one EK that was shown.
  jq -er --arg fingerprint "$ek_fingerprint" 'select(.id | test("^[A-Za-z0-9_-]{1,64}\\z")) | .id as $id
    | .credentials | select(length == 1 and .[0].ekFingerprint == $fingerprint) | .[0]
    | "\($id) \(.credentialBlob) \(.encryptedSecret)"' "$enrolment/offer" >"$enrolment/credential" 2>/dev/null ||
    enrol_not_understood
  read -r enrolment_id enrol_blob enrol_secret <"$enrolment/credential"
  if ! base64_decode "$enrol_blob" "$enrolment/blob" || ! base64_decode "$enrol_secret" "$enrolment/encrypted-secret"; then
    enrol_not_understood
  fi
}

# Hints help a person to find the machine. They prove nothing. The first file that can be read; no
# characters that JSON would want escaped.
enrol_hint() { # FILE...
  for hint in "$@"; do
    if [ -r "$hint" ]; then
      plain "$(head -c 64 "$hint")" | tr -d '"\\'
      return
    fi
  done
}

enrol_activate() {
  tpm_activate "$enrolment/blob" "$enrolment/encrypted-secret" "$enrolment/secret"
  evidence_make "$enrolment/evidence"
  {
    printf '{"secrets":[{"ekFingerprint":"%s","secret":"%s"}],"evidence":' "$ek_fingerprint" "$(base64_of "$enrolment/secret")"
    cat "$enrolment/evidence"
    printf '}'
  } >"$enrolment/activation"
  rm -f "$enrolment/secret"
  http_json POST "/v1/enrolments/$enrolment_id/activation" "$enrolment/answer" "$enrolment/activation"
  [ "$http_status" != 403 ] || attest_refused
  http_require 200 "the activation"
  node_id=$(sed -n 's/^.*"nodeId": *"\(n-[0-9a-f]*\)".*$/\1/p' "$enrolment/answer")
  enrol_read_state
}

# Of the activation, or of a later question. Without a word about when to ask again: in a while.
enrol_read_state() {
  jq -er --argjson otherwise "$retry_max_seconds" '"\(.state | select(. == "enrolled" or . == "pending" or . == "rejected"))
    \(.retryAfterSeconds // $otherwise | floor | select(. >= 1 and . <= 3600))"' "$enrolment/answer" \
    >"$enrolment/state" 2>/dev/null || enrol_not_understood
  { read -r enrolment_state && read -r enrol_delay; } <"$enrolment/state"
  mark enrol "state=$enrolment_state" "node=$node_id" "ek=$ek_fingerprint"
}

# A pending node asks again until an operator has decided; the server says how often.
enrol_await() {
  enrol_deadline=$(($(uptime_seconds) + pending_seconds))
  while [ "$enrolment_state" = pending ]; do
    [ "$(uptime_seconds)" -lt "$enrol_deadline" ] ||
      stop enrolment-pending "Nobody approved this machine within $pending_seconds seconds."
    say "Waiting for an operator to approve $node_id (boot-admin nodes approve $node_id)."
    sleep "$(jittered "$enrol_delay")"
    http GET "/v1/enrolments/$enrolment_id" "$MAX_REPLY_BYTES" "$enrolment/answer"
    http_require 200 "the state of the enrolment"
    enrol_read_state
  done
  [ "$enrolment_state" = enrolled ] || stop enrolment-rejected "An operator has rejected this machine."
}

enrol_not_understood() {
  stop answer-malformed "The server's answer to the enrolment is not what this agent understands."
}
