# shellcheck shell=sh
# The enrolment token: permission to join, for one machine and once. It comes with the machine (init reads it
# from the hypervisor or from SMBIOS) or is typed at the console while the machine waits. It leaves this
# machine in the body of the enrolment and in nothing else, and no command line or log ever shows it.

TOKEN_FILE=/run/bootward-token
MIN_TOKEN_LENGTH=8
MAX_TOKEN_LENGTH=128

# The first line of the file that init made, if there is one. Sets enrolment_token, empty without one.
token_load() {
  enrolment_token=
  [ -r "${BOOTWARD_TOKEN:-$TOKEN_FILE}" ] || return 0
  token_read <"${BOOTWARD_TOKEN:-$TOKEN_FILE}"
}

# Letters, digits, "._-", and spaces where people type groups: it goes into JSON as it is.
token_read() {
  IFS= read -r enrolment_token || [ -n "$enrolment_token" ] || return 0
  enrolment_token=${enrolment_token%"$(printf '\r')"}
  case $enrolment_token in
    '') ;;
    *[!A-Za-z0-9._\ -]*) token_is_none ;;
    *) [ "${#enrolment_token}" -ge "$MIN_TOKEN_LENGTH" ] && [ "${#enrolment_token}" -le "$MAX_TOKEN_LENGTH" ] || token_is_none ;;
  esac
}

token_is_none() {
  enrolment_token=
  mark token-unusable
  say "That is no enrolment token: one has $MIN_TOKEN_LENGTH to $MAX_TOKEN_LENGTH letters and digits, in groups or not."
}

# Spent or refused, it is of no use to the next attempt, or to whoever looks into this machine's memory.
token_forget() {
  enrolment_token=
  rm -f "${BOOTWARD_TOKEN:-$TOKEN_FILE}"
}

# Whoever stands at the console may type one; nobody has to, and the waiting is not longer for it.
token_invite() {
  [ -t "$CONSOLE" ] || return 0
  say "With an enrolment token there is no need to wait: type it here and press Enter. It is not shown."
  stty -echo <&"$CONSOLE" 2>/dev/null
}

token_uninvite() {
  [ ! -t "$CONSOLE" ] || stty echo <&"$CONSOLE" 2>/dev/null
}

# token_wait SECONDS: as long as that, or until a line is typed. Sets enrolment_token, empty without one.
token_wait() {
  enrolment_token=
  if [ ! -t "$CONSOLE" ]; then
    sleep "$1"
    return
  fi
  head -n 1 <&"$CONSOLE" >"$enrolment/typed" &
  token_reader=$!
  { sleep "$1" && kill "$token_reader"; } 2>/dev/null &
  token_timer=$!
  wait "$token_reader"
  kill "$token_timer" 2>/dev/null
  token_read <"$enrolment/typed"
  rm -f "$enrolment/typed"
}
