# shellcheck shell=sh
# The attestation key, and what it signs. It is a primary key of the endorsement hierarchy, the same at each boot, so
# that nothing is stored: P-256, restricted, made from `unique`.x of SHA-256(`bootward ak v1` and the generation).

MAX_AK_GENERATION=1000000
AK_ATTRIBUTES='restricted|sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda'
# TPMT_PUBLIC up to unique.x: ECC, SHA-256, those attributes, no policy, no symmetric algorithm, ECDSA with SHA-256
AK_TEMPLATE=0023000b00050472000000100018000b00030010
# TPM2_CreatePrimary in the endorsement hierarchy, with no secret of ours (Part 3, 24.1)
AK_MAKING=8002000001314000000b${WIRE_NO_PASSWORD}000400000000

# ak_load GENERATION: in an open conversation; sets ak_generation, ak_name, ak_public (TPM2B_PUBLIC) and ak_saved (TPMS_CONTEXT), hex.
ak_load() {
  ak_generation=$1
  ak_unique=$(printf 'bootward ak v1%s' "$ak_generation" | sha256sum)
  ak_unique=${ak_unique%% *}
  ak_ask 'make the attestation key' "${AK_MAKING}0038${AK_TEMPLATE}0020${ak_unique}0000000000000000"
  ak_rest=${wire_answers# ????????????????}
  ak_handle=${wire_answers# }
  ak_handle=${ak_handle%"${ak_handle#????????}"}
  # It says what it made (24.1.2): TPM2B_PUBLIC with both coordinates first, the Name last.
  # Some TPMs leave out the zeros that a coordinate begins with.
  ak_public=$(printf "%.$((0x${ak_rest%"${ak_rest#????}"} * 2 + 4))s" "$ak_rest")
  ak_name=$(last_of 72 "${ak_rest%0000??0000}")
  case $ak_public-$ak_name in
    00??"$AK_TEMPLATE"*-0022000b*) ak_name=${ak_name#0022} ;;
    *) stop tpm-failed "The TPM makes another attestation key than it was asked for." ;;
  esac
  ak_ask 'save the attestation key' "800100000162$ak_handle" "800100000165$ak_handle"
  ak_saved=${wire_answers# }
  ak_saved=${ak_saved%% *}
}

# ak_sign_evidence EXTRA_DATA_HEX: the quote of $challenge_pcrs, and what the TPM says of the floor record, where there
# is one to be shown (TPM2_Quote, TPM2_NV_Certify: Part 3, 18.4 and 31.16). Sets evidence_attest, evidence_signature,
# floor_attest (empty: none), floor_signature and floor_certified, hex.
ak_sign_evidence() {
  floor_attest='' ak_extra=0020$1
  wire_open
  ak_ask 'load the attestation key' "800100000161$ak_saved"
  ak_handle=${wire_answers# }
  ak_ask 'quote its PCRs' "800200000158$ak_handle${WIRE_NO_PASSWORD}${ak_extra}0010$(ak_select "$challenge_pcrs")"
  ak_take_signed 10
  evidence_attest=$ak_attest evidence_signature=$ak_signature
  ! floor_is_shown || ak_certify_floor
  ak_ask 'drop the attestation key' "800100000165$ak_handle"
  wire_close
}

# A record whose kind is not known may be something else, which does not let itself be certified.
ak_certify_floor() {
  ak_password=${WIRE_NO_PASSWORD#00000009}
  ak_certifying=800200000184$ak_handle$FLOOR_INDEX${FLOOR_INDEX}00000012$ak_password$ak_password
  if wire_ask "$ak_certifying${ak_extra}001000400000"; then
    ak_take_signed 20
    floor_attest=$ak_attest floor_signature=$ak_signature
    # TPMS_NV_CERTIFY_INFO ends with the contents (Part 2, 10.12.10).
    floor_certified=$(last_of $((FLOOR_BYTES * 2)) "$ak_attest")
  elif [ "$floor_state" != unpinned ] || [ -z "$wire_code" ] || wire_is_later; then
    floor_unreadable "$(wire_complaint)"
  fi
}

# ak_take_signed DIGITS: a TPM2B_ATTEST and a TPMT_SIGNATURE, between the size of both and an authorization area of so
# many digits. Sets ak_attest and ak_signature.
ak_take_signed() {
  ak_rest=${wire_answers# ????????}
  ak_size=$((0x${ak_rest%"${ak_rest#????}"} * 2))
  ak_rest=${ak_rest#????}
  ak_attest=$(printf "%.${ak_size}s" "$ak_rest")
  ak_signature=${ak_rest#"$ak_attest"}
  ak_signature=$(printf "%.$((${#ak_signature} - $1))s" "$ak_signature")
}

# TPML_PCR_SELECTION of the SHA-256 bank (Part 2, 10.9.7). LIST is 0,1,2.
ak_select() { # LIST
  ak_pcrs=0 ak_rest=$1,
  while [ -n "$ak_rest" ]; do
    ak_pcrs=$((ak_pcrs | 1 << ${ak_rest%%,*}))
    ak_rest=${ak_rest#*,}
  done
  printf '00000001000b03%02x%02x%02x' $((ak_pcrs & 255)) $((ak_pcrs >> 8 & 255)) $((ak_pcrs >> 16 & 255))
}

# Activating a credential is for a tool, which takes its own kind of context: it sets ak_context. tpm2-tools take
# `unique` as a TPMS_ECC_POINT in its memory layout: little-endian length and 128 bytes, for x and for y.
ak_give_to_tools() {
  ak_context=$tpm/ak.ctx
  {
    printf '\040\000'
    unhex "$ak_unique"
    head -c 226 /dev/zero
  } >"$tpm/ak.unique"
  tpm_require 'make the attestation key' createprimary -Q -C e -G ecc256:ecdsa-sha256:null \
    -a "$AK_ATTRIBUTES" -u "$tpm/ak.unique" -c "$ak_context"
  tpm_flush
}

ak_ask() { # WORDS COMMAND...
  ak_purpose=$1
  shift
  wire_ask "$@" || stop tpm-failed "The TPM does not $ak_purpose: $(wire_complaint)"
}
