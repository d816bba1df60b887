# shellcheck shell=sh
# Evidence: what this machine is and has run so far, bound to one challenge (docs/protocol.md, Claims and
# Evidence). It stands in JSON with the very bytes that were hashed.

EVENT_LOG=/sys/kernel/security/tpm0/binary_bios_measurements

# evidence_make OUT: answers the challenge that is open.
evidence_make() {
  evidence=$BOOTWARD_RUN/evidence
  mkdir -p "$evidence"
  evidence_read_event_log
  evidence_write_claims
  tpm_quote "$challenge_pcrs" "$(evidence_extra_data)" "$evidence/attest" "$evidence/signature"
  tpm_read_pcrs "$challenge_pcrs" "$evidence/pcrs"
  for part in claims attest signature eventlog; do base64_of "$evidence/$part" >"$evidence/$part.b64"; done
  jq -cjn --arg challenge "$challenge" --rawfile claims "$evidence/claims.b64" \
    --rawfile attest "$evidence/attest.b64" --rawfile signature "$evidence/signature.b64" \
    --slurpfile pcrs "$evidence/pcrs" --rawfile eventLog "$evidence/eventlog.b64" \
    '{$challenge, $claims, $attest, $signature, pcrs: {sha256: $pcrs[0]}}
      + if $eventLog == "" then {} else {$eventLog} end' >"$1"
  mark evidence "purpose=$challenge_purpose" "pcrs=$challenge_pcrs" "event-log-bytes=$(size_of "$evidence/eventlog")"
}

# The file claims to have no size: cat reads it. Firmware without a TPM driver leaves none at all.
evidence_read_event_log() {
  cat "${BOOTWARD_EVENT_LOG:-$EVENT_LOG}" >"$evidence/eventlog" 2>/dev/null || : >"$evidence/eventlog"
}

evidence_write_claims() {
  openssl x509 -in "$ephemeral_cert" -noout -pubkey | openssl pkey -pubin -outform DER -out "$evidence/ephemeral.der"
  printf '{"purpose":"%s","serverKey":"%s","ekFingerprint":"%s","ephemeralKey":"%s","eventLogSha256":"%s","stage0Build":%s}' \
    "$challenge_purpose" "$server_key" "$ek_fingerprint" "$(base64_of "$evidence/ephemeral.der")" \
    "$(sha256_of "$evidence/eventlog")" "$stage0_build" >"$evidence/claims"
}

# SHA-256("bootward evidence v1" NUL, SHA-256(challenge), SHA-256(claims))
evidence_extra_data() {
  {
    printf 'bootward evidence v1\000'
    printf '%s' "$challenge" | openssl dgst -sha256 -binary
    openssl dgst -sha256 -binary <"$evidence/claims"
  } | sha256sum | cut -c 1-64
}
