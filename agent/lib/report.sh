# shellcheck shell=sh
# The report: a bounded text beside the evidence, named in the quoted claims, for the person who looks at this
# machine. What the health hooks said, or the last lines of the console before the machine came back.

MAX_REPORT_BYTES=16384
report=
claim_health=
PSTORE=/sys/fs/pstore

# report_begin FILE: what goes into the next evidence as `report`; an empty file, or none, is none.
report_begin() {
  report=$1
  [ -s "$report" ] || report=
}

# Text from outside in the form that reports have: printable ASCII and line ends, of bounded length.
report_printable() {
  tr '\t\r' '  ' | tr -cd ' -~\n'
}

# report_load_crash: what the kernel of the boot before left when it died (pstore), oldest line first: a dump has
# parts, each with a header like `Panic#1 Part3`, of which the first holds the newest lines. Sets report.
report_load_crash() {
  report_folder=${BOOTWARD_PSTORE:-$PSTORE}
  for report_part in "$report_folder"/dmesg-* "$report_folder"/console-*; do
    [ -f "$report_part" ] || continue
    read -r report_event report_number _ <"$report_part"
    report_number=${report_number#Part}
    is_count "$report_number" || report_number=0
    report_event=${report_event%%#*}
    printf '%s %06d %s\n' "${report_event:-none}" "$report_number" "$report_part"
  done 2>/dev/null | sort -r >"$BOOTWARD_RUN/crash.parts"
  while read -r _ _ report_part; do
    cat "$report_part"
  done <"$BOOTWARD_RUN/crash.parts" 2>/dev/null | report_printable | tail -c "$MAX_REPORT_BYTES" >"$BOOTWARD_RUN/crash"
  report_begin "$BOOTWARD_RUN/crash"
}

# Once the server has accepted the evidence that it came with, and so kept it: firmware has little room for the next one.
report_forget_crash() {
  [ "$attest_purpose" = boot ] && [ -e "$BOOTWARD_RUN/crash.parts" ] || return 0
  while read -r _ _ report_part; do
    rm -f "$report_part"
  done <"$BOOTWARD_RUN/crash.parts"
  rm -f "$BOOTWARD_RUN/crash.parts"
}
