# shellcheck shell=sh
# What the agent says. Lines with `step=` are for programs and stable (docs/agent.md); the others are for
# people. All go to standard error: standard output is for results.

MAX_WORDS=400

# mark STEP [KEY=VALUE ...]: values are words of ours or checked ones, without spaces.
mark() {
  read -r uptime _ </proc/uptime
  printf 'bootward: [%ss] step=%s\n' "$uptime" "$*" >&2
}

say() {
  printf 'bootward: %s\n' "$(plain "$*")" >&2
}

# Text from outside, made harmless for a terminal and a log: printable ASCII, bounded.
plain() {
  printf "%.${MAX_WORDS}s" "$1" | tr -c ' -~' ' '
}

# How an attempt ends when it does not succeed, from whatever depth: it is a process of its own.
EXIT_STOP=20
EXIT_AGAIN=21
EXIT_WAIT=22

# stop CODE WORDS...: trying again would give the same answer.
stop() {
  end_attempt stop "$EXIT_STOP" "$@"
}

# again CODE WORDS...: the network or the server may do better in a while.
again() {
  end_attempt retry "$EXIT_AGAIN" "$@"
}

# await CODE WORDS...: a person has to do something first.
await() {
  end_attempt wait "$EXIT_WAIT" "$@"
}

end_attempt() {
  ending=$1 ending_status=$2 ending_code=$3
  shift 3
  mark "$ending" "code=$ending_code"
  say "$*"
  exit "$ending_status"
}
