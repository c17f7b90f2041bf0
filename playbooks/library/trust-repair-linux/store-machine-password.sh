# Stores the machine password that the controller has just set in the domain: in Samba's
# secrets (net changesecretpw), or, where the keytab is the secret, as keys (adcli logs on with
# it as the computer, chooses another at once, and writes that one's keys). No account of the
# domain but the member's own is used. Safe to run twice with the same password under Samba; adcli
# needs a new one, which the rung sets when it is begun again.
#
# POSIX sh; takes and gives: store-machine-password.takes.json, store-machine-password.gives.json.

#include json.sh
#include probe.sh
#include member.sh

joined_by=$(param .joined_by)
computer=$(param .computer)
domain=$(param .domain)
dc=$(param .domain_controller)
is_name "$dc" && is_name "$domain" && is_name "$computer" || exit 93
password=$(param .machine_password)
[ -n "$password" ] || exit 94

tool=''
code=''
number=''
keytab=''
if [ "$joined_by" = winbind ]; then
    tool=net
    printf '%s' "$password" | bounded 30 net changesecretpw -f -i >/dev/null 2>&1
    code=$?
    password=
    [ "$code" != 0 ] || keytab=$(keytab_refresh)
else
    tool=adcli
    set -- join -D "$domain" -S "$dc" -N "$computer" --login-type=computer --stdin-password
    # The name that the host has in the domain so far, not what its resolver says today.
    host=$(keytab_entries "$KEYTAB" 2>/dev/null |
        sed -n 's|^[0-9]* [0-9]* host/\([^@/]*\.[^@/]*\)@.*|\1|p' | head -n 1)
    ! is_name "$host" || set -- "$@" -H "$host"
    # Samba beside SSSD gets the password too.
    ! samba_member || ! samba_secret || set -- "$@" --add-samba-data
    said=$(printf '%s' "$password" | bounded 90 env KRB5_TRACE=/dev/stderr adcli "$@" 2>&1)
    code=$?
    password=
    # It tries a default password first, so a success has seen an error too.
    [ "$code" = 0 ] || number=$(krb_error "$said")
    said=
fi
PARAMS=
services_settle "$joined_by" "$dc"
stored=false
[ "$code" != 0 ] || stored=true
# What net has stored is for a later step to replace.
rotated=''
[ "$tool$stored" != adclitrue ] || rotated=true
printf '{"stored":%s,"rotated":%s,"tool":%s,"exit_code":%s,"code":%s,"keytab_written":%s,"dc":%s,"probe_errors":[%s]}\n' \
    "$(flag "$stored")" "$(flag "$rotated")" "$(text "$tool")" "$(number "$code")" "$(number "$number")" \
    "$(flag "$keytab")" "$(text "$dc")" "$PROBE_ERRORS"
