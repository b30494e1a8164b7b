# Signals between processes: terminated, killed, stopped and continued children.
sleep 100 & p=$!; sleep 0.1; kill $p; wait $p 2> /dev/null; echo $?
sleep 100 & p=$!; sleep 0.1; kill -9 $p; wait $p 2> /dev/null; echo $?
sleep 100 & sleep 0.1; kill -STOP $!
sleep 0.3; grep -c '^State:.T' /proc/$!/status; echo stopped
kill -CONT $!
sleep 0.3; grep -c '^State:.T' /proc/$!/status; echo continued
kill $!; wait $! 2> /dev/null; echo $?
{ sh -c 'kill -SEGV $$'; } 2> /dev/null; echo $?
kill -0 $$ && echo alive
kill -USR1 999999999 2> /dev/null || echo nobody
for s in HUP INT TERM USR1 ALRM; do (trap "echo got $s; exit 0" $s; kill -$s $(sh -c 'echo $PPID'); sleep 1; echo lost); done
(sleep 0.1; kill -USR1 $$) & trap 'echo handler during sleep' USR1; sleep 0.5; wait
