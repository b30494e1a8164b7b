# Signals between processes: terminated, killed, stopped and continued children.
sleep 100 & kill $!; wait $! 2> /dev/null; echo $?
sleep 100 & kill -9 $!; wait $! 2> /dev/null; echo $?
sleep 100 & kill -STOP $!
until grep -q '^State:.T' /proc/$!/status; do :; done; echo stopped
kill -CONT $!
while grep -q '^State:.T' /proc/$!/status; do :; done; echo continued
kill $!; wait $! 2> /dev/null; echo $?
{ sh -c 'kill -SEGV $$'; } 2> /dev/null; echo $?
kill -0 $$ && echo alive
kill -USR1 999999999 2> /dev/null || echo nobody
for s in HUP INT TERM USR1 ALRM; do (trap "echo got $s; exit 0" $s; kill -$s $(sh -c 'echo $PPID'); sleep 1; echo lost); done
(sleep 0.1; kill -USR1 $$) & trap 'echo handler during sleep' USR1; sleep 0.5; wait
