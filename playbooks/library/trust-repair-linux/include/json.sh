# A script uses some of what it includes.
# shellcheck disable=SC2034,SC2317,SC2329

# Parameters in, answer out. Secrets pass through pipes and shell variables only: printf is
# built into sh, so none is ever an argument of a program, in the environment or in a file.

LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
# No ticket of ours is ever in a file.
KRB5CCNAME=MEMORY:fleetmend
export LC_ALL PATH KRB5CCNAME
# Nothing may wait without end, so nothing is begun without it.
command -v timeout >/dev/null && command -v awk >/dev/null || exit 90

PARAMS=$(cat)

# Prints the value at a path (.name, .credential.user) of the parameters; nothing for null or a
# path that is not there. RFC 8259; characters beyond ASCII come as UTF-8.
param() {
    printf '%s' "$PARAMS" | awk -v want="$1" '
        function blank() { while (substr(s, i, 1) ~ /^[ \t\r\n]$/) i++ }
        function hex(at,  k, n) {
            for (k = 0; k < 4; k++)
                n = n * 16 + index("0123456789abcdef", tolower(substr(s, at + k, 1))) - 1
            return n
        }
        function utf8(n) {
            if (n < 128) return sprintf("%c", n)
            if (n < 2048) return sprintf("%c%c", 192 + int(n / 64), 128 + n % 64)
            if (n < 65536)
                return sprintf("%c%c%c", 224 + int(n / 4096), 128 + int(n / 64) % 64, 128 + n % 64)
            return sprintf("%c%c%c%c", 240 + int(n / 262144), 128 + int(n / 4096) % 64, \
                128 + int(n / 64) % 64, 128 + n % 64)
        }
        function text(  c, n, out) {
            for (i++; (c = substr(s, i, 1)) != "\""; i++) {
                if (c == "") exit 1
                if (c != "\\") { out = out c; continue }
                c = substr(s, ++i, 1)
                if (c == "n") c = "\n"
                else if (c == "t") c = "\t"
                else if (c == "r") c = "\r"
                else if (c == "b") c = "\b"
                else if (c == "f") c = "\f"
                else if (c == "u") {
                    n = hex(i + 1); i += 4
                    if (n >= 55296 && n < 56320) {
                        n = 65536 + (n - 55296) * 1024 + hex(i + 3) - 56320; i += 6
                    }
                    c = utf8(n)
                }
                out = out c
            }
            i++
            return out
        }
        function value(path,  c, k, n, v) {
            blank(); c = substr(s, i, 1)
            if (c == "{" || c == "[") {
                i++; blank()
                if (substr(s, i, 1) ~ /^[]}]$/) { i++; return }
                for (n = 0; ; n++) {
                    k = n
                    if (c == "{") { blank(); k = text(); blank(); i++ }
                    value(path "." k); blank()
                    if (substr(s, i++, 1) != ",") return
                }
            }
            if (c == "\"") v = text()
            else {
                match(substr(s, i), /^[-+.0-9A-Za-z]+/)
                if (RLENGTH < 1) exit 1
                v = substr(s, i, RLENGTH); i += RLENGTH
                if (v == "null") v = ""
            }
            if (path == want) { printf "%s", v; exit }
        }
        BEGIN { RS = "\001" }
        { s = $0; i = 1; value("") }'
}

# Prints a text as JSON, or null if it is empty. Only printable ASCII is kept.
text() {
    [ -n "$1" ] || { printf null; return; }
    printf '"%s"' "$(printf '%s' "$1" | tr -cd '\040-\176' | sed 's/[\\"]/\\&/g')"
}

# Prints a whole number as JSON, or null if it is none.
number() {
    case ${1#-} in
        '' | *[!0-9]*) printf null ;;
        0) printf 0 ;;
        0*) printf null ;;
        *) printf '%s' "$1" ;;
    esac
}

# Prints true, false or null.
flag() {
    case $1 in true | false) printf '%s' "$1" ;; *) printf null ;; esac
}
