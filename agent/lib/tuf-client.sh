# shellcheck shell=sh
# The TUF client workflow (section 5), from the root that is baked into stage-0 to one channel's releases.
# Trusted documents stay in $tuf for the whole boot, so no attempt accepts less than one before it.

MAX_ROOT_STEPS=256
MAX_ROOT_BYTES=65536
MAX_TIMESTAMP_BYTES=16384
MAX_METADATA_BYTES=4194304

# 5.2, and a check that the build baked in something usable. A machine whose floor is of an earlier root starts from
# that one, where it is baked in, too: what a newer root changes of its keys shows only beside it.
tuf_prepare() {
  tuf=$BOOTWARD_RUN/tuf
  mkdir -p "$tuf"
  tuf_time=0
  [ ! -e "$tuf/timestamp.facts" ] || tuf_note_time
  [ ! -e "$tuf/root.signed" ] || return 0
  tuf_first=$BOOTWARD_ETC/$floor_root.root.json
  [ -e "$tuf_first" ] || tuf_first=$BOOTWARD_ETC/root.json
  tuf_open "$tuf_first" root root self "$tuf/root.new"
  tuf_keep root
  root_version=$tuf_version root_steps=0
  while [ -e "$BOOTWARD_ETC/$((root_version + 1)).root.json" ]; do
    cat "$BOOTWARD_ETC/$((root_version + 1)).root.json" >"$tuf/root.json"
    tuf_accept_root
  done
  [ "$tuf_first" = "$BOOTWARD_ETC/root.json" ] || cmp -s "$BOOTWARD_ETC/$root_version.root.json" "$BOOTWARD_ETC/root.json" ||
    config_refuse "the last of the roots, $root_version.root.json, is not root.json"
}

# 5.3: N+1 until there is none. The first of these requests is the first of the attempt, and learns the
# server's key. Expiry is looked at only at the end: an expired root may still name its successor.
tuf_update_root() {
  read -r root_version _ _ _ root_expires _ <"$tuf/root.facts"
  root_steps=0
  http_learn_server_key "/v1/tuf/$((root_version + 1)).root.json" "$MAX_ROOT_BYTES" "$tuf/root.json"
  while [ "$http_status" != 404 ]; do
    http_require 200 "root metadata $((root_version + 1))"
    [ "$root_steps" -lt "$MAX_ROOT_STEPS" ] ||
      stop metadata-root-endless "More than $MAX_ROOT_STEPS new roots: that is no update."
    tuf_accept_root
    http GET "/v1/tuf/$((root_version + 1)).root.json" "$MAX_ROOT_BYTES" "$tuf/root.json"
    http_answered "root metadata $((root_version + 1))"
  done
  floor_judge_root "$root_version"
  [ "$root_expires" -gt "$(earliest_now)" ] || tuf_expired root
  mark root "version=$root_version"
}

# 5.3.4 and 5.3.5: signed by the old root's threshold and by its own, and exactly the next version
tuf_accept_root() {
  tuf_open "$tuf/root.json" root root "$tuf/root.signed" "$tuf/root.new"
  tuf_open "$tuf/root.json" root root self "$tuf/root.new"
  [ "$tuf_version" -eq $((root_version + 1)) ] ||
    stop metadata-version "Root metadata $((root_version + 1)) says that it is version $tuf_version."
  tuf_keep root
  root_version=$tuf_version root_expires=$tuf_expires root_steps=$((root_steps + 1))
}

# 5.4 to 5.6
tuf_update_targets() {
  tuf_fetch timestamp timestamp.json timestamp "$tuf/root.signed" "$MAX_TIMESTAMP_BYTES"
  tuf_judge_signed_at
  tuf_keep timestamp
  tuf_note_time
  tuf_fetch_listed snapshot timestamp snapshot "$tuf/root.signed"
  tuf_snapshot_keeps_versions
  tuf_keep snapshot
  tuf_fetch_listed targets snapshot targets "$tuf/root.signed"
  tuf_keep targets
}

# Whoever holds the timestamp's key alone cannot carry a machine's time past the root's end, where it would
# refuse everything: a new root is what ends such an attack.
tuf_judge_signed_at() {
  [ "$tuf_signed_at" != - ] || return 0
  [ "$tuf_signed_at" -le "$tuf_expires" ] && [ "$tuf_signed_at" -le "$root_expires" ] ||
    stop metadata-signed-at "The timestamp metadata says that it was signed after it, or the root, expires."
}

# It is not earlier than the trusted timestamp was signed.
tuf_note_time() {
  read -r _ _ _ _ _ tuf_time <"$tuf/timestamp.facts"
  [ "$tuf_time" != - ] || tuf_time=0
}

# 5.6.7, for one delegated role. It must be the one that may speak for the channel's paths, and no others.
tuf_update_channel() { # CHANNEL
  channel_role=channel-$1
  tuf_fact targets delegation "$channel_role" && [ "$fact" = "channels/$1/*" ] ||
    stop channel-not-delegated "The server assigns channel $1, but the release keys know no such channel."
  tuf_fetch_listed "$channel_role" snapshot targets "$tuf/targets.signed"
  tuf_keep "$channel_role"
}

# tuf_fetch_listed ROLE LISTED_IN TYPE AUTHORITY: version, length and hash as the document above says. TUF
# leaves the last two optional (section 4.4); here they are not.
tuf_fetch_listed() {
  tuf_fact "$2" meta "$1.json" ||
    stop metadata-unlisted "The $2 metadata does not list the $1 metadata by version, length and SHA-256."
  # shellcheck disable=SC2086 # three words
  set -- "$@" $fact
  listed_version=$5 listed_length=$6 listed_sha256=$7
  [ "$listed_length" -le "$MAX_METADATA_BYTES" ] ||
    stop answer-too-large "The $1 metadata has $listed_length bytes, at most $MAX_METADATA_BYTES are read."
  tuf_fetch "$1" "$listed_version.$1.json" "$3" "$4" "$listed_length" "$listed_sha256"
  [ "$tuf_version" = "$listed_version" ] ||
    stop metadata-version "The $1 metadata is version $tuf_version, the $2 metadata lists $listed_version."
}

# tuf_fetch ROLE FILE TYPE AUTHORITY LENGTH [SHA256]: leaves $tuf/ROLE.new, verified and fresh. Without a
# hash, as for the timestamp, the length is only a bound.
tuf_fetch() {
  http GET "/v1/tuf/$2" "$5" "$tuf/$1.json"
  [ "$http_status" != 404 ] || again metadata-missing "The server has no $2."
  http_require 200 "$2"
  if [ $# -eq 6 ] && { [ "$(size_of "$tuf/$1.json")" -ne "$5" ] || [ "$(sha256_of "$tuf/$1.json")" != "$6" ]; }; then
    stop metadata-hash "The file $2 is not the one that is listed: its length or SHA-256 differs."
  fi
  tuf_open "$tuf/$1.json" "$3" "$1" "$4" "$tuf/$1.new"
  [ "$tuf_fresh" = true ] || tuf_expired "$1"
}

# tuf_keep ROLE: what was opened last is trusted from now on, unless this boot has already trusted a later
# version (5.4.3, 5.5.5, 5.6.4), or this machine in any boot. A root has to reach the floor only at the end.
tuf_keep() {
  trusted_version=0
  [ ! -e "$tuf/$1.facts" ] || read -r trusted_version _ <"$tuf/$1.facts"
  [ "$tuf_version" -ge "$trusted_version" ] || tuf_rolled_back "$1"
  [ "$1" = root ] || floor_require "$1" "$tuf_version"
  mv "$tuf/$1.new" "$tuf/$1.signed"
  mv "$tuf/judged" "$tuf/$1.facts"
  [ "$1" != root ] || floor_watch_root "$tuf_version"
  mark metadata "role=$1" "version=$tuf_version"
}

# 5.5.5: every role that the trusted snapshot lists is in the new one, at no lower version
tuf_snapshot_keeps_versions() {
  [ -e "$tuf/snapshot.signed" ] || return 0
  jq -e --slurpfile new "$tuf/snapshot.new" \
    '.meta | to_entries | all(.value.version <= ($new[0].meta[.key].version // 0))' \
    "$tuf/snapshot.signed" >/dev/null || tuf_rolled_back snapshot
}

# Compared with the earliest moment that it can be: a machine without a clock cannot do better.
tuf_expired() {
  stop metadata-expired "The $1 metadata has expired: the signing side has to renew it (boot-sign refresh)."
}

tuf_rolled_back() {
  stop metadata-rollback "The $1 metadata is older than what this boot has already seen: refusing to go back."
}
