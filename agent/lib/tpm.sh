# shellcheck shell=sh
# The TPM: EK, AK, PCRs and quotes, by tpm2-tools. Part and section numbers are those of the TPM 2.0
# Library Specification; EK templates and NV indices those of the TCG EK Credential Profile 2.5.

EK_PERSISTENT=0x81010001
EK_CERTIFICATE_NV=0x01c00002
AK_GENERATION=1
AK_ATTRIBUTES='restricted|sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda'
PCR_ZERO=0000000000000000000000000000000000000000000000000000000000000000

# tpm COMMAND ARGUMENT...: what it complains of is kept for the console.
tpm() {
  tpm2 "$@" 2>"$BOOTWARD_RUN/tpm.log"
}

tpm_require() { # WORDS COMMAND ARGUMENT...
  tpm_purpose=$1
  shift
  tpm "$@" || stop tpm-failed "The TPM does not $tpm_purpose: $(tail -n 1 "$BOOTWARD_RUN/tpm.log")"
}

# A resource manager flushes by itself; a bare TPM has room for three objects.
tpm_flush() {
  case $TPM2TOOLS_TCTI in device:*rm*) ;; *) tpm flushcontext -t ;; esac
}

tpm_prepare() {
  tpm=$BOOTWARD_RUN/tpm
  mkdir -p "$tpm"
  tpm getcap properties-variable >"$tpm/properties" ||
    stop tpm-missing "There is no usable TPM 2.0 here: $(tail -n 1 "$BOOTWARD_RUN/tpm.log")"
  ! grep -q '^ *endorsementAuthSet: *1$' "$tpm/properties" || stop endorsement-auth-set \
    "The TPM's endorsement hierarchy has a password. This agent keeps none: clear it, or have it emptied."
}

# The RSA-2048 EK of template L-1 (B.3.3), as its maker left it if that is the certified key, else made
# from the template, which gives the same key again. Sets ek_context and ek_fingerprint.
tpm_load_ek() {
  tpm_read_ek_certificate
  ek_context=$EK_PERSISTENT
  if ! tpm readpublic -Q -c "$ek_context" -f der -o "$tpm/ek.der" || ! tpm_ek_is_certified; then
    ek_context=$tpm/ek.ctx
    tpm_require 'make its endorsement key' createek -Q -c "$ek_context" -G rsa -u "$tpm/ek.pub"
    tpm_flush
    tpm_require 'show its endorsement key' readpublic -Q -c "$ek_context" -f der -o "$tpm/ek.der"
    tpm_flush
  fi
  tpm_require 'show its endorsement key' readpublic -Q -c "$ek_context" -o "$tpm/ek.pub"
  tpm_flush
  ek_fingerprint=$(sha256_of "$tpm/ek.der")
}

# The certificate is as NV holds it, padding and all; the server reads it. No file when there is none.
tpm_read_ek_certificate() {
  ek_certificate=$tpm/ek-certificate.der
  rm -f "$ek_certificate"
  tpm getcap handles-nv-index | grep -qix -- "- 0x0*${EK_CERTIFICATE_NV#0x0}" || return 0
  tpm nvread -C "$EK_CERTIFICATE_NV" -o "$ek_certificate" "$EK_CERTIFICATE_NV" >/dev/null ||
    say "The EK certificate cannot be read ($(tail -n 1 "$BOOTWARD_RUN/tpm.log")): going on without it."
  [ -s "$ek_certificate" ] || rm -f "$ek_certificate"
}

tpm_ek_is_certified() {
  [ -e "$ek_certificate" ] && [ "$(certificate_key "$ek_certificate" -inform DER)" = "$(base64_of "$tpm/ek.der")" ]
}

# The AK: a primary key of the endorsement hierarchy, the same at each boot, so that nothing is stored.
# Sets ak_context and ak_name. tpm2-tools takes `unique` as a TPMS_ECC_POINT in its own memory layout:
# little-endian length and 128 bytes, for x and for y; y stays empty.
tpm_load_ak() {
  ak_context=$tpm/ak.ctx
  {
    printf '\040\000'
    printf 'bootward ak v1%s' "$AK_GENERATION" | openssl dgst -sha256 -binary
    head -c 226 /dev/zero
  } >"$tpm/ak.unique"
  tpm_require 'make the attestation key' createprimary -Q -C e -G ecc256:ecdsa-sha256:null \
    -a "$AK_ATTRIBUTES" -u "$tpm/ak.unique" -c "$ak_context"
  tpm_flush
  tpm_require 'show the attestation key' readpublic -Q -c "$ak_context" -o "$tpm/ak.pub" -n "$tpm/ak.name"
  tpm_flush
  ak_name=$(hex_of "$tpm/ak.name")
}

# tpm_activate CREDENTIAL_BLOB ENCRYPTED_SECRET OUT: TPM2_ActivateCredential (Part 3, 12.5). tpm2-tools
# wants both in one file behind a magic number and a version.
tpm_activate() {
  { printf '\272\334\300\336\000\000\000\001' && cat "$1" "$2"; } >"$tpm/credential"
  tpm_require 'start a policy session' startauthsession --policy-session -S "$tpm/session.ctx"
  if tpm policysecret -Q -S "$tpm/session.ctx" -c e >/dev/null &&
    tpm activatecredential -Q -c "$ak_context" -C "$ek_context" -i "$tpm/credential" -o "$3" \
      -P "session:$tpm/session.ctx"; then
    tpm_activated=yes
  else
    tpm_activated=no tpm_refusal=$(tail -n 1 "$BOOTWARD_RUN/tpm.log")
  fi
  tpm flushcontext "$tpm/session.ctx"
  tpm_flush
  [ "$tpm_activated" = yes ] || stop credential-refused \
    "The TPM does not open the server's credential, it was made for another key: $tpm_refusal"
}

# tpm_read_pcrs LIST: sets pcr_values to the members of a JSON object, "0":"hex", ...; LIST is 0,1,2.
tpm_read_pcrs() {
  tpm_require 'show its PCRs' pcrread "sha256:$1" >"$tpm/pcrs.upper"
  tr 'A-F' 'a-f' <"$tpm/pcrs.upper" >"$tpm/pcrs.txt"
  pcr_values='' pcr_list=
  while IFS=' :' read -r pcr_index pcr_value; do
    [ "$pcr_index" != sha256 ] || continue
    pcr_value=${pcr_value#0x}
    is_count "$pcr_index" && is_hex "$pcr_value" 64 || tpm_pcrs_unreadable
    pcr_list=$pcr_list,$pcr_index pcr_values="$pcr_values,\"$pcr_index\":\"$pcr_value\""
  done <"$tpm/pcrs.txt"
  [ "$pcr_list" = ",$1" ] || tpm_pcrs_unreadable
  pcr_values=${pcr_values#,}
}

tpm_pcrs_unreadable() {
  stop pcr-unreadable "The TPM shows its PCRs in a way that this agent does not understand."
}

# tpm_quote LIST EXTRA_DATA_HEX ATTEST_OUT SIGNATURE_OUT
tpm_quote() {
  tpm_require 'quote its PCRs' quote -Q -c "$ak_context" -g sha256 -l "sha256:$1" -q "$2" -m "$3" -s "$4" \
    >/dev/null
  tpm_flush
}

# PCR 14 tells a boot that has not handed over from everything after it. Prints 64 digits or nothing.
tpm_pcr14() {
  tpm pcrread sha256:14 | sed -n 's/^ *14 *: 0x\([0-9A-Fa-f]\{64\}\)$/\1/p' | tr 'A-F' 'a-f'
}

tpm_extend_pcr14() { # DIGEST_HEX
  tpm pcrextend "14:sha256=$1"
}
