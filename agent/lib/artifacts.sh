# shellcheck shell=sh
# The release: what the channel's verified metadata lists, its manifest, and the files that it names. All
# of it is taken by length and SHA-256, from whoever serves it.

MAX_MANIFEST_BYTES=16384
ARTIFACT_TRIES=8
ARTIFACT_SECONDS=3600
STALLED_SECONDS=30

# Fetches $release_channel's $release_version: manifest.json, kernel and initramfs in $release.
fetch_release() {
  release=$BOOTWARD_RUN/release
  mkdir -p "$release"
  release_find_listing
  release_manifest=$release/manifest.json
  fetch_artifact manifest "$(jq -r .hashes.sha256 "$release/listing")" "$(jq -r .length "$release/listing")" "$release_manifest"
  release_check_manifest
  for part in kernel initramfs; do
    fetch_artifact "$part" "$(jq -r ".$part.sha256" "$release_manifest")" "$(jq -r ".$part.length" "$release_manifest")" "$release/$part"
  done
}

# The verdict chooses among listed releases; what a release is, only the release keys say.
release_find_listing() {
  release_target=channels/$release_channel/$release_version.json
  jq -ce --arg target "$release_target" --arg digest "$release_digest" --argjson limit "$MAX_MANIFEST_BYTES" '
    .targets[$target] | select(.hashes.sha256 == $digest and (.length | type == "number" and . >= 1 and . <= $limit))' \
    "$tuf/channel-$release_channel.signed" >"$release/listing" 2>/dev/null ||
    stop release-not-listed "The release keys do not list version $release_version of channel $release_channel as the server gives it."
}

# The manifest says of itself what the metadata says of it, in words that mean one thing (docs/protocol.md).
release_check_manifest() {
  jq -e -s --arg channel "$release_channel" --argjson version "$release_version" \
    --arg architecture "$(machine_architecture)" --slurpfile listing "$release/listing" '
    def artifact: type == "object" and keys == ["length", "sha256"] and (.sha256 | test("^[0-9a-f]{64}$"))
      and (.length | type == "number" and . == floor and . >= 1 and . <= 4294967295);
    def printable: explode | all(. >= 32 and . <= 126);
    length == 1 and (.[0] | .format == "bootward-release-v1" and .channel == $channel and .version == $version
      and .architecture == $architecture and $listing[0].custom == {version, architecture, name}
      and (.name | printable) and (.cmdline | printable and length <= 2047)
      and (.kernel | artifact) and (.initramfs | artifact))' "$release_manifest" >/dev/null 2>&1 ||
    stop manifest-invalid "The release manifest is not what the metadata lists for this $(machine_architecture) machine."
  mark manifest "channel=$release_channel" "version=$release_version" "digest=$release_digest"
  say "Release: $(jq -r .name "$release_manifest")"
}

machine_architecture() {
  case $(uname -m) in
    x86_64) echo x86-64 ;;
    aarch64) echo arm64 ;;
    *) echo unknown ;;
  esac
}

# fetch_artifact WHAT SHA256 LENGTH OUT. A broken download goes on where it broke; what is whole and not
# what was signed is thrown away, and never asked for again in this attempt.
fetch_artifact() {
  artifact=$1 artifact_sha256=$2 artifact_length=$3 artifact_file=$4 artifact_tries=0
  [ "$(size_of "$artifact_file")" -le "$artifact_length" ] || rm -f "$artifact_file"
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
# follows (RFC 9110, 13.1.5).
fetch_rest() {
  artifact_have=$(size_of "$artifact_file")
  set -- --max-time "$ARTIFACT_SECONDS" --speed-limit 1024 --speed-time "$STALLED_SECONDS" \
    --header "@$attest/authorization"
  [ "$artifact_have" -eq 0 ] ||
    set -- "$@" --header "Range: bytes=$artifact_have-" --header "If-Range: \"$artifact_sha256\""
  http GET "/v1/artifacts/$artifact_sha256" "$((artifact_length - artifact_have))" "$artifact_file.rest" "$@"
  case $http_failure-$http_status in
    0-* | 60-* | 63-* | 90-*) fetch_check_answer ;;
  esac
  case $artifact_have-$http_status in
    0-200) mv "$artifact_file.rest" "$artifact_file" ;;
    0-*) ;;
    *-206) cat "$artifact_file.rest" >>"$artifact_file" ;;
    *-200) rm -f "$artifact_file" ;;
  esac
  rm -f "$artifact_file.rest"
}

# A whole answer: either bytes of the artifact, all that were missing, or the reason why not.
fetch_check_answer() {
  http_answered "the $artifact"
  case $artifact_have-$http_status in
    0-200 | [1-9]*-206)
      [ "$(size_of "$artifact_file.rest")" -eq "$http_max" ] ||
        stop artifact-length-mismatch "The $artifact is shorter than what was signed." ;;
    [1-9]*-200) ;;
    *) http_refused "the $artifact" ;;
  esac
}
