# shellcheck shell=sh
# A conversation with the TPM in its own bytes (Part 3), for commands that belong together: one tpm2_send passes them
# on, where a tool for each of them takes several times as long to start, look around, and load and save a session.
# Objects and sessions are of the conversation: a resource manager drops them with it, a bare TPM has to be told to.

# TPM_RS_PW with the empty password (Part 1, 19.4).
WIRE_NO_PASSWORD=00000009400000090000000000
wire_process=

wire_open() {
  wire_bytes=
  [ -p "$BOOTWARD_RUN/wire.out" ] || mkfifo "$BOOTWARD_RUN/wire.in" "$BOOTWARD_RUN/wire.out" ||
    stop no-work-folder "The folder $BOOTWARD_RUN takes no pipes."
  # A program that is gone is noticed by what it does not answer.
  trap '' PIPE
  tpm2 send <"$BOOTWARD_RUN/wire.in" >"$BOOTWARD_RUN/wire.out" 2>"$BOOTWARD_RUN/tpm.log" &
  wire_process=$!
  exec 8>"$BOOTWARD_RUN/wire.in" 9<"$BOOTWARD_RUN/wire.out"
}

# On every way out: a tool that is started later would wait for a bare TPM for ever.
wire_close() {
  [ -n "$wire_process" ] || return 0
  exec 8>&- 9<&-
  wait "$wire_process"
  wire_process=
  trap - PIPE
}

# wire_ask COMMAND...: each is hex: tag, command code and what follows; the sizes are put in here. They are sent at
# once, so none may need another's answer. Sets wire_answers: a word for each, what follows its response code (`-`:
# nothing). Fails when one of them did; wire_code is the first such code, or empty when the TPM fell silent.
wire_ask() {
  octal='' wire_answers='' wire_code=00000000
  for wire_command; do
    wire_rest=${wire_command#????}
    wire_size=$((${#wire_command} / 2 + 4))
    octal_of "${wire_command%"$wire_rest"}0000"
    octal=$octal\\$((wire_size / 16384))$((wire_size / 2048 % 8))$((wire_size / 256 % 8))
    octal=$octal\\$((wire_size / 64 % 4))$((wire_size / 8 % 8))$((wire_size % 8))
    octal_of "$wire_rest"
  done
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
  [ "$wire_digits" -ge 20 ] && wire_read "$wire_digits" || return
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
