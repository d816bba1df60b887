# shellcheck shell=sh
# Attestation (DESIGN journey 3): challenge, evidence, verdict. An accepted boot gets a grant.

# attest_boot: sets release_channel, release_version and release_digest; the grant waits in a file that
# curl reads, so that it stands in no process list.
attest_boot() {
  attest=$BOOTWARD_RUN/attest
  mkdir -p "$attest"
  attest_ask_challenge
  if [ "$http_status" = 404 ] && [ "$problem_code" = ak-unknown ]; then
    enrol
    attest_ask_challenge
  fi
  attest_require_challenge
  challenge_open "$attest/challenge" boot
  evidence_make "$attest/evidence"
  http_json POST /v1/evidence "$attest/verdict" "$attest/evidence"
  case $http_status in
    403) attest_refused ;;
    409) attest_no_release ;;
  esac
  http_require 200 "the evidence"
  attest_read_verdict
}

attest_ask_challenge() {
  printf '{"akName":"%s","purpose":"boot"}' "$ak_name" >"$attest/request"
  http_json POST /v1/challenges "$attest/challenge" "$attest/request"
  http_answered "a challenge"
  [ "$http_status" = 200 ] || http_problem
}

attest_require_challenge() {
  [ "$http_status" != 200 ] || return 0
  case $http_status-$problem_code in
    403-node-pending) await node-pending "This machine (EK $ek_fingerprint) waits for an operator to approve it." ;;
    403-node-revoked) stop node-revoked "An operator has revoked this machine: it boots nothing from here." ;;
    403-node-rejected) stop node-rejected "An operator has rejected this machine: it boots nothing from here." ;;
    409-no-release) await no-release "This machine's channel lists no release yet: $problem_detail" ;;
  esac
  http_refused "a challenge"
}

# The reasons are the server's words; each has a code (docs/protocol.md) and a sentence.
attest_refused() {
  http_answered "the evidence"
  http_problem
  attest_judge "$http_out"
  attest_show_reasons
  case $problem_code in
    evidence-held) await evidence-held "The server holds this boot until an operator has looked at it." ;;
    evidence-refused)
      ! attest_came_late || again evidence-late "The challenge was not good any more: asking for a new one."
      stop evidence-refused "The server refuses what this machine has booted." ;;
  esac
  http_refused "the evidence"
}

# Slow TPMs and restarted servers are no fault of what was booted.
attest_came_late() {
  case $refused_for in challenge-expired | challenge-unknown) ;; *) return 1 ;; esac
}

attest_no_release() {
  http_answered "the evidence"
  http_problem
  [ "$problem_code" = no-release ] || http_refused "the evidence"
  await no-release "This machine is accepted, but its channel lists no release: $problem_detail"
}

# attest_judge FILE: what was granted, or an empty line, and then each reason and note; in $attest/judged.
# Patterns end with \z: to jq a $ would also stand before a last line break, and make two lines of one.
attest_judge() {
  jq -r 'def word: tostring | select(test("^[A-Za-z0-9_.-]{1,4096}\\z"));
    (if .verdict == "accept" then [.facts.identity, .facts.admission, .facts.state, .release.channel,
      (.release.version | select(type == "number" and . == floor and . >= 1 and . <= 9007199254740991)),
      .release.digest, .grant | word] | select(length == 7) | join(" ") else "" end),
    ({reason: (.reasons // []), note: (.notes // [])} | to_entries[] | .key as $kind | .value[]
      | "\($kind) \(.code | word) \(.message | tostring | gsub("[\n\r]"; " "))")' "$1" >"$attest/judged" 2>/dev/null ||
    attest_not_understood
}

# One marker and one sentence for each; the last reason stays in refused_for.
attest_show_reasons() {
  refused_for=
  {
    read -r _
    while read -r reason_kind reason_code reason_message; do
      [ "$reason_kind" != reason ] || refused_for=$reason_code
      mark "$reason_kind" "code=$reason_code"
      say "The server says: $reason_message"
    done
  } <"$attest/judged"
}

attest_read_verdict() {
  attest_judge "$attest/verdict"
  read -r fact_identity fact_admission fact_state release_channel release_version release_digest grant <"$attest/judged"
  case $release_channel in -* | *- | *[!a-z0-9-]* | ?????????????????????????????????*) attest_not_understood ;; esac
  is_count "$release_version" && is_hex "$release_digest" 64 && [ -n "$grant" ] || attest_not_understood
  printf 'Authorization: Bearer %s' "$grant" >"$attest/authorization"
  mark verdict verdict=accept "identity=$fact_identity" "admission=$fact_admission" "state=$fact_state" \
    "channel=$release_channel" "version=$release_version"
  attest_show_reasons
  rm -f "$attest/verdict" "$attest/judged"
}

attest_not_understood() {
  stop answer-malformed "The server's verdict is not what this agent understands."
}

# The agent is done with the grant: closed, it is of no use to whoever runs next.
attest_close_grant() {
  http DELETE /v1/grant "$MAX_REPLY_BYTES" "$attest/closed" --header "@$attest/authorization"
  http_require 204 "closing the grant"
  rm -f "$attest/authorization"
  mark grant-closed
}
