# What holds the member's place in the domain: Samba's secrets or a keytab.

# smb.conf with its defaults filled in, read once.
SAMBA=
! have testparm || SAMBA=$(bounded 10 testparm -s -v </dev/null 2>/dev/null)

# Prints a setting of smb.conf's section [global].
samba_setting() {
    printf '%s\n' "$SAMBA" | awk -v key="$1" '
        /^\[/ { ours = ($0 == "[global]") }
        ours && (at = index($0, " = ")) {
            name = substr($0, 1, at - 1); sub(/^[ \t]+/, "", name)
            if (name == key) { print substr($0, at + 3); exit }
        }'
}

# Prints settings of sssd.conf as lines KEY=VALUE, [SECTION] lines between.
sssd_settings() {
    cat /etc/sssd/sssd.conf /etc/sssd/conf.d/*.conf 2>/dev/null |
        sed -n 's/^[[:space:]]*//; s/[[:space:]]*$//; s/[[:space:]]*=[[:space:]]*/=/; /^\[/p; /^[a-z_]*=/p'
}

# Lists a keytab, one line an entry: key version, time in Unix seconds, principal. The format is
# MIT's 0x0502; the keys themselves are passed over.
keytab_entries() {
    [ -s "$1" ] || return 1
    od -An -v -tu1 "$1" | awk '
        { for (k = 1; k <= NF; k++) b[n++] = $k }
        function u16() { p += 2; return b[p-2] * 256 + b[p-1] }
        function u32() { p += 4; return ((b[p-4] * 256 + b[p-3]) * 256 + b[p-2]) * 256 + b[p-1] }
        function chars(len,  t) { t = ""; while (len-- > 0) t = t sprintf("%c", b[p++]); return t }
        END {
            if (b[0] != 5 || b[1] != 2) exit 1
            p = 2
            while (p + 4 <= n) {
                size = u32()
                if (size == 0) break
                if (size >= 2147483648) { p += 4294967296 - size; continue }
                stop = p + size
                parts = u16(); realm = chars(u16()); name = ""
                for (k = 1; k <= parts; k++) name = name (k > 1 ? "/" : "") chars(u16())
                u32(); time = u32(); kvno = b[p++]
                p = p + 2; len = u16(); p += len
                if (stop - p >= 4) { wide = u32(); if (wide) kvno = wide }
                printf "%d %d %s@%s\n", kvno, time, name, realm
                p = stop
            }
        }'
}

# Prints the newest entry of a principal: key version and time.
keytab_newest() {
    keytab_entries "$1" | awk -v who="$2" '
        tolower($3) == tolower(who) && $2 >= time { kvno = $1; time = $2 }
        END { if (time != "") print kvno, time }'
}

KEYTAB=/etc/krb5.keytab

# Tells whether Samba has a machine password. 2: cannot be told. The value goes nowhere: only the
# exit code counts.
samba_secret() {
    secrets=$(samba_setting 'private dir')/secrets.tdb
    [ -s "$secrets" ] || return 1
    have tdbdump || return 2
    workgroup_key=$(samba_setting workgroup | tr '[:lower:]' '[:upper:]')
    bounded 10 tdbdump -k "SECRETS/MACHINE_PASSWORD/$workgroup_key" "$secrets" \
        </dev/null >/dev/null 2>&1 || return 1
}

# Tells whether Samba is set up as a member.
samba_member() {
    have testparm && [ -r /etc/samba/smb.conf ] &&
        [ "$(samba_setting security | tr '[:upper:]' '[:lower:]')" = ads ]
}

winbind_pid() {
    for file in /run/samba/winbindd.pid /var/run/samba/winbindd.pid /run/winbindd.pid; do
        pid=$(tr -cd '0-9' 2>/dev/null <"$file") && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null &&
            echo "$pid" && return 0
    done
    return 1
}

# Starts winbindd afresh, under whatever keeps services here.
winbind_restart() {
    if [ -d /run/systemd/system ]; then
        unit=winbind
        bounded 5 systemctl cat winbind.service </dev/null >/dev/null 2>&1 || unit=winbindd
        bounded 40 systemctl restart "$unit.service" </dev/null >/dev/null 2>&1
        return
    fi
    if pid=$(winbind_pid); then
        kill -TERM "$pid"
        tries=0
        # At most 50 times.
        while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 50 ]; do
            sleep 0.2
            tries=$((tries + 1))
        done
    fi
    bounded 10 winbindd -D </dev/null >/dev/null 2>&1 || return 1
    tries=0
    # At most 5 times.
    until bounded 1 wbinfo -p </dev/null >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 5 ] || return 1
        sleep 1
    done
}

# Lets the services use a secret that is new, or an account that is usable again: SSSD is told to
# go online (SIGUSR2, sssd(8)); winbindd is started afresh if it still fails, for it waits before
# it asks a controller again. One whose secret is refused is left alone: every start of it would
# cost the account several wrong logons.
services_settle() { # JOINED_BY DC
    if [ "$1" = adcli ]; then
        pid=$(tr -cd '0-9' 2>/dev/null </run/sssd.pid) && [ -n "$pid" ] && kill -USR2 "$pid" 2>/dev/null
        return 0
    fi
    ! refused "$(test_rpc "$2")" || return 0
    bounded 15 wbinfo -t </dev/null >/dev/null 2>&1 || winbind_restart
}

# Writes the new keys of Samba's secret into a keytab that has carried keys of this account.
# Prints true or false; nothing where there is no such keytab.
keytab_refresh() {
    name=$(samba_setting 'netbios name')
    keytab_entries "$KEYTAB" 2>/dev/null | grep -qiF " $name\$@" || return 0
    bounded 60 net ads keytab create -P --option='kerberos method=secrets and keytab' \
        </dev/null >/dev/null 2>&1 && echo true || echo false
}

# The tests of a trust; each prints its exit code and the number that came with it, if any. If
# the secret is wrong, `net rpc testjoin`, `net ads testjoin` and `adcli testjoin` cost the account
# one wrong logon each, `wbinfo -t` three or four.
test_winbind() {
    said=$(bounded 20 wbinfo -t </dev/null 2>&1)
    echo "$? $(nt_status "$said")"
}
test_rpc() { # DC
    said=$(bounded 20 net rpc testjoin -S "$1" </dev/null 2>&1)
    echo "$? $(nt_status "$said")"
}
test_ads() { # DC
    bounded 20 net ads testjoin -S "$1" </dev/null >/dev/null 2>&1
    echo "$?"
}
test_adcli() { # DOMAIN DC
    said=$(bounded 30 env KRB5_TRACE=/dev/stderr adcli testjoin -D "$1" -S "$2" </dev/null 2>&1)
    echo "$? $(krb_error "$said")"
}

# Tells whether a test's result says for certain that the secret or the account is no good: asking
# in another way says nothing new and brings the account nearer to its lockout. NTSTATUS, or a
# number of RFC 4120, 7.5.9.
refused() { # RESULT
    case $1 in
        "0 "*) return 1 ;;
        *" 3221225506" | *" 3221225572" | *" 3221225578" | *" 3221225581") ;; # C0000022 64 6A 6D
        *" 3221225586" | *" 3221225875" | *" 3221226036") ;;                  # C0000072 193 234
        *" 3221225690" | *" 3221225866" | *" 3221225867") ;;                  # C00000DA 18A 18B
        *" 3221225779" | *" 6" | *" 18" | *" 23" | *" 24" | *" 37") ;;          # C0000133; Kerberos
        *) return 1 ;;
    esac
}

# Tests a winbind member's trust, the cheapest test first, and goes on only as long as none is
# refused. Sets rpc, winbind and ads; empty: not asked.
test_samba() { # DC
    winbind='' ads=''
    rpc=$(test_rpc "$1")
    ! refused "$rpc" || return 0
    winbind=$(test_winbind)
    refused "$winbind" || ads=$(test_ads "$1")
}

# Tells whether Samba keeps the keytab itself.
keytab_managed() {
    case $(samba_setting 'kerberos method') in '' | default | secrets\ only) return 1 ;; esac
}

# Tells whether the host can log on with its keytab. A stale one costs a wrong logon, so it is
# asked only where Samba keeps it and after every other test has succeeded.
keytab_logs_on() { # PRINCIPAL
    bounded 15 kinit -k -t "$KEYTAB" -c MEMORY:fleetmend "$1" </dev/null >/dev/null 2>&1
}

# Prints {"exit_code":...,"NAME":...} of a test.
tested() { # NAME RESULT
    # shellcheck disable=SC2086 # two words
    set -- "$1" $2
    printf '{"exit_code":%s,"%s":%s}' "$(number "$2")" "$1" "$(number "$3")"
}
