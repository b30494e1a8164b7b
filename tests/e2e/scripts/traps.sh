# Handlers for signals and for the end; what subshells inherit; wait that a signal interrupts.
trap 'echo "end with $?"' EXIT
trap 'echo usr1' USR1
kill -USR1 $$
trap 'echo usr2; n=$((n + 1))' USR2
n=0
for i in 1 2 3 4 5; do kill -USR2 $$; done
echo "$n"
(trap 'echo term in a subshell; exit 5' TERM; kill -TERM $(sh -c 'echo $PPID'); echo not reached)
echo $?
trap '' INT
kill -INT $$
echo "ignored"
(trap - EXIT; sleep 0.2; kill -USR1 $$) &
sleep 3 &
waiter=$!
wait $waiter
echo "wait was interrupted: $([ $? -gt 128 ] && echo yes)"
kill $waiter
wait $waiter 2> /dev/null
echo "sleep was terminated: $?"
wait
trap 'echo hup' HUP
sh -c "kill -HUP $$"
exit 4
