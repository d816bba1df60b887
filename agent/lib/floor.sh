# shellcheck shell=sh
# The floor: what this machine has seen of TUF metadata, in an NV record of its TPM that only a signed stage-0
# can write, and only before it hands over (docs/agent.md, The floor). Reading it is here, writing in floor-keep.sh.

FLOOR_INDEX=0x0180b007
FLOOR_BYTES=64
FLOOR_MAGIC=62776631
# POLICYWRITE|WRITE_STCLEAR|OWNERREAD|AUTHREAD|NO_DA (Part 2, 13.4), and what the TPM adds of its own
FLOOR_UNWRITTEN=02064008
FLOOR_WRITTEN=22064008
FLOOR_LOCKED=22064808

# For a boot, after ek_load_first has listed the NV indices: reads the record, and keeps in $floor what writing it
# needs. Sets floor_state (none, foreign, unwritten, written, locked, unpinned), floor_root, floor_targets,
# floor_snapshot, floor_channel (0: nothing binds), floor_channel_hash and floor_time.
floor_load() {
  floor_notice
  [ -e "$BOOTWARD_ETC/floor-key.pem" ] || return 0
  floor_expect
  [ "$floor_state" = none ] || floor_judge_public
  case $floor_state in
    written | locked) floor_read ;;
  esac
  printf '%s %s %s %s\n' "$floor_state" "$floor_key_name" "$floor_policy" "${floor_record:--}" >"$floor/loaded"
}

# For the running system, which has no key to tell whose record it is: the server does.
floor_notice() {
  floor=$BOOTWARD_RUN/floor floor_state=none floor_record=
  floor_root=0 floor_targets=0 floor_snapshot=0 floor_channel=0 floor_time=0 floor_channel_hash=
  mkdir -p "$floor"
  ! grep -qx -- "- 0x0*${FLOOR_INDEX#0x0}" "$tpm/nv-indices" || floor_state=unpinned
}

# The index that the floor key's approvals can write: Name of the key, policy of the index. boot-sign has computed them
# from the key, which would take this machine a quarter of a second; wrong ones could write nothing.
floor_expect() {
  read -r floor_key_name floor_policy <"$BOOTWARD_ETC/floor-index" && is_hex "$floor_key_name" 68 &&
    is_hex "$floor_policy" 64 || config_refuse "floor-index does not name a key and a policy"
}

# Whose index it is: its public area, all of it (TPMS_NV_PUBLIC, Part 2, 13.5). There are two lines `value:`, of the
# hash and of the attributes.
floor_judge_public() {
  floor_state=foreign
  tpm nvreadpublic "$FLOOR_INDEX" >"$floor/public.upper" || floor_unreadable
  tr 'A-F' 'a-f' <"$floor/public.upper" >"$floor/public"
  floor_values='' floor_size='' floor_found_policy=
  while read -r floor_word floor_value floor_more; do
    case $floor_word in
      value:) floor_values="$floor_values $floor_value" ;;
      size:) floor_size=$floor_value ;;
      authorization) floor_found_policy=$floor_more ;;
    esac
  done <"$floor/public"
  [ "$floor_size $floor_found_policy" = "$FLOOR_BYTES $floor_policy" ] || return 0
  case $floor_values in
    " 0xb 0x${FLOOR_UNWRITTEN#0}") floor_state=unwritten ;;
    " 0xb 0x$FLOOR_WRITTEN") floor_state=written ;;
    " 0xb 0x$FLOOR_LOCKED") floor_state=locked ;;
  esac
}

# Read by the index's own authorization, which is empty, so a password of the owner does not matter.
floor_read() {
  tpm nvread -C "$FLOOR_INDEX" -s "$FLOOR_BYTES" -o "$floor/record" "$FLOOR_INDEX" >/dev/null || floor_unreadable
  floor_record=$(hex_of "$floor/record")
  floor_parse "$floor_record" || floor_unreadable
}

floor_unreadable() {
  stop floor-unreadable "The floor record of this machine cannot be read: $(tpm_complaint)"
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
  [ "$floor_root" -gt 0 ] || return 0
  [ "$(floor_hash_channel "$1")" = "$floor_channel_hash" ] || stop floor-other-channel \
    "The server assigns channel $1, but this machine's floor is of another one. To move it, its root runs bootward-agent forget-floor."
}

floor_hash_channel() { # CHANNEL
  printf '%s' "$1" | sha256sum | cut -c 1-32
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
