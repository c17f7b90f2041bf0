# Joins the member again with an account of the domain, at a named controller. Its password comes
# on standard input and goes on through pipes; programs read it from theirs.
#
# A wrong password is spent once: under Samba the account is first tried with one Kerberos logon,
# and only if the controller accepts it does the join begin; adcli logs on once and ends there.
# The answer's credential_error tells: 0 accepted, else the Win32 code.
#
# If it is cut the account may have a password that the member does not know; running it again
# mends that.
#
# POSIX sh; takes and gives: join-with-credential.takes.json, join-with-credential.gives.json.

#include json.sh
#include probe.sh
#include member.sh

joined_by=$(param .joined_by)
computer=$(param .computer)
domain=$(param .domain)
realm=$(param .realm)
workgroup=$(param .workgroup)
dc=$(param .domain_controller)
is_name "$dc" && is_name "$domain" && is_name "$realm" && is_name "$computer" || exit 93
ou=$(param .computer_ou)
case $ou in -* | *\\*) exit 93 ;; esac
user=$(param .domain_credential.user)
password=$(param .domain_credential.password)
PARAMS=
# Samba would read a password behind a %.
case $user in '' | -* | *%* | *"
"*) exit 95 ;; esac

upper() { printf '%s' "$1" | tr '[:lower:]' '[:upper:]'; }

# DOMAIN\user, user@domain or user: all become user@REALM.
case $user in
    *\\*)
        of=$(upper "${user%%\\*}")
        if [ -z "$workgroup" ] || [ "$of" = "$(upper "$workgroup")" ]; then of=$realm; fi
        user=${user#*\\}@$of
        ;;
    *@*) user=${user%@*}@$(upper "${user##*@}") ;;
    *) user=$user@$realm ;;
esac

# Prints the Win32 code of an NTSTATUS with which a logon is refused; nothing for any other.
refusal() {
    case $(nt_status "$1") in
        3221225572 | 3221225578 | 3221225581) echo 1326 ;; # no such user, wrong password, logon failure
        3221225582) echo 1327 ;;                           # restriction
        3221225583) echo 1328 ;;                           # not at this hour
        3221225584) echo 1329 ;;                           # not from this workstation
        3221225585) echo 1330 ;;                           # password expired
        3221225586) echo 1331 ;;                           # disabled
        3221225819) echo 1385 ;;                           # logon type not granted
        3221225875) echo 1793 ;;                           # account expired
        3221226020) echo 1907 ;;                           # must change its password
        3221226036) echo 1909 ;;                           # locked, or revoked in another way
    esac
}

credential=''
joined=''
code=''
number=''
keytab=''
if [ "$joined_by" = winbind ]; then
    said=$(printf '%s\n' "$password" | bounded 30 env PASSWD_FD=0 net rpc info -S "$dc" -U "$user" \
        --use-kerberos=required 2>&1)
    code=$?
    credential=$(refusal "$said")
    # "Access denied" (0xc0000022) comes after a logon that succeeded.
    if [ "$code" = 0 ] || [ "$(nt_status "$said")" = 3221225506 ]; then credential=0; fi
    [ -n "$credential" ] || probe_failed credential "$code"
    if [ "$credential" = 0 ]; then
        set -- ads join --no-dns-updates --use-kerberos=required -S "$dc" -U "$user"
        # Samba wants the way down, "PCs/Kiosks", and ignores it if the account is there.
        path=$(printf '%s' "$ou" | awk -F, '{
            for (k = NF; k > 0; k--) if ($k ~ /^(OU|CN)=/) { out = out sep substr($k, 4); sep = "/" }
            printf "%s", out }')
        [ -z "$path" ] || set -- "$@" "createcomputer=$path"
        said=$(printf '%s\n' "$password" | bounded 120 env PASSWD_FD=0 net "$@" 2>&1)
        code=$?
        joined=false
        [ "$code" != 0 ] || joined=true
        number=$(printf '%s\n' "$said" | sed -n 's/.*LDAP ERROR: \([0-9]\{1,3\}\) .*/\1/p' | head -n 1)
        [ -n "$number" ] || number=$(nt_status "$said")
    else
        code=
    fi
else
    set -- join -D "$domain" -S "$dc" -N "$computer" --login-type=user --stdin-password -U "$user"
    [ -z "$ou" ] || set -- "$@" -O "$ou"
    # Samba beside SSSD gets the password too.
    ! samba_member || ! samba_secret || set -- "$@" --add-samba-data
    said=$(printf '%s' "$password" | bounded 120 env KRB5_TRACE=/dev/stderr adcli "$@" 2>&1)
    code=$?
    joined=false
    [ "$code" != 0 ] || joined=true
    [ "$code" = 0 ] || number=$(krb_error "$said")
    case $number in
        6 | 24) credential=1326 ;; # unknown, wrong password (RFC 4120, 7.5.9)
        18) credential=1909 ;;     # revoked: locked, disabled or expired
        23) credential=1330 ;;     # password expired
        12) credential=1327 ;;     # policy
        # A ticket to get tickets was given, or all went well.
        *) case $code,$said in 0,* | *krbtgt/*" in MEMORY:"*) credential=0 ;; esac ;;
    esac
    [ -n "$credential" ] || probe_failed credential "$code"
fi
password=
said=
if [ "$joined" = true ]; then
    if [ "$joined_by" = winbind ]; then
        winbind_restart || probe_failed winbind-restart ''
        keytab=$(keytab_refresh)
    else
        services_settle adcli "$dc"
    fi
fi
printf '{"joined":%s,"credential_error":%s,"exit_code":%s,"code":%s,"keytab_written":%s,"dc":%s,"probe_errors":[%s]}\n' \
    "$(flag "$joined")" "$(number "$credential")" "$(number "$code")" "$(number "$number")" \
    "$(flag "$keytab")" "$(text "$dc")" "$PROBE_ERRORS"
