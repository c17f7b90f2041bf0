# Gathers the facts of a Linux member's trust. Changes nothing.
#
# POSIX sh; gets a JSON object on standard input (diagnose.takes.json), prints one
# (diagnose.gives.json). What programs say is read by exit codes, numbers and names of constants.
# A member whose secret is wrong is asked once only: each wrong logon brings its account nearer to
# a lockout.
# The network comes first: where no controller is in reach every test of the secret would wait
# for a minute.

#include json.sh
#include probe.sh
#include member.sh

# Prints "DC,DC,..." from DNS, best first, where a tool can ask for SRV records. Exit code 1: DNS
# gave none; 2: it could not be asked.
srv_records() {
    name=_ldap._tcp.dc._msdcs.$1
    if have host; then
        said=$(bounded 5 host -W1 -R1 -t SRV "$name" </dev/null 2>/dev/null)
    elif have dig; then
        said=$(bounded 5 dig +time=1 +tries=2 +noall +answer "$name" SRV </dev/null 2>/dev/null)
    else
        return 2
    fi
    code=$?
    [ "$code" -lt 124 ] || { probe_code=$code; return 2; }
    # ... SRV record PRIORITY WEIGHT PORT NAME, or ... SRV PRIORITY WEIGHT PORT NAME
    printf '%s\n' "$said" | awk '
        / SRV |\tSRV\t/ && NF > 4 && $NF ~ /^[-A-Za-z0-9._]+\.$/ { print $(NF-3), $(NF-2), $NF }' |
        sort -k1,1n -k2,2nr | awk '{ sub(/\.$/, "", $3); print tolower($3); found = 1 } END { exit !found }'
}

# Asks for a controller's clock: currentTime of its rootDSE, by an anonymous LDAP search (RFC
# 4511, RFC 4512). Prints Unix seconds.
ldap_time() {
    have bash || return 1
    # shellcheck disable=SC2016 # the words are for the other shell
    bounded 8 bash -c 'exec 3<>"/dev/tcp/$0/389" || exit 1
        printf "\060\062\002\001\001\143\055\004\000\012\001\000\012\001\000\002\001\000\002\001\000\001\001\000\207\013objectClass\060\015\004\013currentTime" >&3
        # The time ends in Z; a length may look like one.
        for part in 1 2 3; do
            IFS= read -r -d Z -t 2 bytes <&3 && printf %s "$bytes"
            case $bytes in *.0) break ;; esac
        done' "$1" 2>/dev/null | tr -cd '0-9A-Za-z.' | awk '
        match($0, /currentTime.*[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]\./) {
            t = substr($0, RSTART + RLENGTH - 15, 14)
            y = substr(t, 1, 4) + 0; m = substr(t, 5, 2) + 0; d = substr(t, 7, 2) + 0
            if (m < 3) { y--; m += 12 }
            days = 365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * m - 457) / 5) + d - 719469
            printf "%d\n", ((days * 24 + substr(t, 9, 2)) * 60 + substr(t, 11, 2)) * 60 + substr(t, 13, 2)
        }'
}

# Prints the time of a line like "Sun, 22 Nov 2026 16:57:08 UTC" in Unix seconds; Samba writes
# it in the C locale and, for us, in UTC.
c_time() {
    awk -F'[ :,]+' '{
        m = (index("JanFebMarAprMayJunJulAugSepOctNovDec", $3) + 2) / 3; y = $4
        if (m < 1) exit
        if (m < 3) { y--; m += 12 }
        days = 365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * m - 457) / 5) + $2 - 719469
        printf "%d\n", ((days * 24 + $5) * 60 + $6) * 60 + $7
    }'
}

# Prints the value of KEY of SSSD's first domain of Active Directory.
sssd_value() {
    printf '%s\n' "$SSSD" | awk -F= -v key="$1" '
        /^\[/ { section = $0; next }
        $1 == "id_provider" && $2 == "ad" && ours == "" { ours = section }
        $1 == key { value[section] = substr($0, length(key) + 2) }
        END { if (ours != "") print (key == "" ? ours : value[ours]) }'
}

wanted=$(param .domain_controller)
[ -z "$wanted" ] || is_name "$wanted" || { probe_failed parameter ''; wanted=; }

# --- who we are

elevated=false
[ "$(id -u)" = 0 ] && elevated=true

joined_by=
name='' realm='' workgroup='' domain='' role=''
winbind_running='' winbind_disabled='' sssd_running=''
secret_present='' secret_time=''
keytab_present='' principal='' keytab_kvno='' keytab_time='' keytab_managed='' keytab_usable=''

samba_ads=
! samba_member || samba_ads=1
! have testparm || role=$(samba_setting 'server role')
SSSD=
[ "$elevated" = false ] || SSSD=$(sssd_settings)
sssd_ad=$(sssd_value '')

if have winbindd || [ -x /usr/sbin/winbindd ]; then
    winbind_running=false
    winbind_pid >/dev/null && winbind_running=true
    if [ -d /run/systemd/system ]; then
        winbind_disabled=false
        state=$(bounded 10 systemctl is-enabled winbind.service </dev/null 2>/dev/null)
        case $state in disabled | masked | masked-runtime) winbind_disabled=true ;; esac
    fi
fi
if [ -n "$sssd_ad" ] || have sssd; then
    sssd_running=false
    pid=$(tr -cd '0-9' 2>/dev/null </run/sssd.pid) && [ -n "$pid" ] && [ -d "/proc/$pid" ] && sssd_running=true
fi

if [ -n "$samba_ads" ]; then
    workgroup=$(samba_setting workgroup)
    if [ "$elevated" = true ]; then
        samba_secret
        case $? in 0) secret_present=true ;; 1) secret_present=false ;; esac
    fi
fi

if [ "$elevated" = true ]; then
    keytab_present=false
    [ -s "$KEYTAB" ] && keytab_present=true
    principal=$(keytab_entries "$KEYTAB" 2>/dev/null | awk '$3 ~ /^[^\/@]+\$@/ { print $3; exit }')
fi

# A member of both kinds is the one whose service runs.
if [ -n "$samba_ads" ] && { [ "$winbind_running" = true ] || [ -z "$sssd_ad" ]; }; then
    joined_by=winbind
elif [ -n "$sssd_ad" ] || { [ -n "$principal" ] && have adcli; }; then
    joined_by=adcli
fi

case $joined_by in
    winbind)
        name=$(samba_setting 'netbios name' | tr '[:lower:]' '[:upper:]')
        realm=$(samba_setting realm)
        domain=$realm
        ;;
    adcli)
        name=${principal%%\$*}
        [ -n "$name" ] || name=$(sssd_value ldap_sasl_authid | sed 's/\$.*//; s|^host/||; s/[.@].*//')
        [ -n "$name" ] || name=$(hostname | sed 's/\..*//')
        name=$(printf %s "$name" | tr '[:lower:]' '[:upper:]')
        realm=${principal#*@}
        domain=$(sssd_value ad_domain)
        [ -n "$domain" ] || domain=$(printf '%s' "$sssd_ad" | sed 's|^\[domain/||; s/\]$//')
        [ -n "$domain" ] || domain=$realm
        [ -n "$realm" ] || realm=$(sssd_value krb5_realm)
        [ -n "$realm" ] || realm=$domain
        ;;
esac
domain=$(printf %s "$domain" | tr '[:upper:]' '[:lower:]')
realm=$(printf %s "$realm" | tr '[:lower:]' '[:upper:]')
is_name "$domain" || domain=
is_name "$name" || name=

if [ "$keytab_present" = true ] && [ -n "$name" ]; then
    # shellcheck disable=SC2046 # two words
    set -- $(keytab_newest "$KEYTAB" "$name\$@$realm")
    keytab_kvno=${1-} keytab_time=${2-}
fi
if [ "$joined_by" = adcli ] && [ "$elevated" = true ]; then
    # Here the keytab is the secret.
    secret_present=false
    [ -z "$keytab_time" ] || secret_present=true
    secret_time=$keytab_time
elif [ "$joined_by" = winbind ]; then
    keytab_managed=false
    ! keytab_managed || keytab_managed=true
fi

# --- the way to a controller

dns_method='' dns_found='' controllers='' dc='' reachable=''
tcp_88='' tcp_389='' tcp_445='' tcp_464=''
offset='' clock_source=''
if [ -n "$domain" ] && [ "$elevated" = true ]; then
    probe_code=
    controllers=$(srv_records "$domain")
    case $? in
        0) dns_method=srv dns_found=true ;;
        1) dns_method=srv dns_found=false ;;
        *)
            [ -z "$probe_code" ] || probe_failed srv "$probe_code"
            # The domain's own name has the addresses of its controllers.
            dns_method=address dns_found=false
            bounded 6 getent hosts "$domain" </dev/null >/dev/null 2>&1 && dns_found=true
            if [ "$dns_found" = true ] && have adcli; then
                # adcli info speaks of itself in fixed words.
                controllers=$(bounded 10 adcli info "$domain" </dev/null 2>/dev/null |
                    sed -n 's/^domain-controller = //p' | tr '[:upper:]' '[:lower:]')
            elif [ "$dns_found" = true ]; then
                controllers=$(bounded 10 net ads info </dev/null 2>/dev/null |
                    sed -n 's/^LDAP server name: //p' | tr '[:upper:]' '[:lower:]')
            fi
            ;;
    esac
    # At most 4 times.
    for candidate in ${wanted:-$(printf '%s\n' "$controllers" | head -n 4)}; do
        is_name "$candidate" || continue
        dc=${dc:-$candidate}
        reachable=$(tcp "$candidate" 389)
        [ "$reachable" != true ] || { dc=$candidate; break; }
    done
fi
if [ "$reachable" = true ]; then
    tcp_389=true
    # Side by side; the lines say which.
    # At most 3 times.
    ports=$(for port in 88 445 464; do { echo "$port=$(tcp "$dc" "$port")"; } & done; wait)
    tcp_88=$(printf '%s\n' "$ports" | sed -n 's/^88=//p')
    tcp_445=$(printf '%s\n' "$ports" | sed -n 's/^445=//p')
    tcp_464=$(printf '%s\n' "$ports" | sed -n 's/^464=//p')
elif [ "$reachable" = false ]; then
    tcp_389=false
fi

# --- clock and secret, only with a controller in reach

winbind='' rpc='' ads='' adcli=''
if [ "$reachable" = true ]; then
    if [ "$joined_by" = winbind ]; then
        said=$(bounded 15 env TZ=UTC0 net ads info -S "$dc" </dev/null 2>/dev/null)
        code=$?
        [ "$code" = 0 ] || probe_failed ads-info "$code"
        offset=$(printf '%s\n' "$said" | sed -n 's/^Server time offset: \(-\{0,1\}[0-9]*\)$/\1/p')
        [ -z "$offset" ] || clock_source=net
        secret_time=$(printf '%s\n' "$said" |
            sed -n 's/^Last machine account password change: [^,]*, *//p' | sed 's/^/x /' | c_time)
        # 1970 stands for never.
        [ "${secret_time:-0}" != 0 ] || secret_time=
    fi
    if [ -z "$offset" ]; then
        now=$(ldap_time "$dc")
        if [ -n "$now" ]; then
            offset=$((now - $(date +%s)))
            clock_source=ldap
        else
            probe_failed ldap-time ''
        fi
    fi
    case $joined_by in
        winbind) test_samba "$dc" ;;
        adcli) adcli=$(test_adcli "$domain" "$dc") ;;
    esac
    case $keytab_managed,$rpc,$winbind,$ads in
        true,"0 "*,"0 "*,0)
            if [ -n "$keytab_time" ] && have kinit; then
                keytab_usable=false
                ! keytab_logs_on "$name\$@$realm" || keytab_usable=true
            fi
            ;;
    esac
fi

# --- for people

# shellcheck source=/dev/null
os=$(. /etc/os-release 2>/dev/null && printf '%s %s' "${ID-}" "${VERSION_ID-}")
samba=
! have net || samba=$(bounded 5 net --version </dev/null 2>/dev/null | sed -n 's/^Version //p')

cat <<END
{"taken_at":"$(date -u +%Y-%m-%dT%H:%M:%SZ)",
"elevated":$(flag $elevated),
"joined_by":$(text "$joined_by"),
"computer":{"name":$(text "$name"),
 "sam_account_name":$(text "${name:+$name\$}"),
 "domain":$(text "$domain"),"realm":$(text "$realm"),"workgroup":$(text "$workgroup"),
 "server_role":$(text "$role")},
"os":{"name":$(text "$os"),"samba":$(text "$samba"),"adcli":$(flag "$(have adcli && echo true || echo false)")},
"services":{"winbind":{"running":$(flag "$winbind_running"),"disabled":$(flag "$winbind_disabled")},
 "sssd":{"running":$(flag "$sssd_running")}},
"dns":{"method":$(text "$dns_method"),"found":$(flag "$dns_found")},
"dc":{"requested":$(text "$wanted"),"name":$(text "$dc"),"reachable":$(flag "$reachable"),
 "ports":{"tcp_88":$(flag "$tcp_88"),"tcp_389":$(flag "$tcp_389"),"tcp_445":$(flag "$tcp_445"),"tcp_464":$(flag "$tcp_464")}},
"clock":{"offset_seconds":$(number "$offset"),"source":$(text "$clock_source")},
"trust":{"winbind":$(tested status "$winbind"),
 "rpc":$(tested status "$rpc"),
 "ads":$(tested status "$ads"),
 "adcli":$(tested krb_error "$adcli")},
"secret":{"present":$(flag "$secret_present"),"last_set_unix":$(number "$secret_time")},
"keytab":{"present":$(flag "$keytab_present"),"principal":$(text "$principal"),"kvno":$(number "$keytab_kvno"),
 "last_set_unix":$(number "$keytab_time"),"managed":$(flag "$keytab_managed"),"usable":$(flag "$keytab_usable")},
"probe_errors":[$PROBE_ERRORS]}
END
