# shellcheck shell=sh
# Evidence: what this machine is and has run so far, bound to one challenge (docs/protocol.md, Claims and
# Evidence). Everything that goes into JSON here is hex, base64 or a number, so it needs no escapes.

EVENT_LOG=/sys/kernel/security/tpm0/binary_bios_measurements

# evidence_make OUT: answers the challenge that is open.
evidence_make() {
  evidence=$BOOTWARD_RUN/evidence
  mkdir -p "$evidence"
  evidence_read_event_log
  evidence_write_claims
  evidence_extra=$(evidence_extra_data)
  ak_sign_evidence "$evidence_extra"
  tpm_read_pcrs "$challenge_pcrs"
  {
    printf '{"challenge":"%s","claims":"%s","attest":"%s","signature":"%s","pcrs":{"sha256":{%s}}' "$challenge" \
      "$(base64_of "$evidence/claims")" "$(base64_of_hex "$evidence_attest")" "$(base64_of_hex "$evidence_signature")" "$pcr_values"
    [ ! -s "$evidence/eventlog" ] || printf ',"eventLog":"%s"' "$(base64_of "$evidence/eventlog")"
    [ -z "$floor_attest" ] || printf ',"floor":{"attest":"%s","signature":"%s","contents":"%s"}' \
      "$(base64_of_hex "$floor_attest")" "$(base64_of_hex "$floor_signature")" "$(base64_of_hex "$floor_certified")"
    [ -z "$evidence_report" ] || printf ',"report":"%s"' "$(base64_of "$evidence_report")"
    printf '}'
  } >"$1"
  mark evidence "purpose=$challenge_purpose" "pcrs=$challenge_pcrs" "event-log-bytes=$(size_of "$evidence/eventlog")"
}

# The file claims to have no size: cat reads it. Firmware without a TPM driver leaves none at all.
evidence_read_event_log() {
  cat "${BOOTWARD_EVENT_LOG:-$EVENT_LOG}" >"$evidence/eventlog" 2>/dev/null || : >"$evidence/eventlog"
}

evidence_write_claims() {
  evidence_report=
  case $challenge_purpose in boot | health) evidence_report=$report ;; esac
  {
    printf '{"purpose":"%s","serverKey":"%s","ekFingerprint":"%s","ephemeralKey":"%s","eventLogSha256":"%s","stage0Build":%s' \
      "$challenge_purpose" "$server_key" "$ek_fingerprint" "$(certificate_key "$ephemeral_cert")" \
      "$(sha256_of "$evidence/eventlog")" "$stage0_build"
    [ -z "$claim_health" ] || printf ',"health":"%s"' "$claim_health"
    [ -z "$evidence_report" ] || printf ',"reportSha256":"%s"' "$(sha256_of "$evidence_report")"
    printf '}'
  } >"$evidence/claims"
}

# SHA-256("bootward evidence v1" NUL, SHA-256(challenge), SHA-256(claims))
evidence_extra_data() {
  {
    printf 'bootward evidence v1\000'
    printf '%s' "$challenge" | openssl dgst -sha256 -binary
    openssl dgst -sha256 -binary <"$evidence/claims"
  } | sha256sum | cut -c 1-64
}
