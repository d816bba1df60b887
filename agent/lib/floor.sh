# shellcheck shell=sh
# The floor: what this machine has seen of TUF metadata, in an NV record of its TPM that only a signed stage-0
# can write, and only before it hands over (docs/agent.md, The floor). Reading it is here, writing in floor-keep.sh.

FLOOR_INDEX=0180b007
FLOOR_BYTES=64
FLOOR_MAGIC=62776631
# POLICYWRITE|WRITE_STCLEAR|OWNERREAD|AUTHREAD|NO_DA (Part 2, 13.4), and what the TPM adds of its own
FLOOR_UNWRITTEN=02064008
FLOOR_WRITTEN=22064008
FLOOR_LOCKED=22064808
# By the index's own authorization, which is empty, so a password of the owner does not matter (Part 3, 31.13).
FLOOR_READING=80020000014e$FLOOR_INDEX$FLOOR_INDEX${WIRE_NO_PASSWORD}00400000

# For a boot, after ek_load_first has listed the NV indices, in an open conversation: reads the record, and keeps it in $floor for writing
# it. Sets floor_state (none, foreign, unwritten, written, locked, unpinned), floor_root, floor_targets,
# floor_snapshot, floor_channel (0: nothing binds), floor_channel_hash and floor_time.
floor_load() {
  floor_notice
  floor_expect || return 0
  [ "$floor_state" = none ] || floor_look
  echo "$floor_state ${floor_record:--}" >"$floor/loaded" ||
    stop no-work-folder "The folder $BOOTWARD_RUN takes no files."
}

# For the running system, which has no key to tell whose record it is: the server does.
floor_notice() {
  floor=$BOOTWARD_RUN/floor floor_state=none floor_record=
  floor_root=0 floor_targets=0 floor_snapshot=0 floor_channel=0 floor_time=0 floor_channel_hash=
  [ -d "$floor" ] || mkdir -p "$floor"
  while read -r _ floor_word; do
    case $floor_word in "0x${FLOOR_INDEX#0}" | "0x$FLOOR_INDEX") floor_state=unpinned ;; esac
  done <"$tpm/nv-indices"
}

# What this stage-0 was built with: the floor key (TPM2B_PUBLIC), its Name, and the policy of the index that the key's
# approvals can write, which boot-sign has computed. Wrong ones could write nothing. Fails where there is no key.
floor_expect() {
  [ -e "$BOOTWARD_ETC/floor-key" ] || return
  read -r floor_key floor_key_name floor_policy <"$BOOTWARD_ETC/floor-key" && is_hex "$floor_key" 176 &&
    is_hex "$floor_key_name" 68 && is_hex "$floor_policy" 64 ||
    config_refuse "floor-key is not a public key on P-256, its Name and its policy"
}

floor_look() {
  wire_ask "800100000169$FLOOR_INDEX" || floor_unreadable "$(wire_complaint)"
  floor_judge_public "${wire_answers# }"
  case $floor_state in
    written | locked)
      wire_ask "$FLOOR_READING" || floor_unreadable "$(wire_complaint)"
      floor_take_record
      ;;
  esac
}

# floor_judge_public TPM2B_NV_PUBLIC...: whose index it is, by its public area, all of it (Part 2, 13.5)
floor_judge_public() {
  floor_state=foreign
  floor_tail=0020${floor_policy}0040
  case $1 in
    "002e${FLOOR_INDEX}000b$FLOOR_UNWRITTEN$floor_tail"*) floor_state=unwritten ;;
    "002e${FLOOR_INDEX}000b$FLOOR_WRITTEN$floor_tail"*) floor_state=written ;;
    "002e${FLOOR_INDEX}000b$FLOOR_LOCKED$floor_tail"*) floor_state=locked ;;
  esac
}

# Between the size of the answer's parameters and its authorization area (Part 1, 18.10)
floor_take_record() {
  floor_record=${wire_answers#" 000000420040"}
  floor_record=${floor_record%0000??0000}
  floor_parse "$floor_record" || floor_unreadable 'this is no record'
}

floor_unreadable() { # WORDS
  stop floor-unreadable "The floor record of this machine cannot be read: $1"
}

# floor_parse HEX: `bwf1`, 16 bytes of the channel's hash, the versions of root, targets, snapshot and channel
# (1 to 2^53-1), the last signed time, four bytes of zero. Fails for anything else.
floor_parse() {
  is_hex "$1" 128 || return
  case $1 in "$FLOOR_MAGIC"*00000000) ;; *) return 1 ;; esac
  floor_rest=${1#"$FLOOR_MAGIC"}
  floor_tail=${floor_rest#????????????????????????????????}
  floor_channel_hash=${floor_rest%"$floor_tail"}
  for floor_field in root targets snapshot channel time; do
    floor_rest=$floor_tail floor_tail=${floor_rest#????????????????}
    case $floor_rest in 00[01]*) ;; *) return 1 ;; esac
    eval "floor_$floor_field=$((0x${floor_rest%"$floor_tail"}))"
  done
  [ "$floor_root" -ge 1 ] && [ "$floor_targets" -ge 1 ] && [ "$floor_snapshot" -ge 1 ] && [ "$floor_channel" -ge 1 ]
}

# A record belongs to one channel: its versions say nothing about another one's.
floor_require_channel() { # CHANNEL
  floor_of=$(printf '%s' "$1" | sha256sum)
  floor_of=${floor_of%"${floor_of#????????????????????????????????}"}
  echo "$floor_of" >"$floor/channel"
  [ "$floor_root" -eq 0 ] || [ "$floor_of" = "$floor_channel_hash" ] || stop floor-other-channel \
    "The server assigns channel $1, but this machine's floor is of another one. To move it, its root runs bootward-agent forget-floor."
}

# floor_require ROLE VERSION: of metadata that is verified otherwise
floor_require() {
  case $1 in
    root) floor_bound=$floor_root ;;
    targets) floor_bound=$floor_targets ;;
    snapshot) floor_bound=$floor_snapshot ;;
    channel-*) floor_bound=$floor_channel ;;
    *) return 0 ;;
  esac
  [ "$2" -ge "$floor_bound" ] || stop metadata-rollback \
    "The $1 metadata is version $2, this machine's floor is $floor_bound: refusing to go back to what was withdrawn."
}

# Recovery from a fast-forward (TUF 5.3.11): for each trusted root, in their order. Whoever stole the keys of
# snapshot or timestamp may have run ahead with version and time; once a root newer than the record's names other
# keys, these two bind no longer. Files, because an attempt may end between two roots.
floor_watch_root() { # VERSION
  [ "$floor_root" -gt 0 ] && tuf_fact root online keys || return 0
  if [ "$1" -eq "$floor_root" ]; then
    printf '%s\n' "$fact" >"$floor/root-keys"
  elif [ "$1" -gt "$floor_root" ] && [ -e "$floor/root-keys" ]; then
    IFS= read -r floor_root_keys <"$floor/root-keys"
    [ "$fact" = "$floor_root_keys" ] || : >"$floor/released"
  fi
}

# When the newest root is known: may this machine start from it, and do version and time of the snapshot bind?
floor_judge_root() { # VERSION
  floor_require root "$1"
  [ -e "$floor/released" ] || return 0
  floor_snapshot=0 floor_time=0
  say "A newer root names other keys for snapshot or timestamp: the floor's snapshot version and time bind no longer."
}
