# Job control, with a terminal.
set -m
sleep 100 &
jobs | sed 's/  */ /g'
# The shell says of its own accord that a job has stopped, if it happens to look in between.
{ kill -STOP %1; sleep 0.3; jobs; } > /dev/null 2>&1; jobs | sed 's/  */ /g'
bg %1 > /dev/null
sleep 0.3; grep -c '^State:.T' /proc/$!/status
kill %1; wait %1 2> /dev/null; echo "wait: $?"
sh -c 'kill -STOP $$; echo went on' 
echo "stopped: $?"
fg > /dev/null; echo "fg: $?"
sh -c 'exit 3' & wait $!; echo $?
(sleep 0.1; exit 6) | cat & fg %% > /dev/null; echo "pipeline: $?"
