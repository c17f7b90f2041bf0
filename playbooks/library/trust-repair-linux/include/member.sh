# What holds the member's place in the domain: Samba's secrets or a keytab.

# Prints a setting of smb.conf with its default filled in.
samba_setting() {
    bounded 5 testparm -s --parameter-name="$1" </dev/null 2>/dev/null
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
        for unit in winbind winbindd; do
            bounded 60 systemctl restart "$unit.service" </dev/null >/dev/null 2>&1 && return 0
        done
        return 1
    fi
    if pid=$(winbind_pid); then
        kill -TERM "$pid"
        tries=0
        while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 50 ]; do
            sleep 0.2
            tries=$((tries + 1))
        done
    fi
    bounded 20 winbindd -D </dev/null >/dev/null 2>&1 || return 1
    tries=0
    until bounded 2 wbinfo -p </dev/null >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 10 ] || return 1
        sleep 0.5
    done
}

# Lets the services use a secret that is new, or an account that is usable again: SSSD is told to
# go online (SIGUSR2, sssd(8)); winbindd is started afresh if it still fails, for it waits before
# it asks a controller again.
services_settle() {
    if [ "$1" = adcli ]; then
        pid=$(tr -cd '0-9' 2>/dev/null </run/sssd.pid) && [ -n "$pid" ] && kill -USR2 "$pid" 2>/dev/null
        return 0
    fi
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

# The tests of a trust; each prints its exit code and the number that came with it, if any.
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

# Prints {"exit_code":...,"NAME":...} of a test.
tested() { # NAME RESULT
    # shellcheck disable=SC2086 # two words
    set -- "$1" $2
    printf '{"exit_code":%s,"%s":%s}' "$(number "$2")" "$1" "$(number "$3")"
}
