# Lets the member choose itself a new machine password, with the one that it has: nobody else
# knows it then, and the keytab has its keys. It works on a trust that works. By Kerberos at a
# named controller, else by NETLOGON, which also makes Kerberos keys where the account had none
# that the domain still accepts. If it is cut, Samba finishes or drops the change at its next
# start: it keeps the new password beside the old one until the controller has said yes.
#
# POSIX sh; takes and gives: change-trust-password.takes.json, change-trust-password.gives.json.

#include json.sh
#include probe.sh
#include member.sh

joined_by=$(param .joined_by)
domain=$(param .domain)
dc=$(param .domain_controller)
is_name "$dc" && is_name "$domain" || exit 93

tool=''
code=''
status=''
keytab=''
if [ "$joined_by" = winbind ]; then
    tool=ads
    bounded 45 net ads changetrustpw -S "$dc" </dev/null >/dev/null 2>&1
    code=$?
    if [ "$code" != 0 ]; then
        probe_failed changetrustpw "$code"
        tool=rpc
        said=$(bounded 45 net rpc changetrustpw -S "$dc" </dev/null 2>&1)
        code=$?
        status=$(nt_status "$said")
    fi
    keytab=$(keytab_refresh)
else
    # The keys of every principal in the keytab are written anew.
    tool=adcli
    set -- update --computer-password-lifetime=0 -D "$domain" -S "$dc"
    # Samba beside SSSD gets it too.
    ! samba_member || ! samba_secret || set -- "$@" --add-samba-data
    said=$(bounded 90 env KRB5_TRACE=/dev/stderr adcli "$@" </dev/null 2>&1)
    code=$?
    [ "$code" = 0 ] || status=$(krb_error "$said")
fi
said=
services_settle "$joined_by" "$dc"
changed=false
[ "$code" != 0 ] || changed=true
printf '{"changed":%s,"tool":%s,"exit_code":%s,"code":%s,"keytab_written":%s,"probe_errors":[%s]}\n' \
    "$(flag "$changed")" "$(text "$tool")" "$(number "$code")" "$(number "$status")" \
    "$(flag "$keytab")" "$PROBE_ERRORS"
