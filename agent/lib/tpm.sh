# shellcheck shell=sh
# The TPM: AK, PCRs and quotes, by tpm2-tools; its endorsement keys are in ek.sh. Part and section numbers
# are those of the TPM 2.0 Library Specification.

MAX_AK_GENERATION=1000000
AK_ATTRIBUTES='restricted|sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda'
PCR_ZERO=0000000000000000000000000000000000000000000000000000000000000000

# tpm COMMAND ARGUMENT...: what it complains of is kept for the console.
tpm() {
  tpm2 "$@" 2>"$BOOTWARD_RUN/tpm.log"
}

# The line that names the TPM's own answer, if there is one.
tpm_complaint() {
  { grep '^ERROR: Esys_' "$BOOTWARD_RUN/tpm.log" || cat "$BOOTWARD_RUN/tpm.log"; } | tail -n 1
}

tpm_require() { # WORDS COMMAND ARGUMENT...
  tpm_purpose=$1
  shift
  tpm "$@" || stop tpm-failed "The TPM does not $tpm_purpose: $(tpm_complaint)"
}

# A resource manager flushes by itself; a bare TPM has room for three objects.
tpm_flush() {
  case $TPM2TOOLS_TCTI in device:*rm*) ;; *) tpm flushcontext -t ;; esac
}

# Eight hex digits, or nothing: TPM2_PT_MANUFACTURER as the TPM itself says it (Part 2, 6.13).
tpm_manufacturer() {
  tpm getcap properties-fixed | sed -n '/^TPM2_PT_MANUFACTURER:/{n;s/^ *raw: *0x\([0-9A-Fa-f]\{8\}\)$/\1/p;}' | tr 'A-F' 'a-f'
}

tpm_prepare() {
  tpm=$BOOTWARD_RUN/tpm
  mkdir -p "$tpm"
  tpm getcap properties-variable >"$tpm/properties" ||
    stop tpm-missing "There is no usable TPM 2.0 here: $(tpm_complaint)"
  ! grep -q '^ *endorsementAuthSet: *1$' "$tpm/properties" || stop endorsement-auth-set \
    "The TPM's endorsement hierarchy has a password. This agent keeps none: clear it, or have it emptied."
}

# Into a file, in lower case. An answer that did not come is not an empty list: it would mean a machine without a
# floor. Not in a command substitution, which it could not end.
tpm_list_nv_indices() {
  tpm_require 'list its NV indices' getcap handles-nv-index >"$tpm/nv-indices.upper"
  tr 'A-F' 'a-f' <"$tpm/nv-indices.upper" >"$tpm/nv-indices"
}

# tpm_load_ak GENERATION: the AK, a primary key of the endorsement hierarchy, the same at each boot, so that
# nothing is stored. Sets ak_generation, ak_context and ak_name. tpm2-tools take `unique` as a TPMS_ECC_POINT
# in its memory layout: little-endian length and 128 bytes, for x and for y; y stays empty.
tpm_load_ak() {
  ak_generation=$1 ak_context=$tpm/ak.ctx
  {
    printf '\040\000'
    printf 'bootward ak v1%s' "$ak_generation" | openssl dgst -sha256 -binary
    head -c 226 /dev/zero
  } >"$tpm/ak.unique"
  tpm_require 'make the attestation key' createprimary -Q -C e -G ecc256:ecdsa-sha256:null \
    -a "$AK_ATTRIBUTES" -u "$tpm/ak.unique" -c "$ak_context"
  tpm_flush
  tpm_require 'show the attestation key' readpublic -Q -c "$ak_context" -o "$tpm/ak.pub" -n "$tpm/ak.name"
  tpm_flush
  ak_name=$(hex_of "$tpm/ak.name")
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
