# shellcheck shell=sh
# Writing the floor, and showing it. A power cut between any two commands leaves the old record or the new one,
# whole; at the very first, an index that was never written, which the next boot takes as it finds it.

# A public key as tpm2-tools load it from a PEM file; its Name covers these attributes.
FLOOR_KEY_ATTRIBUTES='userwithauth|decrypt|sign'
FLOOR_POLICY_REFERENCE=bootward-nv-v1

# floor_certify EXTRA_DATA_HEX: what the TPM says of the record (TPM2_NV_Certify, Part 3, 31.16), for evidence; no
# files when there is none. Nobody enrols by a record.
floor_certify() {
  rm -f "$floor/attest"
  case $challenge_purpose-$floor_state in
    enrol-*) return 0 ;;
    *-written | *-locked) floor_ask_certificate "$1" || floor_unreadable ;;
    *-unpinned) floor_ask_certificate "$1" || return 0 ;;
    *) return 0 ;;
  esac
  # TPMS_NV_CERTIFY_INFO ends with the contents (Part 2, 10.12.10).
  tail -c "$FLOOR_BYTES" "$floor/attest.new" >"$floor/certified"
  mv "$floor/attest.new" "$floor/attest"
}

floor_ask_certificate() { # EXTRA_DATA_HEX
  floor_done=yes
  tpm nvcertify -C "$ak_context" -c "$FLOOR_INDEX" -g sha256 -s ecdsa -f tss -q "$1" --size "$FLOOR_BYTES" \
    -o "$floor/signature" --attestation "$floor/attest.new" "$FLOOR_INDEX" >/dev/null || floor_done=no
  tpm_flush
  [ "$floor_done" = yes ]
}

# floor_keep CHANNEL: what this boot has verified becomes the floor, and nobody writes it again before the next
# power cycle. After the attempts, with what they left in files.
floor_keep() {
  floor=$BOOTWARD_RUN/floor tuf=$BOOTWARD_RUN/tuf
  if [ ! -e "$floor/loaded" ]; then
    floor_keep_none 'this stage-0 has no floor key'
    return
  fi
  read -r floor_approval <"$floor/approval"
  read -r floor_state floor_key_name floor_policy floor_record <"$floor/loaded"
  if [ "$floor_approval" = - ]; then
    floor_go_without
    return
  fi
  floor_compose "$1"
  floor_define
  floor_open_session
  floor_did=kept
  [ "$floor_record" = "$floor_next" ] || floor_write
  floor_lock
  floor_read_back
  mark floor "state=$floor_did" "root=$floor_root" "targets=$floor_targets" "snapshot=$floor_snapshot" \
    "channel=$floor_channel" "signed-at=$floor_time"
}

floor_keep_none() { # WORDS
  mark floor state=none
  say "No floor is kept: $1."
}

# Without an approval a record can be neither raised nor locked, so the release could be followed by an older one:
# a server must not switch a floor off by saying nothing. A machine that has none yet loses nothing.
floor_go_without() {
  case $floor_state in
    locked) floor_refuse_locked ;;
    written) stop floor-approval-missing \
      "The server gives no approval for this stage-0, so the floor record of this machine can be neither raised nor locked: not going on without it." ;;
  esac
  floor_keep_none 'the server gives no approval for this stage-0, and this machine has no record yet'
}

floor_refuse_locked() {
  stop floor-locked "The floor record was locked before this boot: switch the machine off and on again."
}

# Sets floor_next: the record as it is to be. Versions were never below the old ones, unless a new root released
# the snapshot's; the time only grows.
floor_compose() { # CHANNEL
  floor_time=0
  case $floor_state in written | locked) floor_parse "$floor_record" ;; esac
  [ ! -e "$floor/released" ] || floor_time=0
  tuf_note_time
  [ "$tuf_time" -le "$floor_time" ] || floor_time=$tuf_time
  read -r floor_root _ <"$tuf/root.facts"
  read -r floor_targets _ <"$tuf/targets.facts"
  read -r floor_snapshot _ <"$tuf/snapshot.facts"
  read -r floor_channel _ <"$tuf/channel-$1.facts"
  floor_next=$FLOOR_MAGIC$(floor_hash_channel "$1")$(printf '%016x%016x%016x%016x%016x00000000' "$floor_root" \
    "$floor_targets" "$floor_snapshot" "$floor_channel" "$floor_time")
  unhex "$floor_next" >"$floor/next"
}

floor_define() {
  case $floor_state in
    written | unwritten) return 0 ;;
    locked) floor_refuse_locked ;;
    foreign)
      say "What lies at $FLOOR_INDEX in this TPM is no floor that this stage-0 can write: removing it."
      mark floor state=foreign
      floor_do 'remove what lies there' nvundefine -Q -C o "$FLOOR_INDEX"
      ;;
  esac
  unhex "$floor_policy" >"$floor/policy"
  floor_do 'define it' nvdefine -Q -C o "$FLOOR_INDEX" -s "$FLOOR_BYTES" -g sha256 \
    -a 'policywrite|write_stclear|ownerread|authread|no_da' -L "$floor/policy"
}

# One session for writing and locking. The approval is for what this stage-0 measures, and zero where it got
# parameters or extensions (12, 13) or handed over (14): the TPM verifies it (Part 3, 20.1) and gives a ticket that
# serves both times.
floor_open_session() {
  floor_do 'start a session' startauthsession -Q --policy-session -S "$floor/session"
  floor_do 'load its key' loadexternal -Q -C o -G ecc -a "$FLOOR_KEY_ATTRIBUTES" -u "$BOOTWARD_ETC/floor-key.pem" \
    -c "$floor/key" -n "$floor/key.name"
  tpm_flush
  [ "$(hex_of "$floor/key.name")" = "$floor_key_name" ] ||
    stop floor-failed "The TPM names the floor key otherwise than this agent: these tpm2-tools are of another kind."
  floor_measure
  printf '%s' "$FLOOR_POLICY_REFERENCE" >"$floor/reference"
  cat "$floor/measured" "$floor/reference" >"$floor/approved"
  unhex "$floor_approval" >"$floor/approval.der"
  tpm verifysignature -Q -c "$floor/key" -g sha256 -m "$floor/approved" -s "$floor/approval.der" -f ecdsa -t "$floor/ticket" ||
    stop floor-approval-refused "The server's approval is not one of the floor key for what this machine has measured: $(tpm_complaint)"
  tpm_flush
}

floor_measure() {
  floor_do 'take its PCRs' policypcr -Q -S "$floor/session" -l sha256:4,11,12,13,14 -L "$floor/measured"
}

floor_authorize() {
  floor_do 'take the approval' policyauthorize -Q -S "$floor/session" -i "$floor/measured" -q "$floor/reference" \
    -n "$floor/key.name" -t "$floor/ticket"
}

# The TPM takes 64 bytes at once or not at all. A used policy has to be fulfilled again (Part 1, 19.7).
floor_write() {
  floor_did=raised
  floor_authorize
  floor_do 'write it' nvwrite -Q -C "$FLOOR_INDEX" -P "session:$floor/session" -i "$floor/next" "$FLOOR_INDEX"
  mark floor-written
  floor_measure
}

floor_lock() {
  floor_authorize
  floor_do 'lock it' nvwritelock -Q -C "$FLOOR_INDEX" -P "session:$floor/session" "$FLOOR_INDEX"
  floor_do 'end the session' flushcontext "$floor/session"
}

# One that was not written is the one that this boot has read and shown already.
floor_read_back() {
  [ "$floor_did" = raised ] || return 0
  floor_read
  cmp -s "$floor/record" "$floor/next" ||
    stop floor-failed "The TPM does not hold the floor record that was written to it."
}

floor_do() { # WORDS COMMAND ARGUMENT...
  floor_purpose=$1
  shift
  tpm "$@" >/dev/null || stop floor-failed "The TPM keeps no floor, it does not $floor_purpose: $(tpm_complaint)"
}

# For a running system whose machine is to move: the server has to be told, too (docs/agent.md, The floor).
floor_forget() {
  tpm_prepare
  floor=$BOOTWARD_RUN/floor
  tpm_list_nv_indices
  floor_notice
  if [ "$floor_state" = none ]; then
    say "This machine has no floor record."
    return
  fi
  floor_do 'remove it' nvundefine -Q -C o "$FLOOR_INDEX"
  mark floor state=forgotten
  say "The floor record is gone. The server holds this machine until an operator has said: boot-admin nodes reset-floor, or move."
}
