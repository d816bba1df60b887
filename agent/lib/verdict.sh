# shellcheck shell=sh
# The server's verdict: read strictly, shown as it comes, and told to whoever asked for it.

# verdict_judge FILE: the facts of an accepted verdict, or an empty line, and then each reason and note; in
# $attest/judged. Patterns end with \z: to jq a $ would also stand before a last line break, and make two
# lines of one.
verdict_judge() {
  jq -r 'def text: if type == "string" then . else error("no text") end;
    def word: text | if test("^[a-z0-9-]{1,64}\\z") then . else error("no word") end;
    (if .verdict == "accept" then [.facts | .identity, .admission, .state | word] | join(" ") else "" end),
    ({reason: (.reasons // []), note: (.notes // [])} | to_entries[] | .key as $kind | .value[]
      | "\($kind) \(.code | word) \(.message | text | gsub("[\n\r]"; " "))")' "$1" >"$attest/judged" 2>/dev/null &&
    [ -s "$attest/judged" ] || verdict_not_understood
}

verdict_read_facts() {
  read -r fact_identity fact_admission fact_state <"$attest/judged"
  [ -n "$fact_state" ] || verdict_not_understood
}

# One marker and one sentence for each; the last reason stays in refused_for.
verdict_show_findings() {
  refused_for=
  {
    read -r _
    while read -r finding_kind finding_code finding_message; do
      [ "$finding_kind" != reason ] || refused_for=$finding_code
      mark "$finding_kind" "code=$finding_code"
      say "The server says: $finding_message"
    done
  } <"$attest/judged"
}

# What an accepted boot gets: sets release_channel, release_version, release_digest, grant and floor_approval (DER in
# hex; `-`: none).
verdict_read_release() { # FILE
  jq -r 'def word: strings | select(test("^[A-Za-z0-9_.-]{1,4096}\\z"));
    [(.release.channel | word), (.release.version | select(type == "number" and . == floor and . >= 1
      and . <= 9007199254740991) | tostring), (.release.digest, .grant | word),
      if has("floor") then .floor.approval | strings | select(test("^(?:[0-9a-f]{2}){8,72}\\z")) else "-" end]
    | select(length == 5) | join(" ")' "$1" >"$attest/released" 2>/dev/null || verdict_not_understood
  read -r release_channel release_version release_digest grant floor_approval <"$attest/released"
  rm -f "$attest/released"
  case $release_channel in -* | *- | *[!a-z0-9-]* | ?????????????????????????????????*) verdict_not_understood ;; esac
  is_count "$release_version" && is_hex "$release_digest" 64 && [ -n "$grant" ] || verdict_not_understood
}

# When the server wants to hear from the running system again: sets next_seconds, empty when it does not say.
verdict_read_next() { # FILE
  jq -er 'if has("nextWithinSeconds") | not then "-" else .nextWithinSeconds
    | select(type == "number" and . == floor and . >= 1 and . <= 31536000) end' "$1" >"$attest/next" 2>/dev/null ||
    verdict_not_understood
  read -r next_seconds <"$attest/next"
  [ "$next_seconds" != - ] || next_seconds=
}

verdict_not_understood() {
  stop answer-malformed "The server's verdict is not what this agent understands."
}

# verdict_report PURPOSE STATUS FORMAT: the result of `attest` on standard output, when its attempt has ended:
# text or json. Of what the attempt left in its files.
verdict_report() {
  case $2 in
    0) verdict_result=accepted ;;
    "$EXIT_AGAIN") verdict_result=unreachable ;;
    "$EXIT_WAIT") verdict_result=held ;;
    "$EXIT_REFUSED") verdict_result=refused ;;
    "$EXIT_NO_TPM") verdict_result=no-tpm ;;
    *) verdict_result=failed ;;
  esac
  mkdir -p "$BOOTWARD_RUN/attest"
  touch "$BOOTWARD_RUN/ending" "$BOOTWARD_RUN/attest/judged" "$BOOTWARD_RUN/attest/next"
  jq -nr --arg purpose "$1" --arg result "$verdict_result" --arg format "$3" \
    --rawfile ending "$BOOTWARD_RUN/ending" --rawfile judged "$BOOTWARD_RUN/attest/judged" \
    --rawfile next "$BOOTWARD_RUN/attest/next" "$VERDICT_REPORT" | tr -c ' -~\n' ' '
}

VERDICT_REPORT='
  def findings($kind): .[1:] | map(select(startswith($kind + " "))[($kind | length) + 1:] | index(" ") as $at
    | {code: .[:$at], message: .[$at + 1:][:400]});
  def words: map("\(.code): \(.message)") | join("; ");
  ($ending | split("\n")) as [$code, $message] | ($judged | split("\n")) as $lines
  | ($lines[0] // "" | split(" ")) as [$identity, $admission, $state]
  | {$purpose, $result,
     code: (if $result == "accepted" then null else $code end),
     message: (if $result == "accepted" then null else $message end),
     facts: (if $state == null then null else {$identity, $admission, $state} end),
     reasons: ($lines | findings("reason")), notes: ($lines | findings("note")),
     nextWithinSeconds: ($next | tonumber? // null)}
  | if $format == "json" then tojson
    elif $result == "accepted" then "accepted: \($purpose), \($identity), \($admission), \($state)"
      + (if .notes == [] then "" else " (\(.notes | words))" end)
      + (if .nextWithinSeconds then ", expected again within \(.nextWithinSeconds) seconds" else "" end)
    else "\($result): \(if .reasons == [] then "\($code): \($message)" else .reasons | words end)" end'
