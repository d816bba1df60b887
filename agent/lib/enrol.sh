# shellcheck shell=sh
# Enrolment (DESIGN journey 2): the TPM proves that EK and AK live in the same chip, and shows what it has
# booted; whether the machine belongs here is for the server's lists or an operator to say.

enrol() {
  enrolment=$BOOTWARD_RUN/enrolment
  mkdir -p "$enrolment"
  say "The server does not know this machine yet: enrolling it."
  say "Its EK fingerprint, to compare with what the operator sees: $(ek_words "$ek_fingerprint")"
  ek_load_all
  token_load
  enrol_present
  enrol_await
  token_forget
}

# Shows the TPM's keys and opens the server's credentials. A token that the server does not take is dropped,
# and the machine goes on as one that has none: so this ends.
enrol_present() {
  until enrol_request && enrol_activate; do
    say "The server does not take the enrolment token, going on without it: $problem_detail"
    mark token-refused "code=$problem_code"
    token_forget
  done
}

# Fails when the server refuses the token; else it returns only with credentials.
enrol_request() {
  enrol_write_request >"$enrolment/request"
  http_json POST /v1/enrolments "$enrolment/offer" "$enrolment/request"
  rm -f "$enrolment/request"
  enrol_answered 201 "the enrolment" || return
  enrol_read_offer
  challenge_open "$enrolment/offer" enrol
}

enrol_write_request() {
  printf '{"eks":['
  enrol_separator=
  for enrol_index in $eks; do
    printf '%s{"public":"%s"' "$enrol_separator" "$(base64_of "$tpm/ek-$enrol_index/public")"
    [ ! -e "$tpm/ek-$enrol_index/certificate" ] ||
      printf ',"certificate":"%s"' "$(base64_of "$tpm/ek-$enrol_index/certificate")"
    printf '}'
    enrol_separator=,
  done
  printf '],"akPublic":"%s","hints":{"mac":"%s","serial":"%s","product":"%s"}' "$(base64_of_hex "$ak_public")" \
    "$(enrol_hint /sys/class/net/[!l]*/address)" "$(enrol_hint /sys/class/dmi/id/product_serial)" \
    "$(enrol_hint /sys/class/dmi/id/product_name)"
  enrol_manufacturer=$(tpm_manufacturer)
  [ -z "$enrol_manufacturer" ] || printf ',"tpmManufacturer":"%s"' "$enrol_manufacturer"
  [ -z "$enrolment_token" ] || printf ',"token":"%s"' "$enrolment_token"
  printf '}'
}

# enrol_answered STATUS WHAT: fails when the token is refused; any other refusal ends the attempt.
enrol_answered() {
  http_answered "$2"
  [ "$http_status" != "$1" ] || return 0
  http_problem
  case $http_status-$problem_code in
    403-evidence-* | 403-enrolment-held) attest_refused "$2" ;;
    403-token-refused) [ -z "$enrolment_token" ] || return 1 ;;
  esac
  http_refused "$2"
}

# One credential for each EK that was shown, and for no other: in $enrolment/credentials, in their order.
enrol_read_offer() {
  enrol_fingerprints=
  for enrol_index in $eks; do
    enrol_fingerprints="$enrol_fingerprints $(ek_fact "$enrol_index" fingerprint)"
  done
  jq -er --arg shown "${enrol_fingerprints# }" '($shown | split(" ")) as $shown
    | select(.id | test("^[A-Za-z0-9_-]{1,64}\\z")) | .credentials as $credentials
    | select($credentials | map(.ekFingerprint) | sort == ($shown | sort))
    | def word: select(test("^[A-Za-z0-9+/=]+\\z"));
      .id, ($shown[] as $one | $credentials[] | select(.ekFingerprint == $one)
        | "\(.credentialBlob | word) \(.encryptedSecret | word)")' \
    "$enrolment/offer" >"$enrolment/credentials" 2>/dev/null || enrol_not_understood
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

# Fails like enrol_request.
enrol_activate() {
  enrol_open_credentials
  evidence_make "$enrolment/evidence"
  {
    printf '{"secrets":[%s],"evidence":' "$enrol_secrets"
    cat "$enrolment/evidence"
    printf '}'
  } >"$enrolment/activation"
  http_json POST "/v1/enrolments/$enrolment_id/activation" "$enrolment/answer" "$enrolment/activation"
  rm -f "$enrolment/activation"
  enrol_answered 200 "the activation" || return
  node_id=$(sed -n 's/^.*"nodeId": *"\(n-[0-9a-f]*\)".*$/\1/p' "$enrolment/answer")
  enrol_read_state
}

# Sets enrolment_id and enrol_secrets, the members of a JSON list.
enrol_open_credentials() {
  enrol_secrets=
  {
    read -r enrolment_id
    for enrol_index in $eks; do
      read -r enrol_blob enrol_secret || enrol_not_understood
      if ! base64_decode "$enrol_blob" "$enrolment/blob" || ! base64_decode "$enrol_secret" "$enrolment/encrypted"; then
        enrol_not_understood
      fi
      ek_activate "$enrol_index" "$enrolment/blob" "$enrolment/encrypted" "$enrolment/secret"
      enrol_secrets="$enrol_secrets${enrol_secrets:+,}{\"ekFingerprint\":\"$(ek_fact "$enrol_index" fingerprint)\",\"secret\":\"$(base64_of "$enrolment/secret")\"}"
      rm -f "$enrolment/secret"
    done
  } <"$enrolment/credentials"
}

# Of the activation, or of a later question. Without a word about when to ask again: in a while.
enrol_read_state() {
  jq -er --argjson otherwise "$retry_max_seconds" '"\(.state | select(. == "enrolled" or . == "pending" or . == "rejected"))
    \(.retryAfterSeconds // $otherwise | floor | select(. >= 1 and . <= 3600))"' "$enrolment/answer" \
    >"$enrolment/state" 2>/dev/null || enrol_not_understood
  { read -r enrolment_state && read -r enrol_delay; } <"$enrolment/state"
  mark enrol "state=$enrolment_state" "node=$node_id" "ek=$ek_fingerprint"
}

# A pending node asks again until an operator has decided; the server says how often. A token that is typed
# meanwhile is an enrolment of its own, of the same keys.
enrol_await() {
  enrol_deadline=$(($(uptime_seconds) + pending_seconds))
  [ "$enrolment_state" != pending ] || token_invite
  while [ "$enrolment_state" = pending ]; do
    [ "$(uptime_seconds)" -lt "$enrol_deadline" ] ||
      stop enrolment-pending "Nobody approved this machine within $pending_seconds seconds."
    say "Waiting for an operator to approve $node_id (boot-admin nodes approve $node_id)."
    token_wait "$(jittered "$enrol_delay")"
    if [ -n "$enrolment_token" ]; then enrol_present; else enrol_ask_state; fi
  done
  token_uninvite
  [ "$enrolment_state" = enrolled ] || stop enrolment-rejected "An operator has rejected this machine."
}

enrol_ask_state() {
  http GET "/v1/enrolments/$enrolment_id" "$MAX_REPLY_BYTES" "$enrolment/answer"
  http_require 200 "the state of the enrolment"
  enrol_read_state
}

enrol_not_understood() {
  stop answer-malformed "The server's answer to the enrolment is not what this agent understands."
}
