# shellcheck shell=sh
# Bytes and their spellings: lower-case hex, base64, base64url (RFC 4648). One value has one spelling.

is_hex() { # TEXT DIGITS
  case $1 in *[!0-9a-f]*) return 1 ;; esac
  [ "${#1}" -eq "$2" ]
}

is_count() { # TEXT: a decimal integer of at most 15 digits, without leading zeros
  case $1 in '' | *[!0-9]* | 0?*) return 1 ;; esac
  [ "${#1}" -le 15 ]
}

hex_of() { # FILE
  od -An -v -tx1 "$1" | tr -d ' \n'
}

# octal_of HEX: appends checked lower-case hex to octal, as the format of a printf, of which POSIX knows no \x. Without
# a process, which costs an emulated machine more than a thousand bytes here.
octal_of() {
  case $1 in *[!0-9a-f]*) return 1 ;; esac
  octal_rest=$1
  while [ "${#octal_rest}" -ge 2 ]; do
    octal_tail=${octal_rest#??}
    octal_byte=$((0x${octal_rest%"$octal_tail"}))
    octal=$octal\\$((octal_byte / 64))$((octal_byte / 8 % 8))$((octal_byte % 8))
    octal_rest=$octal_tail
  done
}

unhex() { # HEX
  octal=
  octal_of "$1" || return
  # shellcheck disable=SC2059 # the format is the bytes
  printf "$octal"
}

# last_of DIGITS TEXT
last_of() {
  last_tail=$(printf "%.$((${#2} - $1))s" "$2")
  printf '%s' "${2#"$last_tail"}"
}

sha256_of() { # FILE
  sha256sum <"$1" | cut -c 1-64
}

hash_of_hex() { # HEX
  hash=$(unhex "$1" | sha256sum)
  echo "${hash%% *}"
}

size_of() { # FILE
  if [ -e "$1" ]; then stat -c %s "$1"; else echo 0; fi
}

base64_of() { # FILE
  base64 -w 0 <"$1"
}

base64_of_hex() { # HEX
  unhex "$1" | base64 -w 0
}

base64_decode() { # TEXT OUT
  printf '%s' "$1" | base64 -d >"$2" 2>/dev/null && [ "$(base64_of "$2")" = "$1" ]
}

base64url_decode() { # TEXT OUT
  case $1 in '' | *[!A-Za-z0-9_-]*) return 1 ;; esac
  case $((${#1} % 4)) in
    0) padding= ;;
    2) padding='==' ;;
    3) padding='=' ;;
    *) return 1 ;;
  esac
  base64_decode "$(printf '%s%s' "$1" "$padding" | tr '_-' '/+')" "$2"
}
