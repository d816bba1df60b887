# shellcheck shell=sh
# The TPM by tpm2-tools: what it is, and its PCRs. Its attestation key is in ak.sh, its endorsement keys are in ek.sh.
# Part and section numbers are those of the TPM 2.0 Library Specification.

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

# PCR 14 tells a boot that has not handed over from everything after it. Prints 64 digits or nothing.
tpm_pcr14() {
  tpm pcrread sha256:14 | sed -n 's/^ *14 *: 0x\([0-9A-Fa-f]\{64\}\)$/\1/p' | tr 'A-F' 'a-f'
}

tpm_extend_pcr14() { # DIGEST_HEX
  tpm pcrextend "14:sha256=$1"
}
