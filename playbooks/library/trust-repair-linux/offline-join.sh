# Takes an offline join blob: net offlinejoin requestodj writes the machine's secret, the
# domain's name and its SID without asking a controller. The blob comes on standard input, as the
# secret that it is. Safe to run twice with the same blob.
#
# POSIX sh; takes and gives: offline-join.takes.json, offline-join.gives.json.

#include json.sh
#include probe.sh
#include member.sh

blob=$(param .blob)
[ -n "$blob" ] || exit 94
PARAMS=

# With smb.conf's `kerberos method = secrets and keytab` the command crashes (signal 11 in Samba
# 4.17) after it has stored the secret: the keytab is written later, by itself.
said=$(printf '%s' "$blob" | bounded 60 net offlinejoin requestodj loadfile=/dev/stdin \
    --option='kerberos method=secrets only' 2>&1)
code=$?
blob=
number=$(printf '%s\n' "$said" | sed -n 's/.*DOS code \(0x[0-9a-fA-F]\{1,8\}\).*/\1/p' | head -n 1)
[ -z "$number" ] || number=$((number))
said=

# winbindd ends where there was no secret.
restarted=
if [ "$code" = 0 ]; then
    restarted=false
    winbind_restart && restarted=true
fi
keytab=
[ "$code" != 0 ] || keytab=$(keytab_refresh)
joined=false
[ "$code" != 0 ] || joined=true
printf '{"joined":%s,"exit_code":%s,"code":%s,"winbind_restarted":%s,"keytab_written":%s,"probe_errors":[%s]}\n' \
    "$(flag "$joined")" "$(number "$code")" "$(number "$number")" "$(flag "$restarted")" \
    "$(flag "$keytab")" "$PROBE_ERRORS"
