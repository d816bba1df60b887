# shellcheck shell=sh
# The endorsement keys. One TPM may have several, each with a certificate in NV: all that are certified are
# shown when the machine enrols, so that they become names of one node (docs/protocol.md). Indices, handles
# and templates are those of the TCG EK Credential Profile 2.5, section 2.2.2 and annex B.

EK_PROFILE='0x01c00002 0x01c0000a 0x01c00012 0x01c00014 0x01c00016'
EK_UNCERTIFIED=0x01c00002
EK_HIGH_ATTRIBUTES='fixedtpm|fixedparent|sensitivedataorigin|userwithauth|adminwithpolicy|restricted|decrypt'
# PolicyB: PolicyOR of PolicySecret(endorsement) and an NV index (B.6.3). Only part of the template here.
EK_POLICY_B_SHA256=ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0
EK_POLICY_B_SHA384=b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12

# ek_profile INDEX: what the profile says of the EK whose certificate lies there.
ek_profile() {
  case $1 in
    0x01c00002) ek_kind='RSA-2048' ek_handle=0x81010001 ek_range=low ek_type=rsa ;;
    0x01c0000a) ek_kind='P-256' ek_handle=0x81010002 ek_range=low ek_type=ecc ;;
    0x01c00012)
      ek_kind='high-range RSA-2048' ek_handle=0x81010012 ek_range=high ek_type=rsa2048:null:aes128cfb
      ek_hash=sha256 ek_policy=$EK_POLICY_B_SHA256
      ;;
    0x01c00014)
      ek_kind='high-range P-256' ek_handle=0x81010014 ek_range=high ek_type=ecc256:null:aes128cfb
      ek_hash=sha256 ek_policy=$EK_POLICY_B_SHA256
      ;;
    0x01c00016)
      ek_kind='P-384' ek_handle=0x81010016 ek_range=high ek_type=ecc384:null:aes256cfb
      ek_hash=sha384 ek_policy=$EK_POLICY_B_SHA384
      ;;
  esac
}

# The EK that claims name: the first certified one, or the RSA-2048 EK when none is. Sets ek_fingerprint,
# eks (what is loaded, by NV index) and ek_remaining (certified ones that are not looked at yet: making a
# key takes seconds on a real chip, and only an enrolment needs them all).
ek_load_first() {
  tpm_list_nv_indices
  eks='' ek_remaining=$(ek_list_certified)
  while [ -z "$eks" ] && [ -n "$ek_remaining" ]; do
    ek_load_next
  done
  [ -n "$eks" ] || ek_load_uncertified
  ek_fingerprint=$(ek_fact "$eks" fingerprint)
}

ek_load_all() {
  while [ -n "$ek_remaining" ]; do
    ek_load_next
  done
}

ek_load_next() {
  ek_index=${ek_remaining%% *}
  ek_remaining=${ek_remaining#"$ek_index"}
  ek_remaining=${ek_remaining# }
  if ek_load "$ek_index"; then
    eks=${eks:+$eks }$ek_index
  else
    mark ek-left-out "index=$ek_index"
    say "The $ek_kind EK is left out though it has a certificate: $ek_fault."
  fi
}

ek_load_uncertified() {
  ek_open_folder "$EK_UNCERTIFIED"
  ek_find_key || stop tpm-failed "The TPM has no endorsement key to show: $ek_fault."
  eks=$EK_UNCERTIFIED
}

# Of the NV indices, in the order of the profile. tpm2-tools print handles without leading zeros.
ek_list_certified() {
  ek_found=
  for ek_index in $EK_PROFILE; do
    ! grep -qx -- "- 0x0*${ek_index#0x0}" "$tpm/nv-indices" || ek_found="$ek_found $ek_index"
  done
  echo "${ek_found# }"
}

# ek_load INDEX: certificate and key. Fails, with ek_fault set, when this TPM does not give both.
ek_load() {
  ek_open_folder "$1"
  if ! tpm nvread -C "$1" -o "$ek/certificate" "$1" >/dev/null || [ ! -s "$ek/certificate" ]; then
    ek_failed 'its certificate cannot be read'
    return 1
  fi
  ek_find_key
}

# $ek/certificate (as NV holds it, padding and all; the server reads it), public (TPM2B_PUBLIC),
# fingerprint, and object: the handle or context file to name the key by.
ek_open_folder() {
  ek_profile "$1"
  ek=$tpm/ek-$1
  rm -rf "$ek"
  mkdir "$ek"
}

# As its maker left it if that is the certified key, else made from the template, which gives the same key
# again. When openssl cannot read the certificate's key only the server can tell: it is shown all the same.
ek_find_key() {
  ek_certified_key=
  [ ! -e "$ek/certificate" ] || ek_certified_key=$(certificate_key "$ek/certificate" -inform DER)
  ek_object=$ek_handle
  if ! ek_read_key || [ "$(base64_of "$ek/key.der")" != "$ek_certified_key" ]; then
    ek_object=$ek/context
    ek_make_key && ek_read_key || return 1
    if [ -n "$ek_certified_key" ] && [ "$(base64_of "$ek/key.der")" != "$ek_certified_key" ]; then
      ek_fault="the TPM's key is not the one in the certificate"
      return 1
    fi
  fi
  echo "$ek_object" >"$ek/object"
  sha256_of "$ek/key.der" >"$ek/fingerprint"
}

ek_read_key() {
  ek_done=yes
  tpm readpublic -Q -c "$ek_object" -f der -o "$ek/key.der" && tpm_flush &&
    tpm readpublic -Q -c "$ek_object" -o "$ek/public" || ek_failed 'the TPM does not show its key'
  tpm_flush
  [ "$ek_done" = yes ]
}

ek_make_key() {
  ek_done=yes
  case $ek_range in
    low) tpm createek -Q -c "$ek_object" -G "$ek_type" || ek_failed 'the TPM does not make its key' ;;
    high)
      unhex "$ek_policy" >"$ek/policy"
      tpm createprimary -Q -C e -G "$ek_type" -g "$ek_hash" -a "$EK_HIGH_ATTRIBUTES" -L "$ek/policy" \
        -c "$ek_object" || ek_failed 'the TPM does not make its key'
      ;;
  esac
  tpm_flush
  [ "$ek_done" = yes ]
}

# Before the TPM is asked for anything else, so that its complaint is the right one.
ek_failed() { # WORDS
  ek_done=no ek_fault="$1 ($(tpm_complaint))"
}

# ek_fact INDEX NAME: one line of what ek_find_key wrote.
ek_fact() {
  cat "$tpm/ek-$1/$2"
}

# ek_activate INDEX CREDENTIAL_BLOB ENCRYPTED_SECRET OUT: TPM2_ActivateCredential (Part 3, 12.5). tpm2-tools
# want both in one file behind a magic number and a version. A low-range EK is used by
# PolicySecret(endorsement), a high-range one by its own authorization, which is empty.
ek_activate() {
  ek_profile "$1"
  ek_done=yes ek_object=$(ek_fact "$1" object)
  ak_give_to_tools
  { printf '\272\334\300\336\000\000\000\001' && cat "$2" "$3"; } >"$tpm/credential"
  set -- activatecredential -Q -c "$ak_context" -C "$ek_object" -i "$tpm/credential" -o "$4"
  case $ek_range in
    low) ek_activate_by_policy "$@" ;;
    high) tpm "$@" || ek_failed "its $ek_kind EK" ;;
  esac
  tpm_flush
  [ "$ek_done" = yes ] && return
  # TPM_RC_LOCKOUT. Power cuts count, too, and high-range EKs are subject to it.
  case $ek_fault in *'(0x921)'*) again tpm-locked "The TPM takes no authorizations for a while (dictionary attack lockout): $ek_fault" ;; esac
  stop credential-refused "The TPM does not open the server's credential, it was made for another key: $ek_fault"
}

ek_activate_by_policy() { # COMMAND ARGUMENT...
  tpm_require 'start a policy session' startauthsession --policy-session -S "$tpm/session.ctx"
  tpm policysecret -Q -S "$tpm/session.ctx" -c e >/dev/null && tpm "$@" -P "session:$tpm/session.ctx" ||
    ek_failed "its $ek_kind EK"
  tpm flushcontext "$tpm/session.ctx"
}

# ek_words FINGERPRINT: what people compare, eight groups of four. The node's id begins with the same digits.
ek_words() {
  printf '%.32s\n' "$1" | sed 's/..../& /g; s/ $//'
}
