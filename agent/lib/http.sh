# shellcheck shell=sh
# HTTPS to the one server: its CA and no other, TLS 1.3, no redirects, no proxies, everything bounded.
# The first connection of an attempt learns the server's key, every later one insists on that key.

CONNECT_SECONDS=15
REQUEST_SECONDS=60
MAX_REPLY_BYTES=65536

# A key pair that lives in RAM for this boot and no longer: it is in the quoted claims, and the grant is
# bound to its certificate (docs/protocol.md, Doors). All attempts of a boot use the same.
http_prepare() {
  http=$BOOTWARD_RUN/http ephemeral_key=$BOOTWARD_RUN/ephemeral.key ephemeral_cert=$BOOTWARD_RUN/ephemeral.pem
  mkdir -p "$http/no-other-ca"
  [ ! -s "$ephemeral_cert" ] || return 0
  openssl req -x509 -config /dev/null -batch -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -subj /CN=bootward-ephemeral -days 2 -keyout "$ephemeral_key" -out "$ephemeral_cert" 2>/dev/null ||
    stop ephemeral-key-failed "The key pair for this boot cannot be made."
}

# http METHOD PATH MAX_BYTES OUT [CURL OPTION...]: sets http_status (000: no answer) and http_failure
# (the exit status of curl). --max-filesize knows only what Content-Length announces; for the rest head
# stops reading at one byte too many, which curl notices (23) or counts.
http() {
  http_method=$1 http_path=$2 http_max=$3 http_out=$4
  shift 4
  {
    curl -q --silent --show-error --globoff --noproxy '*' --proto '=https' --max-redirs 0 --http1.1 \
      --tlsv1.3 --cacert "$BOOTWARD_ETC/server-ca.pem" --capath "$http/no-other-ca" \
      --cert "$ephemeral_cert" --key "$ephemeral_key" ${server_pin:+--pinnedpubkey "$server_pin"} \
      --connect-timeout "$CONNECT_SECONDS" --max-time "$REQUEST_SECONDS" --max-filesize "$http_max" \
      --user-agent "bootward-agent/$stage0_build" --request "$http_method" \
      --write-out '%{stderr}\nbootward-status %{http_code} %{size_download}\n' \
      "$@" "$server_url$http_path" 2>"$http/log"
    echo $? >"$http/exit"
  } | head -c "$((http_max + 1))" >"$http_out"
  read -r http_failure <"$http/exit"
  http_status=000 http_bytes=0
  while read -r http_line http_value http_size; do
    [ "$http_line" != bootward-status ] || http_status=$http_value http_bytes=$http_size
  done <"$http/log"
  if [ "$http_bytes" -gt "$http_max" ]; then http_failure=63; fi
}

# http_json METHOD PATH OUT BODY
http_json() {
  http "$1" "$2" "$MAX_REPLY_BYTES" "$3" --header 'Content-Type: application/json' --header 'Expect:' \
    --data-binary "@$4"
}

# http_require STATUS WHAT: goes on only when the answer has this status.
http_require() {
  http_answered "$2"
  [ "$http_status" = "$1" ] || http_refused "$2"
}

# http_answered WHAT: goes on only when there was a whole answer, whatever it says.
http_answered() {
  case $http_failure in
    0) ;;
    23 | 63) stop answer-too-large "The server sent more than $http_max bytes for $1: refused, nobody signed for that much." ;;
    60) again server-not-trusted "The server's certificate for $1 is not from the CA that is built into this image." ;;
    90) again server-key-changed "Another key than at the start of this attempt answered for $1: not continuing on it." ;;
    *) again server-unreachable "No answer for $1 from $server_url ($(http_failure_words))." ;;
  esac
}

http_failure_words() {
  case $http_failure in
    6) echo 'its name does not resolve' ;;
    7) echo 'nothing listens there' ;;
    28) echo 'it took too long' ;;
    35) echo 'the TLS handshake failed' ;;
    18 | 52 | 56) echo 'the connection broke' ;;
    *) echo "curl says $http_failure" ;;
  esac
}

# http_refused WHAT: ends the attempt in the way that the status asks for.
http_refused() {
  http_problem
  case $http_status in
    3??) stop redirect-refused "The server answered $1 with a redirect ($http_status): this agent follows none." ;;
    429 | 5??) again "$problem_code" "The server cannot answer $1 now ($http_status): $problem_detail" ;;
    *) stop "$problem_code" "The server refuses $1 ($http_status): $problem_detail" ;;
  esac
}

# RFC 9457: sets problem_code (a word) and problem_detail (printable) from the body just received.
http_problem() {
  jq -er '"\(.code | select(test("^[a-z0-9-]{1,40}\\z"))) \(.detail // .title | strings | gsub("[\n\r]"; " "))"' \
    "$http_out" >"$http/problem" 2>/dev/null || echo "http-$http_status no reason given." >"$http/problem"
  read -r problem_code problem_detail <"$http/problem"
  problem_detail=$(plain "$problem_detail")
}

# The first request of an attempt. server_key is the SHA-256 of the SubjectPublicKeyInfo that answered.
http_learn_server_key() { # PATH MAX_BYTES OUT
  server_pin='' server_key=''
  http GET "$1" "$2" "$3" --write-out '%{stderr}%{certs}\nbootward-status %{http_code} %{size_download}\n'
  http_answered "the first request"
  sed -n '/^-----BEGIN CERTIFICATE-----$/,/^-----END CERTIFICATE-----$/p; /^-----END CERTIFICATE-----$/q' \
    "$http/log" >"$http/server.pem"
  certificate_key "$http/server.pem" | base64 -d >"$http/server-key.der"
  [ -s "$http/server-key.der" ] ||
    stop server-key-unknown "The key of the server's certificate cannot be read."
  server_key=$(sha256_of "$http/server-key.der")
  server_pin=sha256//$(unhex "$server_key" | base64 -w 0)
}

# The SubjectPublicKeyInfo of a certificate in base64: the body of its PEM form.
certificate_key() { # FILE [OPENSSL OPTION...]
  openssl x509 -noout -pubkey -in "$@" 2>/dev/null | sed '/^-----/d' | tr -d '\n'
}
