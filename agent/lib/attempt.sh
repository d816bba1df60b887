# shellcheck shell=sh
# Attempts, and the one way out. An attempt runs in a process of its own, so that any depth of it can end
# it (stop, again, await in console.sh); this one only decides whether there is another.

# attempt FUNCTION: sets attempt_status.
attempt() {
  mkdir -p "$BOOTWARD_RUN" || stop no-work-folder "The folder $BOOTWARD_RUN cannot be made."
  "$1" &
  attempt_process=$!
  wait "$attempt_process"
  attempt_status=$?
  attempt_process=
  return 0
}

# attempt_until_done FUNCTION: returns when an attempt succeeds; failures and waiting have their limits.
attempt_until_done() {
  attempt_failures=0 attempt_wait_until=$(($(uptime_seconds) + pending_seconds))
  while attempt "$1" && [ "$attempt_status" -ne 0 ]; do
    case $attempt_status in
      "$EXIT_AGAIN") attempt_count_failure ;;
      "$EXIT_WAIT") attempt_count_wait ;;
      *) exit "$attempt_status" ;;
    esac
    say "Trying again in $attempt_delay seconds."
    pause "$attempt_delay"
  done
}

attempt_count_failure() {
  attempt_failures=$((attempt_failures + 1))
  [ "$attempt_failures" -lt "$retry_attempts" ] || stop retries-exhausted "Giving up after $attempt_failures failed attempts."
  attempt_delay=$(backoff_seconds "$attempt_failures")
}

attempt_count_wait() {
  [ "$(uptime_seconds)" -lt "$attempt_wait_until" ] || stop waited-too-long "Nobody acted within $pending_seconds seconds."
  attempt_failures=0 attempt_delay=$(jittered "$retry_max_seconds")
}

# guard_exit LAST: from here on every way out leads through LAST, and a signal is a way out. For a boot that
# is the poison (handover.sh).
guard_exit() {
  attempt_process='' guard_last=$1
  trap leave EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

leave() {
  leave_status=$?
  trap '' HUP INT TERM
  [ -z "$attempt_process" ] || kill "$attempt_process" 2>/dev/null
  "$guard_last" || mark poison-failed
  exit "$leave_status"
}
