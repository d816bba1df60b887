# shellcheck shell=sh
# The TUF client workflow (section 5), from the root that is baked into stage-0 to one channel's releases.
# Trusted documents stay in $tuf for the whole boot, so no attempt accepts less than one before it.

MAX_ROOT_STEPS=256
MAX_ROOT_BYTES=65536
MAX_TIMESTAMP_BYTES=16384
MAX_METADATA_BYTES=4194304

# 5.2, and a check that the build baked in something usable
tuf_prepare() {
  tuf=$BOOTWARD_RUN/tuf
  mkdir -p "$tuf"
  [ ! -e "$tuf/root.signed" ] || return 0
  if ! tuf_open "$BOOTWARD_ETC/root.json" root "$tuf/root.new" ||
    ! tuf_is_signed "$BOOTWARD_ETC/root.json" "$tuf/root.new" "$tuf/root.new" root; then
    stop root-invalid "The TUF root that is built into this image is not valid."
  fi
  mv "$tuf/root.new" "$tuf/root.signed"
}

# 5.3: N+1 until there is none. The first of these requests is the first of the attempt, and learns the
# server's key. Expiry is looked at only at the end: an expired root may still name its successor.
tuf_update_root() {
  root_version=$(tuf_version "$tuf/root.signed") root_steps=0
  http_learn_server_key "/v1/tuf/$((root_version + 1)).root.json" "$MAX_ROOT_BYTES" "$tuf/root.json"
  while [ "$http_status" != 404 ]; do
    http_require 200 "root metadata $((root_version + 1))"
    [ "$root_steps" -lt "$MAX_ROOT_STEPS" ] || stop metadata-root-endless "More than $MAX_ROOT_STEPS new roots: that is no update."
    tuf_accept_root
    root_version=$((root_version + 1)) root_steps=$((root_steps + 1))
    http GET "/v1/tuf/$((root_version + 1)).root.json" "$MAX_ROOT_BYTES" "$tuf/root.json"
    http_answered "root metadata $((root_version + 1))"
  done
  tuf_is_fresh "$tuf/root.signed" || stop metadata-expired "TUF root $root_version has expired: it has to be renewed."
  mark root "version=$root_version"
}

# 5.3.4 and 5.3.5: signed by the old root's threshold and by its own, and exactly the next version
tuf_accept_root() {
  tuf_open "$tuf/root.json" root "$tuf/root.new" || tuf_malformed "root"
  if ! tuf_is_signed "$tuf/root.json" "$tuf/root.new" "$tuf/root.signed" root ||
    ! tuf_is_signed "$tuf/root.json" "$tuf/root.new" "$tuf/root.new" root; then
    tuf_unsigned root
  fi
  [ "$(tuf_version "$tuf/root.new")" -eq $((root_version + 1)) ] ||
    stop metadata-version "Root metadata $((root_version + 1)) says that it is another version."
  mv "$tuf/root.new" "$tuf/root.signed"
}

# 5.4 to 5.6
tuf_update_targets() {
  tuf_fetch timestamp timestamp.json timestamp "$tuf/root.signed" "$MAX_TIMESTAMP_BYTES"
  tuf_keep timestamp
  tuf_fetch_listed snapshot timestamp snapshot "$tuf/root.signed"
  tuf_is_not_rolled_back
  tuf_keep snapshot
  tuf_fetch_listed targets snapshot targets "$tuf/root.signed"
  tuf_keep targets
  mark metadata "timestamp=$(tuf_version "$tuf/timestamp.signed")" \
    "snapshot=$(tuf_version "$tuf/snapshot.signed")" "targets=$(tuf_version "$tuf/targets.signed")"
}

# 5.6.7, for one delegated role. The channel's role must be allowed to speak for the channel's paths.
tuf_update_channel() { # CHANNEL
  channel_role=channel-$1
  jq -e --arg role "$channel_role" --arg path "channels/$1/*" \
    '.delegations.roles | map(select(.name == $role)) | length == 1 and .[0].paths == [$path]' \
    "$tuf/targets.signed" >/dev/null 2>&1 ||
    stop channel-not-delegated "The server assigns channel $1, but the release keys know no such channel."
  tuf_fetch_listed "$channel_role" snapshot targets "$tuf/targets.signed"
  tuf_keep "$channel_role"
}

# tuf_fetch_listed ROLE LISTED_IN TYPE AUTHORITY: version, length and hash as the document above says
tuf_fetch_listed() {
  jq -ce --arg file "$1.json" --argjson limit "$MAX_METADATA_BYTES" '.meta[$file]
    | select(all(.version, .length; type == "number" and . >= 1) and .length <= $limit and (.hashes | keys == ["sha256"]))' \
    "$tuf/$2.signed" >"$tuf/listing" 2>/dev/null ||
    stop metadata-unlisted "The $2 metadata does not list the $1 metadata by version, length and SHA-256."
  listed_version=$(tuf_version "$tuf/listing")
  tuf_fetch "$1" "$listed_version.$1.json" "$3" "$4" "$(jq .length "$tuf/listing")"
  [ "$(tuf_version "$tuf/$1.new")" = "$listed_version" ] ||
    stop metadata-version "The $1 metadata is not the version $listed_version that the $2 metadata lists."
}

# tuf_fetch ROLE FILE TYPE AUTHORITY MAX_BYTES: leaves $tuf/ROLE.new, verified by AUTHORITY and fresh
tuf_fetch() {
  http GET "/v1/tuf/$2" "$5" "$tuf/$1.json"
  [ "$http_status" != 404 ] || again metadata-missing "The server has no $2: nothing was published yet."
  http_require 200 "$2"
  if [ "$1" != timestamp ] && ! tuf_matches "$tuf/$1.json" "$tuf/listing"; then
    stop metadata-hash "The file $2 is not the one that is listed: its length or SHA-256 differs."
  fi
  tuf_open "$tuf/$1.json" "$3" "$tuf/$1.new" || tuf_malformed "$1"
  tuf_is_signed "$tuf/$1.json" "$tuf/$1.new" "$4" "$1" || tuf_unsigned "$1"
  tuf_is_fresh "$tuf/$1.new" || stop metadata-expired \
    "The $1 metadata expired on $(jq -r .expires "$tuf/$1.new"): the signing side has to refresh it."
}

# tuf_keep ROLE: 5.4.3.1, 5.5.5 and the like, never lower than what this boot has already trusted
tuf_keep() {
  if [ -e "$tuf/$1.signed" ] && [ "$(tuf_version "$tuf/$1.new")" -lt "$(tuf_version "$tuf/$1.signed")" ]; then
    tuf_rolled_back "$1"
  fi
  mv "$tuf/$1.new" "$tuf/$1.signed"
}

# 5.5.5: every role that the trusted snapshot lists is in the new one, at no lower version
tuf_is_not_rolled_back() {
  [ -e "$tuf/snapshot.signed" ] || return 0
  jq -e --slurpfile new "$tuf/snapshot.new" \
    '.meta | to_entries | all(.value.version <= ($new[0].meta[.key].version // 0))' \
    "$tuf/snapshot.signed" >/dev/null || tuf_rolled_back snapshot
}

tuf_malformed() {
  stop metadata-malformed "The $1 metadata is not a TUF document that this agent can read without doubt."
}

tuf_unsigned() {
  stop metadata-signature "The $1 metadata is not signed by enough of the keys that may sign it."
}

tuf_rolled_back() {
  stop metadata-rollback "The $1 metadata is older than what this boot has already seen: refusing to go back."
}
