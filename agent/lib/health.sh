# shellcheck shell=sh
# Is this system well? What its owner put into health.d says so, by exit status; then evidence of purpose health
# carries the answer (docs/agent.md, Health).

MAX_HOOK_BYTES=4096

# Sets health and writes $health_folder/report: a line for each hook, then what they printed, failed ones first.
health_check() {
  health=healthy health_folder=$BOOTWARD_RUN/health
  rm -rf "$health_folder"
  mkdir -p "$health_folder/failed" "$health_folder/passed"
  : >"$health_folder/lines"
  for health_hook in "$BOOTWARD_ETC"/health.d/*; do
    if [ -f "$health_hook" ] && [ -x "$health_hook" ]; then health_run_hook "${health_hook##*/}"; fi
  done
  {
    cat "$health_folder/lines"
    for health_output in "$health_folder"/failed/* "$health_folder"/passed/*; do
      [ ! -s "$health_output" ] || { printf -- '--- %s\n' "${health_output##*/}" && cat "$health_output" && echo; }
    done
  } | report_printable | head -c "$MAX_REPORT_BYTES" >"$health_folder/report"
}

# A hook may leave a process behind that keeps its output open: that one is not waited for.
health_run_hook() { # NAME
  health_began=$(uptime_seconds)
  rm -f "$health_folder/pipe"
  mkfifo "$health_folder/pipe"
  { head -c "$MAX_HOOK_BYTES" >"$health_folder/output"; cat; } <"$health_folder/pipe" >/dev/null 2>&1 3>&- &
  health_reader=$!
  timeout -k 5 "$health_timeout_seconds" "$health_hook" </dev/null >"$health_folder/pipe" 2>&1 3>&-
  health_status=$?
  health_take_seconds=$(($(uptime_seconds) - health_began))
  health_end_reader
  if [ "$health_status" -eq 0 ]; then health_kind=passed; else health_kind=failed health=unhealthy; fi
  mv "$health_folder/output" "$health_folder/$health_kind/$1"
  health_word="exit status $health_status"
  case $health_status in 124 | 137 | 143) [ "$health_take_seconds" -lt "$health_timeout_seconds" ] || health_word='took too long' ;; esac
  printf '%s: %s after %s s\n' "$1" "$health_word" "$health_take_seconds" >>"$health_folder/lines"
  mark health-hook "name=$(printf '%s' "$1" | tr -c 'A-Za-z0-9._-' '_')" "status=$health_status"
}

health_end_reader() {
  health_waits=0
  while kill -0 "$health_reader" 2>/dev/null && [ "$health_waits" -lt 20 ]; do
    sleep 0.1
    health_waits=$((health_waits + 1))
  done
  kill "$health_reader" 2>/dev/null
  wait "$health_reader" 2>/dev/null
}

# The hooks run once; the server is asked until it answers, with growing pauses, as often as a boot asks it.
health_report() {
  load_config attest
  health_check
  printf '%s\n' "$health" >"$health_folder/result"
}

health_attest() {
  load_config attest
  read -r claim_health <"$BOOTWARD_RUN/health/result"
  report_begin "$BOOTWARD_RUN/health/report"
  mark start "build=$stage0_build" "server=$server_url"
  mark health "result=$claim_health" "report-bytes=$(size_of "$BOOTWARD_RUN/health/report")"
  attest_once health
}

health_until_answered() {
  attempt health_report
  [ "$attempt_status" -eq 0 ] || return 0
  load_config attest
  health_failures=0
  while attempt health_attest && [ "$attempt_status" -eq "$EXIT_AGAIN" ]; do
    health_failures=$((health_failures + 1))
    [ "$health_failures" -lt "$retry_attempts" ] || return 0
    health_pause=$(backoff_seconds "$health_failures")
    say "Trying again in $health_pause seconds."
    pause "$health_pause"
  done
}
