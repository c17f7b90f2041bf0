# The far end of the step channel on posix hosts (docs/step-channel.md): POSIX sh with base64.
# start.rs drops the lines that begin with # and joins the others with blanks, so that login
# shells of every kind can pass the whole on. Hence no single quotes and a semicolon at each end.

# 91 says: no request was run. 92: the line was no request.
command -v base64 >/dev/null || exit 91;
exec 6>&1 7<&0;
while read -r m i s p; do
[ -n "$p" ] || exit 92;
printf "\n%s %s {\"base64\":\"" "$m" "$i";
# A line that comes while a script runs ends the whole process group, which is this session's
# own (sshd begins one). sshd passes signals on for some accounts only. The end of input ends
# nothing: a script that has begun runs to its end.
{ read -r x <&7 && kill -9 0; } & w=$!;
# fd 4: the script's text; fd 5: its exit code; fd 6: the real standard output. printf is built
# in, so no text meets the limit of an argument.
c=$( { { printf "%s\n" "$s" | base64 -d | { printf %s "$p" | base64 -d | sh /dev/fd/3 3<&4 4<&- 5>&- 6>&- 7<&-; } 4<&0; echo $? >&5; } | base64 | tr -d "\n" >&6; } 5>&1 );
kill $w 2>/dev/null;
wait $w 2>/dev/null;
printf "\",\"code\":%s}\n" "$c";
s=; p=;
done;
exit 0
