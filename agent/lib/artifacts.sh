# shellcheck shell=sh
# The release: what the channel's verified metadata lists, its manifest, and the files that it names. All
# of it is taken by length and SHA-256, from whoever serves it.

MAX_MANIFEST_BYTES=16384
ARTIFACT_TRIES=8
ARTIFACT_SECONDS=3600
STALLED_SECONDS=30

# Fetches $release_channel's $release_version into $release: manifest.json, kernel, initramfs, and what
# the hand-over needs to know, one value in a line.
fetch_release() {
  release=$BOOTWARD_RUN/release
  mkdir -p "$release"
  release_find_listing
  fetch_artifact manifest "$release_digest" "$listed_length" "$release/manifest.json"
  release_check_manifest
  read -r kernel_sha256 kernel_length initramfs_sha256 initramfs_length <"$release/parts"
  fetch_artifact kernel "$kernel_sha256" "$kernel_length" "$release/kernel"
  fetch_artifact initramfs "$initramfs_sha256" "$initramfs_length" "$release/initramfs"
  printf '%s\n' "$release_channel" "$release_version" "$release_digest" "$ek_fingerprint" \
    "$fact_identity" "$fact_admission" "$fact_state" >"$release/verdict"
}

# The verdict chooses among listed releases; what a release is, only the release keys say. A fact of a
# target is its length, hash, version, architecture and name.
release_find_listing() {
  architecture=$(machine_architecture)
  tuf_fact "$channel_role" target "channels/$release_channel/$release_version.json" || release_not_listed
  read -r listed_length listed_digest listed_version listed_architecture listed_name <<EOF
$fact
EOF
  [ "$listed_digest $listed_version $listed_architecture" = "$release_digest $release_version $architecture" ] &&
    [ "$listed_length" -le "$MAX_MANIFEST_BYTES" ] || release_not_listed
}

release_not_listed() {
  stop release-not-listed "The release keys list no version $release_version of channel $release_channel for $architecture machines with the digest that the server gives."
}

# The manifest says of itself what the metadata says of it, in words that mean one thing (docs/protocol.md).
release_check_manifest() {
  jq -er -s --arg channel "$release_channel" --argjson version "$release_version" \
    --arg architecture "$architecture" --arg name "$listed_name" '
    def artifact: keys == ["length", "sha256"] and (.sha256 | test("^[0-9a-f]{64}\\z"))
      and (.length | type == "number" and . == floor and . >= 1 and . <= 4294967295);
    def printable: explode | all(. >= 32 and . <= 126);
    select(length == 1) | .[0] | select(.format == "bootward-release-v1" and .channel == $channel
      and .version == $version and .architecture == $architecture and .name == $name and (.name | printable)
      and (.cmdline | printable and length <= 2047) and (.handover | test("^[a-z-]{1,16}\\z"))
      and (.kernel | artifact) and (.initramfs | artifact))
    | "\(.kernel.sha256) \(.kernel.length) \(.initramfs.sha256) \(.initramfs.length)", .handover, .name, .cmdline, (.name | tojson)' \
    "$release/manifest.json" >"$release/parts" 2>/dev/null ||
    stop manifest-invalid "The release manifest is not what the metadata lists for this $architecture machine."
  mark manifest "channel=$release_channel" "version=$release_version" "digest=$release_digest"
  say "Release: $listed_name"
}

machine_architecture() {
  case $(uname -m) in
    x86_64) echo x86-64 ;;
    aarch64) echo arm64 ;;
    *) echo unknown ;;
  esac
}

# fetch_artifact WHAT SHA256 LENGTH OUT. A broken download goes on where it broke, in a later attempt too
# if the release is still the same; what is whole and not what was signed is thrown away.
fetch_artifact() {
  artifact=$1 artifact_sha256=$2 artifact_length=$3 artifact_file=$4 artifact_tries=0
  artifact_begun=
  [ ! -e "$artifact_file.of" ] || read -r artifact_begun <"$artifact_file.of"
  [ "$artifact_begun" = "$artifact_sha256" ] || rm -f "$artifact_file"
  echo "$artifact_sha256" >"$artifact_file.of"
  while [ "$(size_of "$artifact_file")" -lt "$artifact_length" ]; do
    [ "$artifact_tries" -lt "$ARTIFACT_TRIES" ] || again artifact-incomplete "The $artifact did not arrive in $ARTIFACT_TRIES tries."
    [ "$artifact_tries" -eq 0 ] || sleep "$(backoff_seconds "$artifact_tries")"
    artifact_tries=$((artifact_tries + 1))
    fetch_rest
  done
  if [ "$(sha256_of "$artifact_file")" != "$artifact_sha256" ]; then
    rm -f "$artifact_file"
    stop artifact-hash-mismatch "The $artifact has the right length and the wrong SHA-256: it is not what was signed."
  fi
  mark artifact "name=$artifact" "bytes=$artifact_length" "sha256=$artifact_sha256"
}

# One request for what is still missing. If-Range: the ETag is the hash, so a part of something else never
# follows; a server that has something else, or no ranges, sends the whole (RFC 9110, 13.1.5).
fetch_rest() {
  artifact_have=$(size_of "$artifact_file")
  set -- --max-time "$ARTIFACT_SECONDS" --speed-limit 1024 --speed-time "$STALLED_SECONDS" \
    --header "@$attest/authorization"
  [ "$artifact_have" -eq 0 ] ||
    set -- "$@" --header "Range: bytes=$artifact_have-" --header "If-Range: \"$artifact_sha256\""
  http GET "/v1/artifacts/$artifact_sha256" "$artifact_length" "$artifact_file.rest" "$@"
  case $http_failure-$http_status in
    0-* | 60-* | 63-* | 90-*) fetch_check_answer ;;
  esac
  case $artifact_have-$http_status in
    *-200) mv "$artifact_file.rest" "$artifact_file" ;;
    [1-9]*-206) cat "$artifact_file.rest" >>"$artifact_file" ;;
  esac
  rm -f "$artifact_file.rest"
}

# A whole answer: either bytes of the artifact, all that were asked for, or the reason why not.
fetch_check_answer() {
  http_answered "the $artifact"
  case $artifact_have-$http_status in
    *-200) artifact_expected=$artifact_length ;;
    [1-9]*-206) artifact_expected=$((artifact_length - artifact_have)) ;;
    *) http_refused "the $artifact" ;;
  esac
  [ "$(size_of "$artifact_file.rest")" -eq "$artifact_expected" ] ||
    stop artifact-length-mismatch "The $artifact does not have the length that was signed."
}
