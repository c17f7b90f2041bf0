# Gathers the evidence that the trust is mended: every test twice, a moment apart. Changes
# nothing.
#
# winbindd may go on with a session from before a secret went wrong, and testjoin may fall back
# to NTLM: only all of them together are a proof. `net rpc testjoin` makes a session of its own. One
# refusal for certain is proof of the contrary, and nothing more is asked: it costs the account a
# wrong logon each time.
#
# POSIX sh; takes and gives: verify.takes.json, verify.gives.json.

#include json.sh
#include probe.sh
#include member.sh

joined_by=$(param .joined_by)
computer=$(param .computer)
domain=$(param .domain)
realm=$(param .realm)
dc=$(param .domain_controller)
is_name "$dc" && is_name "$domain" && is_name "$computer" || exit 93

runs=
over=
# At most 2 times.
for run in 1 2; do
    [ "$run" = 1 ] || [ -n "$over" ] || sleep 2
    winbind='' rpc='' ads='' adcli=''
    if [ -n "$over" ]; then
        :
    elif [ "$joined_by" = winbind ]; then
        test_samba "$dc"
        ! refused "$rpc" || over=1
    else
        adcli=$(test_adcli "$domain" "$dc")
        ! refused "$adcli" || over=1
    fi
    runs="$runs${runs:+,}{\"winbind\":$(tested status "$winbind"),\"rpc\":$(tested status "$rpc"),"
    runs="$runs\"ads\":$(tested status "$ads"),\"adcli\":$(tested krb_error "$adcli")}"
done

usable=''
# shellcheck disable=SC2046 # two words
set -- $(keytab_newest "$KEYTAB" "$computer\$@$realm" 2>/dev/null)
case $joined_by,$rpc,$winbind,$ads in
    winbind,"0 "*,"0 "*,0)
        if keytab_managed && [ -n "${2-}" ] && have kinit; then
            usable=false
            ! keytab_logs_on "$computer\$@$realm" || usable=true
        fi
        ;;
esac

printf '{"runs":[%s],"keytab":{"kvno":%s,"last_set_unix":%s,"usable":%s},"dc":%s,"probe_errors":[%s]}\n' \
    "$runs" "$(number "${1-}")" "$(number "${2-}")" "$(flag "$usable")" "$(text "$dc")" "$PROBE_ERRORS"
