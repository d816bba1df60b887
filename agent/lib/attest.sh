# shellcheck shell=sh
# Attestation (DESIGN journey 3): challenge, evidence, verdict. An accepted boot gets a grant; evidence of the
# running system gets a verdict alone.

# attest_boot: sets release_channel, release_version and release_digest; the grant waits in a file that
# curl reads, so that it stands in no process list.
attest_boot() {
  attest_prepare boot
  attest_ask_challenge
  if [ "$http_status-$problem_code" = 404-ak-unknown ]; then
    enrol
    attest_ask_challenge
  fi
  attest_answer_challenge
  attest_read_release
}

# attest_running PURPOSE: health or reattest, which the session of an accepted boot can pass and nothing else
# can. So there is nothing to enrol here: a machine that the server does not know has to boot.
attest_running() {
  attest_prepare "$1"
  attest_ask_challenge
  [ "$http_status-$problem_code" != 404-ak-unknown ] || stop ak-unknown \
    "The server does not know this machine's attestation key: it must boot through stage-0 first."
  attest_answer_challenge
  attest_read_next
}

attest_prepare() { # PURPOSE
  attest=$BOOTWARD_RUN/attest attest_purpose=$1
  rm -rf "$attest"
  mkdir -p "$attest"
}

# An operator can ask for another attestation key by its generation. Once in an attempt: a server that keeps
# asking gets no further, and the next attempt begins with the first generation again.
attest_ask_challenge() {
  attest_request_challenge
  if [ "$http_status-$problem_code" = 409-ak-rotated ]; then
    attest_rotate_ak
    attest_request_challenge
  fi
}

attest_request_challenge() {
  printf '{"akName":"%s","purpose":"%s"}' "$ak_name" "$attest_purpose" >"$attest/request"
  http_json POST /v1/challenges "$attest/challenge" "$attest/request"
  http_answered "a challenge"
  problem_code=
  [ "$http_status" = 200 ] || http_problem
}

attest_rotate_ak() {
  attest_generation=$(jq -r '.akGeneration | select(type == "number" and . == floor)' "$http_out" 2>/dev/null)
  if ! is_count "$attest_generation" || [ "$attest_generation" -le "$ak_generation" ] ||
    [ "$attest_generation" -gt "$MAX_AK_GENERATION" ]; then
    stop answer-malformed "The server asks for another attestation key without saying which."
  fi
  say "An operator has asked for a new attestation key (generation $attest_generation): making it."
  wire_open
  ak_load "$attest_generation"
  wire_close
  mark ak-rotated "generation=$ak_generation" "ak=$ak_name"
}

attest_answer_challenge() {
  attest_require_challenge
  challenge_open "$attest/challenge" "$attest_purpose"
  evidence_make "$attest/evidence"
  http_json POST /v1/evidence "$attest/verdict" "$attest/evidence"
  case $http_status in
    403) attest_refused "the evidence" ;;
    409) attest_no_release ;;
  esac
  http_require 200 "the evidence"
  report_forget_crash
  attest_read_verdict
}

attest_require_challenge() {
  [ "$http_status" != 200 ] || return 0
  case $http_status-$problem_code in
    403-node-pending) await node-pending "This machine (EK $(ek_words "$ek_fingerprint")) waits for an operator to approve it." ;;
    403-node-revoked) stop node-revoked "An operator has revoked this machine: it boots nothing from here." ;;
    403-node-rejected) stop node-rejected "An operator has rejected this machine: it boots nothing from here." ;;
    409-no-release) await no-release "This machine's channel lists no release yet: $problem_detail" ;;
  esac
  http_refused "a challenge"
}

# attest_refused WHAT: the reasons are the server's words; each has a code and a sentence (docs/reasons.md).
attest_refused() {
  http_answered "$1"
  http_problem
  verdict_judge "$http_out"
  verdict_show_findings
  case $problem_code in
    evidence-held) await evidence-held "The server holds this evidence until an operator has looked at it." ;;
    enrolment-held) await enrolment-held "The server holds this enrolment until an operator has looked at it." ;;
    evidence-refused)
      ! attest_came_late || again evidence-late "The challenge was not good any more: asking for a new one."
      stop evidence-refused "The server refuses what this machine has booted." ;;
  esac
  http_refused "$1"
}

# Slow TPMs and restarted servers are no fault of what was booted.
attest_came_late() {
  case $refused_for in challenge-expired | challenge-unknown) ;; *) return 1 ;; esac
}

attest_no_release() {
  http_answered "the evidence"
  http_problem
  [ "$problem_code" = no-release ] || http_refused "the evidence"
  report_forget_crash
  await no-release "This machine is accepted, but its channel lists no release: $problem_detail"
}

attest_read_verdict() {
  verdict_judge "$attest/verdict"
  verdict_read_facts
  verdict_show_findings
}

attest_read_release() {
  verdict_read_release "$attest/verdict"
  mark verdict verdict=accept "identity=$fact_identity" "admission=$fact_admission" "state=$fact_state" \
    "channel=$release_channel" "version=$release_version"
  printf 'Authorization: Bearer %s' "$grant" >"$attest/authorization"
  printf '%s\n' "$floor_approval" >"$floor/approval"
  rm -f "$attest/verdict"
}

attest_read_next() {
  verdict_read_next "$attest/verdict"
  mark verdict verdict=accept "identity=$fact_identity" "admission=$fact_admission" "state=$fact_state" \
    ${next_seconds:+"next-within=$next_seconds"}
}

# The agent is done with the grant: closed, it is of no use to whoever runs next.
attest_close_grant() {
  http DELETE /v1/grant "$MAX_REPLY_BYTES" "$attest/closed" --header "@$attest/authorization"
  http_require 204 "closing the grant"
  rm -f "$attest/authorization"
  mark grant-closed
}
