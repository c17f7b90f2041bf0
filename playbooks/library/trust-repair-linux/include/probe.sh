# Probes: bounded in time, read by number.

PROBE_ERRORS=

# Notes that a probe failed: its name, its number.
probe_failed() {
    PROBE_ERRORS="$PROBE_ERRORS${PROBE_ERRORS:+,}{\"probe\":\"$1\",\"code\":$(number "$2")}"
}

have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command for so many seconds at most; 124: it was ended, 137: it had to be killed.
bounded() {
    seconds=$1
    shift
    timeout -k 2 "$seconds" "$@"
}

# Tells whether a name is one that may be given to programs as an argument.
is_name() {
    case $1 in '' | -* | *[!A-Za-z0-9._:-]*) return 1 ;; esac
}

# Prints true or false: whether a TCP port answers within 3 seconds. Nothing: cannot be tried.
tcp() {
    # shellcheck disable=SC2016 # the words are for the other shell
    if have bash; then
        bounded 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null
    elif have nc; then
        bounded 3 nc -w 3 "$1" "$2" </dev/null >/dev/null 2>&1
    elif have python3; then
        bounded 3 python3 -c 'import socket, sys
socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)' "$1" "$2" 2>/dev/null
    elif have perl; then
        bounded 3 perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new(
            PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Timeout => 3)' "$1" "$2" 2>/dev/null
    else
        return 0
    fi && echo true || echo false
}

# Prints the NTSTATUS in what a Samba tool said, as a number: 0xc0000022, or else the name of the
# constant. Both are the same in every language.
nt_status() {
    code=$(printf '%s\n' "$1" | sed -n 's/.*(\(0x[cC][0-9a-fA-F]\{7\}\)).*/\1/p' | head -n 1)
    [ -n "$code" ] || case $(printf '%s\n' "$1" | grep -o 'NT_STATUS_[A-Z_0-9]*' | tail -n 1) in
        NT_STATUS_UNSUCCESSFUL) code=0xc0000001 ;;
        NT_STATUS_ACCESS_DENIED) code=0xc0000022 ;;
        NT_STATUS_OBJECT_NAME_NOT_FOUND) code=0xc0000034 ;;
        NT_STATUS_NO_LOGON_SERVERS) code=0xc000005e ;;
        NT_STATUS_NO_SUCH_USER) code=0xc0000064 ;;
        NT_STATUS_WRONG_PASSWORD) code=0xc000006a ;;
        NT_STATUS_LOGON_FAILURE) code=0xc000006d ;;
        NT_STATUS_ACCOUNT_RESTRICTION) code=0xc000006e ;;
        NT_STATUS_INVALID_LOGON_HOURS) code=0xc000006f ;;
        NT_STATUS_INVALID_WORKSTATION) code=0xc0000070 ;;
        NT_STATUS_PASSWORD_EXPIRED) code=0xc0000071 ;;
        NT_STATUS_ACCOUNT_DISABLED) code=0xc0000072 ;;
        NT_STATUS_IO_TIMEOUT) code=0xc00000b5 ;;
        NT_STATUS_BAD_NETWORK_NAME) code=0xc00000cc ;;
        NT_STATUS_CANT_ACCESS_DOMAIN_INFO) code=0xc00000da ;;
        NT_STATUS_NO_SUCH_DOMAIN) code=0xc00000df ;;
        NT_STATUS_INTERNAL_ERROR) code=0xc00000e5 ;;
        NT_STATUS_TIME_DIFFERENCE_AT_DC) code=0xc0000133 ;;
        NT_STATUS_LOGON_TYPE_NOT_GRANTED) code=0xc000015b ;;
        NT_STATUS_NO_TRUST_LSA_SECRET) code=0xc000018a ;;
        NT_STATUS_NO_TRUST_SAM_ACCOUNT) code=0xc000018b ;;
        NT_STATUS_TRUSTED_DOMAIN_FAILURE) code=0xc000018c ;;
        NT_STATUS_TRUSTED_RELATIONSHIP_FAILURE) code=0xc000018d ;;
        NT_STATUS_ACCOUNT_EXPIRED) code=0xc0000193 ;;
        NT_STATUS_CONNECTION_DISCONNECTED) code=0xc000020c ;;
        NT_STATUS_CONNECTION_RESET) code=0xc000020d ;;
        NT_STATUS_PASSWORD_MUST_CHANGE) code=0xc0000224 ;;
        NT_STATUS_DOMAIN_CONTROLLER_NOT_FOUND) code=0xc0000233 ;;
        NT_STATUS_ACCOUNT_LOCKED_OUT) code=0xc0000234 ;;
        NT_STATUS_CONNECTION_REFUSED) code=0xc0000236 ;;
        NT_STATUS_NETWORK_UNREACHABLE) code=0xc000023c ;;
        NT_STATUS_HOST_UNREACHABLE) code=0xc000023d ;;
        NT_STATUS_DOWNGRADE_DETECTED) code=0xc0000388 ;;
    esac
    [ -z "$code" ] || echo "$((code))"
}

# Prints the number (RFC 4120, 7.5.9) of the last error in a trace of MIT Kerberos that is no
# part of an ordinary logon: 25 asks for pre-authentication, 52 for TCP.
krb_error() {
    printf '%s\n' "$1" | awk '
        match($0, /error from KDC: -17653[0-9]+\//) {
            n = substr($0, RSTART, RLENGTH); sub(/.*: /, "", n); sub(/\//, "", n)
            n += 1765328384
            if (n != 25 && n != 52) last = n
        }
        END { if (last != "") print last }'
}
