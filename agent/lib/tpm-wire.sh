# shellcheck shell=sh
# A conversation with the TPM in its own bytes (Part 3), for commands that belong together: one tpm2_send passes them
# on, where a tool for each of them takes several times as long to start, look around, and load and save a session.
# Objects and sessions are of the conversation: a resource manager drops them with it, a bare TPM has to be told to.

# TPM_RS_PW with the empty password (Part 1, 19.4).
WIRE_NO_PASSWORD=00000009400000090000000000
wire_process='' wire_opened=

# A folder is of one agent, and that talks to one TPM at a time.
wire_open() {
  wire_bytes='' wire_opened='' wire_pipe=$BOOTWARD_RUN/wire
  [ -p "$wire_pipe.out" ] || { rm -f "$wire_pipe.in" && mkfifo "$wire_pipe.in" "$wire_pipe.out"; } ||
    stop no-work-folder "The folder $BOOTWARD_RUN takes no pipes."
  # A program that is gone is noticed by what it does not answer.
  trap '' PIPE
  tpm2 send <"$wire_pipe.in" >"$wire_pipe.out" 2>"$BOOTWARD_RUN/tpm.log" &
  wire_process=$!
  exec 8>"$wire_pipe.in" 9<"$wire_pipe.out"
  wire_opened=yes
}

# On every way out, also one between the two lines above, where the program waits for us: a tool that is started later
# would wait for a bare TPM for ever.
wire_close() {
  [ -n "$wire_process" ] || return 0
  exec 8>&- 9<&-
  [ -n "$wire_opened" ] || kill "$wire_process" 2>/dev/null
  wait "$wire_process"
  wire_process=
  trap - PIPE
}

# wire_ask COMMAND...: each is hex: tag, command code and what follows; the sizes are put in here. They are sent at
# once, so none may need another's answer. Sets wire_answers: a word for each, what follows its response code (`-`:
# nothing). Fails when one of them did; wire_code is the first such code, or empty when the TPM fell silent. A single
# command that the TPM puts off is given again.
wire_ask() {
  wire_left=5
  until wire_ask_once "$@"; do
    wire_left=$((wire_left - 1))
    [ $# -eq 1 ] && [ "$wire_left" -gt 0 ] && wire_is_later || return
    sleep 1
  done
}

# TPM_RC_YIELDED, TPM_RC_TESTING, TPM_RC_NV_RATE, TPM_RC_RETRY (Part 2, 6.6.3): nothing was done yet.
wire_is_later() {
  case $wire_code in 00000908 | 0000090a | 00000920 | 00000922) ;; *) return 1 ;; esac
}

wire_ask_once() {
  octal='' wire_answers='' wire_code=
  for wire_command; do
    wire_rest=${wire_command#????}
    wire_size=$((${#wire_command} / 2 + 4))
    octal_of "${wire_command%"$wire_rest"}0000" || return
    octal=$octal\\$((wire_size / 16384))$((wire_size / 2048 % 8))$((wire_size / 256 % 8))
    octal=$octal\\$((wire_size / 64 % 4))$((wire_size / 8 % 8))$((wire_size % 8))
    octal_of "$wire_rest" || return
  done
  wire_code=00000000
  # shellcheck disable=SC2059 # the format is the bytes
  printf "$octal" >&8 2>/dev/null
  for wire_command; do
    wire_read_answer || return
  done
  [ "$wire_code" = 00000000 ]
}

# Tag, size and code are ten bytes.
wire_read_answer() {
  wire_read 20 || return
  wire_rest=${wire_bytes#????????????}
  wire_digits=$((0x${wire_bytes%"$wire_rest"} % 0x100000000 * 2))
  if [ "$wire_digits" -lt 20 ] || ! wire_read "$wire_digits"; then
    wire_code=
    return 1
  fi
  wire_answer=$wire_bytes
  [ "${#wire_bytes}" -eq "$wire_digits" ] || wire_answer=$(printf "%.${wire_digits}s" "$wire_bytes")
  wire_bytes=${wire_bytes#"$wire_answer"}
  wire_rest=${wire_answer#????????????????????}
  wire_answers="$wire_answers ${wire_rest:--}"
  wire_answer=${wire_answer%"$wire_rest"}
  [ "$wire_code" != 00000000 ] || wire_code=${wire_answer#????????????}
}

# wire_read DIGITS: into wire_bytes, which may hold some of the next answer, too.
wire_read() {
  until [ "${#wire_bytes}" -ge "$1" ]; do
    wire_hex=$(dd bs=4096 count=1 <&9 2>/dev/null | od -An -v -tx1)
    [ -n "$wire_hex" ] || {
      wire_code=
      return 1
    }
    for wire_more in $wire_hex; do
      wire_bytes=$wire_bytes$wire_more
    done
  done
}

wire_complaint() {
  if [ -n "$wire_code" ]; then tpm2 rc_decode "0x$wire_code"; else tpm_complaint; fi
}
