# shellcheck shell=sh
# Waiting: exponential with jitter, so that a thousand nodes that lost one server do not come back as one.

# backoff_seconds N: for the Nth failure, from half to all of min(retry_max, retry_min * 2^(N-1)).
backoff_seconds() {
  ceiling=$retry_min_seconds doublings=$1
  while [ "$doublings" -gt 1 ] && [ "$ceiling" -lt "$retry_max_seconds" ]; do
    ceiling=$((ceiling * 2)) doublings=$((doublings - 1))
  done
  [ "$ceiling" -le "$retry_max_seconds" ] || ceiling=$retry_max_seconds
  jittered "$ceiling"
}

# jittered SECONDS: a random integer from half of it (rounded up, so never 0) to all of it
jittered() {
  least=$((($1 + 1) / 2))
  echo $((least + $(od -An -N2 -tu2 /dev/urandom | tr -d ' ') % ($1 - least + 1)))
}

# A shell hears signals while it waits, not while a command runs in its foreground.
pause() { # SECONDS
  sleep "$1" &
  wait $!
}

uptime_seconds() {
  cut -d . -f 1 /proc/uptime
}
