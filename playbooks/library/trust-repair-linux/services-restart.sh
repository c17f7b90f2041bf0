# Lets the service that uses the trust begin afresh: winbindd is restarted, SSSD told to go
# online. Safe to run twice.
#
# POSIX sh; takes and gives: services-restart.takes.json, services-restart.gives.json.

#include json.sh
#include probe.sh
#include member.sh

joined_by=$(param .joined_by)
only_if_needed=$(param .only_if_needed)
dc=$(param .domain_controller)
is_name "$dc" || exit 93
restarted=
code=
if [ "$joined_by" = winbind ] && [ "$only_if_needed" != true ]; then
    winbind_restart
    code=$?
    restarted=false
    [ "$code" != 0 ] || restarted=true
else
    services_settle "$joined_by" "$dc"
    code=$?
fi
printf '{"restarted":%s,"exit_code":%s,"probe_errors":[%s]}\n' \
    "$(flag "$restarted")" "$(number "$code")" "$PROBE_ERRORS"
