# shellcheck shell=sh
# agent.conf: `key=value` lines, read and never run. Whatever is not exactly expected stops the boot:
# the file is part of the measured stage-0, so a mistake in it is a mistake of the build.

# load_config COMMAND: boot needs everything. attest runs in systems that stage-0 has started, and whose build
# it need not repeat: stage-0 left a note of it.
load_config() {
  config_command=$1
  config_file=$BOOTWARD_ETC/agent.conf
  server_url='' stage0_build='' built_at='' on_failure=''
  retry_attempts='' retry_min_seconds='' retry_max_seconds='' pending_seconds=''
  health_timeout_seconds='' watchdog_seconds=''
  [ -r "$config_file" ] || stop config-invalid "There is no configuration at $config_file."
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      '' | '#'*) ;;
      *=*) config_entry "${line%%=*}" "${line#*=}" ;;
      *) config_refuse "the line \"$line\" is not key=value" ;;
    esac
  done <"$config_file"
  : "${retry_attempts:=8}" "${retry_min_seconds:=2}" "${retry_max_seconds:=60}" "${pending_seconds:=86400}" \
    "${health_timeout_seconds:=60}"
  [ "$config_command" = boot ] || config_complete
  config_check
}

config_complete() {
  : "${on_failure:=halt}" "${built_at:=1}"
  [ -n "$stage0_build" ] ||
    stage0_build=$(jq -r '.stage0Build' "${BOOTWARD_NOTE:-/run/bootward/boot.json}" 2>/dev/null)
}

config_entry() { # KEY VALUE
  case $1 in
    server_url | stage0_build | built_at | on_failure) ;;
    retry_attempts | retry_min_seconds | retry_max_seconds | pending_seconds) ;;
    health_timeout_seconds | watchdog_seconds) ;;
    *) config_refuse "the key \"$1\" is not known" ;;
  esac
  eval "[ -z \"\$$1\" ]" || config_refuse "the key \"$1\" appears twice"
  eval "$1=\$2"
}

config_check() {
  is_server_url "$server_url" || config_refuse "server_url is not https://HOST or https://HOST:PORT"
  for key in stage0_build built_at retry_attempts retry_min_seconds retry_max_seconds pending_seconds health_timeout_seconds \
    ${watchdog_seconds:+watchdog_seconds}; do
    eval "value=\$$key"
    if ! is_count "$value" || [ "$value" -lt 1 ]; then config_refuse "$key is not a positive integer"; fi
  done
  case $on_failure in reboot | halt | poweroff) ;; *) config_refuse "on_failure is not reboot, halt or poweroff" ;; esac
}

is_server_url() {
  case $1 in https://?*) ;; *) return 1 ;; esac
  case ${1#https://} in *[!A-Za-z0-9.:-]*) return 1 ;; esac
}

config_refuse() {
  stop config-invalid "The configuration in $config_file is not usable: $*."
}

# The earliest moment that it can be now. Nodes have no clock to trust: stage-0 cannot run before it was built,
# nor before metadata that this machine has seen were signed, and a clock that runs ahead only makes the agent
# refuse sooner.
earliest_now() {
  earliest=$(date +%s)
  for bound in "$built_at" "$floor_time" "$tuf_time"; do
    [ "$earliest" -ge "$bound" ] || earliest=$bound
  done
  echo "$earliest"
}
