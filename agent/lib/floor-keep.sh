# shellcheck shell=sh
# Writing the floor, and showing it. A power cut between any two commands leaves the old record or the new one,
# whole; at the very first, an index that was never written, which the next boot takes as it finds it.

# ASCII `bootward-nv-v1`
FLOOR_POLICY_REFERENCE=626f6f74776172642d6e762d7631

# For evidence. Nobody enrols by a record.
floor_is_shown() {
  case $challenge_purpose-$floor_state in
    enrol-*) return 1 ;;
    *-written | *-locked | *-unpinned) ;;
    *) return 1 ;;
  esac
}

# floor_keep CHANNEL: what this boot has verified becomes the floor, and nobody writes it again before the next
# power cycle. After the attempts, with what they left in files.
floor_keep() {
  floor=$BOOTWARD_RUN/floor tuf=$BOOTWARD_RUN/tuf
  if ! floor_expect; then
    floor_keep_none 'this stage-0 has no floor key'
    return
  fi
  read -r floor_approval <"$floor/approval"
  read -r floor_state floor_record <"$floor/loaded" || stop floor-unreadable "This boot has not kept what it read of its floor."
  if [ "$floor_approval" = - ]; then
    floor_go_without
    return
  fi
  floor_compose "$1"
  floor_define
  wire_open
  floor_open_session
  floor_did=kept
  [ "$floor_record" = "$floor_next" ] || floor_write
  floor_lock
  wire_close
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
  read -r floor_channel_hash <"$floor/channel"
  floor_next=$FLOOR_MAGIC$floor_channel_hash$(printf '%016x%016x%016x%016x%016x00000000' "$floor_root" \
    "$floor_targets" "$floor_snapshot" "$floor_channel" "$floor_time")
}

floor_define() {
  case $floor_state in
    written | unwritten) return 0 ;;
    locked) floor_refuse_locked ;;
    foreign)
      say "What lies at 0x$FLOOR_INDEX in this TPM is no floor that this stage-0 can write: removing it."
      mark floor state=foreign
      floor_do 'remove what lies there' nvundefine -Q -C o "0x$FLOOR_INDEX"
      ;;
  esac
  unhex "$floor_policy" >"$floor/policy"
  floor_do 'define it' nvdefine -Q -C o "0x$FLOOR_INDEX" -s "$FLOOR_BYTES" -g sha256 \
    -a 'policywrite|write_stclear|ownerread|authread|no_da' -L "$floor/policy"
}

# One policy session for writing and locking (Part 3, 11.1). The approval is for what this stage-0 measures, and zero
# where it got parameters or extensions (12, 13) or handed over (14): the TPM verifies it (20.1) and gives a ticket that
# serves both times.
floor_open_session() {
  floor_ask 'start a session and load its key' "8001000001670000${floor_key}40000001" \
    "80010000017640000007400000070010${PCR_ZERO#????????????????????????????????}0000010010000b"
  floor_rest=${wire_answers# ????????}
  case $floor_rest in
    "0022$floor_key_name "*) ;;
    *) stop floor-failed "The TPM names the floor key otherwise than this stage-0 was told: its floor-key is not of one piece." ;;
  esac
  floor_handle=${wire_answers%"$floor_rest"}
  floor_handle=${floor_handle# }
  floor_session=${wire_answers##* }
  floor_session=${floor_session%"${floor_session#????????}"}
  floor_measuring="80010000017f${floor_session}000000000001000b03107800"
  floor_ask 'take its PCRs' "$floor_measuring" "800100000189$floor_session"
  floor_measured=${wire_answers##* }
  floor_take_signature || floor_fail_approval 'it is no signature'
  floor_digest=$(hash_of_hex "${floor_measured#0020}$FLOOR_POLICY_REFERENCE")
  wire_ask "800100000177${floor_handle}0020${floor_digest}0018000b$floor_signature" ||
    floor_fail_approval "$(wire_complaint)"
  floor_authorizing="80010000016a$floor_session${floor_measured}000e${FLOOR_POLICY_REFERENCE}0022$floor_key_name${wire_answers# }"
  floor_authorized="$FLOOR_INDEX${FLOOR_INDEX}00000009${floor_session}0000010000"
}

# Sets floor_signature: r and s as the TPM takes them (TPMS_SIGNATURE_ECC, Part 2, 11.3.2), from the approval in DER
# (RFC 3279, 2.2.3).
floor_take_signature() {
  floor_signature='' floor_rest=${floor_approval#30??}
  floor_take_integer && floor_take_integer && [ -z "$floor_rest" ]
}

floor_take_integer() {
  floor_tail=${floor_rest#02??}
  floor_value=${floor_rest%"$floor_tail"}
  [ ${#floor_value} -eq 4 ] || return
  floor_value=$(printf "%.$((0x${floor_value#02} * 2))s" "$floor_tail")
  floor_rest=${floor_tail#"$floor_value"}
  # As many bytes as the curve has, whatever zeros DER leaves out or puts in front: not every TPM takes fewer.
  floor_value=${floor_value#00}
  [ ${#floor_value} -le 64 ] || return
  floor_signature=${floor_signature}0020$(printf "%.$((64 - ${#floor_value}))s" "$PCR_ZERO")$floor_value
}

# The TPM takes 64 bytes at once or not at all (Part 3, 31.7).
floor_write() {
  floor_did=raised
  floor_ask 'take the approval and write it' "$floor_authorizing" "800200000137${floor_authorized}0040${floor_next}0000"
  mark floor-written
}

# A used policy has to be fulfilled again (Part 1, 19.7). What is locked is read back.
floor_lock() {
  floor_again=
  [ "$floor_did" = kept ] || floor_again=$floor_measuring
  floor_ask 'take the approval and lock it' ${floor_again:+"$floor_again"} "$floor_authorizing" "800200000138$floor_authorized" \
    "800100000165$floor_session" "800100000165$floor_handle" "$FLOOR_READING"
  case $wire_answers in
    *" 000000420040${floor_next}0000"??0000) ;;
    *) stop floor-failed "The TPM does not hold the floor record that was written to it." ;;
  esac
}

floor_ask() { # WORDS COMMAND...
  floor_purpose=$1
  shift
  wire_ask "$@" || stop floor-failed "The TPM keeps no floor, it does not $floor_purpose: $(wire_complaint)"
}

floor_fail_approval() { # WORDS
  stop floor-approval-refused "The server's approval is not one of the floor key for what this machine has measured: $1"
}

# For what happens once in a machine's life: a tool does it.
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
  floor_do 'remove it' nvundefine -Q -C o "0x$FLOOR_INDEX"
  mark floor state=forgotten
  say "The floor record is gone. The server holds this machine until an operator has said: boot-admin nodes reset-floor, or move."
}
