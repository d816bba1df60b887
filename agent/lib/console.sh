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
EXIT_REFUSED=23
EXIT_NO_TPM=24

# stop CODE WORDS...: trying again would give the same answer.
stop() {
  case $1 in
    evidence-refused | node-revoked | node-rejected | ak-unknown) end_attempt stop "$EXIT_REFUSED" "$@" ;;
    tpm-missing) end_attempt stop "$EXIT_NO_TPM" "$@" ;;
    *) end_attempt stop "$EXIT_STOP" "$@" ;;
  esac
}

# again CODE WORDS...: the network or the server may do better in a while.
again() {
  end_attempt retry "$EXIT_AGAIN" "$@"
}

# await CODE WORDS...: a person has to do something first.
await() {
  end_attempt wait "$EXIT_WAIT" "$@"
}

# What ended it is left for whoever asked, in a line for a program and one for a person. A conversation with the TPM
# that is open ends here, too.
end_attempt() {
  wire_close
  ending=$1 ending_status=$2 ending_code=$3
  shift 3
  mark "$ending" "code=$ending_code"
  say "$*"
  printf '%s\n%s\n' "$ending_code" "$(plain "$*")" 2>/dev/null >"$BOOTWARD_RUN/ending"
  exit "$ending_status"
}
