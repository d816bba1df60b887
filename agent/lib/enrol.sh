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
  tpm_read_ek_certificate
  : >"$enrolment/certificate.b64"
  [ ! -e "$ek_certificate" ] || base64_of "$ek_certificate" >"$enrolment/certificate.b64"
  jq -cjn --arg public "$(base64_of "$tpm/ek.pub")" --rawfile certificate "$enrolment/certificate.b64" \
    --arg akPublic "$(base64_of "$tpm/ak.pub")" --argjson hints "$(enrol_hints)" \
    '{eks: [{$public} + if $certificate == "" then {} else {$certificate} end], $akPublic, $hints}' >"$enrolment/request"
  http_json POST /v1/enrolments "$enrolment/offer" "$enrolment/request"
  http_require 201 "the enrolment"
  enrolment_id=$(jq -er '.id | strings' "$enrolment/offer" 2>/dev/null) || enrolment_id=
  case $enrolment_id in '' | *[!A-Za-z0-9_-]*) enrol_not_understood ;; esac
}

# Hints help a person to find the machine. They prove nothing.
enrol_hints() {
  jq -cn --arg mac "$(enrol_hint /sys/class/net/[!l]*/address)" \
    --arg serial "$(enrol_hint /sys/class/dmi/id/product_serial)" \
    --arg product "$(enrol_hint /sys/class/dmi/id/product_name)" \
    '{$mac, $serial, $product} | with_entries(select(.value != ""))'
}

enrol_hint() { # FILE...: the first one that can be read
  for hint in "$@"; do
    if [ -r "$hint" ] && plain "$(head -c 64 "$hint")"; then return; fi
  done
}

# One credential, for the one EK that was shown.
enrol_activate() {
  jq -ce --arg fingerprint "$ek_fingerprint" '.credentials | select(length == 1) | .[0]
    | select(.ekFingerprint == $fingerprint)' "$enrolment/offer" >"$enrolment/credential" 2>/dev/null || enrol_not_understood
  if ! base64_decode "$(jq -r '.credentialBlob' "$enrolment/credential")" "$enrolment/blob" ||
    ! base64_decode "$(jq -r '.encryptedSecret' "$enrolment/credential")" "$enrolment/encrypted-secret"; then
    enrol_not_understood
  fi
  tpm_activate "$enrolment/blob" "$enrolment/encrypted-secret" "$enrolment/secret"
  evidence_make "$enrolment/evidence"
  jq -cjn --arg ekFingerprint "$ek_fingerprint" --arg secret "$(base64_of "$enrolment/secret")" \
    --slurpfile evidence "$enrolment/evidence" \
    '{secrets: [{$ekFingerprint, $secret}], evidence: $evidence[0]}' >"$enrolment/activation"
  rm -f "$enrolment/secret"
  http_json POST "/v1/enrolments/$enrolment_id/activation" "$enrolment/answer" "$enrolment/activation"
  [ "$http_status" != 403 ] || attest_refused
  http_require 200 "the activation"
  enrol_show_answer
}

enrol_show_answer() {
  enrolment_state=$(jq -er '.state | strings' "$enrolment/answer" 2>/dev/null) || enrol_not_understood
  case $enrolment_state in enrolled | pending) ;; *) enrol_not_understood ;; esac
  node_id=$(jq -er '.nodeId | select(test("^n-[0-9a-f]{20}$"))' "$enrolment/answer" 2>/dev/null) || enrol_not_understood
  mark enrol "state=$enrolment_state" "node=$node_id" "ek=$ek_fingerprint"
}

# A pending node asks again until an operator has decided; the server says how often.
enrol_await() {
  enrol_deadline=$(($(uptime_seconds) + pending_seconds))
  while [ "$enrolment_state" = pending ]; do
    [ "$(uptime_seconds)" -lt "$enrol_deadline" ] ||
      stop enrolment-pending "Nobody approved this machine within $pending_seconds seconds."
    enrol_delay=$(jq -er '.retryAfterSeconds | numbers | floor | select(. >= 1 and . <= 3600)' "$enrolment/answer" 2>/dev/null) ||
      enrol_delay=$retry_max_seconds
    say "Waiting for an operator to approve $node_id (boot-admin nodes approve $node_id)."
    sleep "$(jittered "$enrol_delay")"
    http GET "/v1/enrolments/$enrolment_id" "$MAX_REPLY_BYTES" "$enrolment/answer"
    http_require 200 "the state of the enrolment"
    enrolment_state=$(jq -er '.state | strings' "$enrolment/answer" 2>/dev/null) || enrol_not_understood
    mark enrol "state=$(printf '%s' "$enrolment_state" | tr -cd 'a-z' | cut -c 1-16)" "node=$node_id"
  done
  case $enrolment_state in
    enrolled) ;;
    rejected) stop enrolment-rejected "An operator has rejected this machine." ;;
    *) enrol_not_understood ;;
  esac
}

enrol_not_understood() {
  stop answer-malformed "The server's answer to the enrolment is not what this agent understands."
}
