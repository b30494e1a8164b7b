# Job control, with a terminal.
set -m
sleep 100 &
jobs | sed 's/  */ /g'
kill -STOP %1
until grep -q '^State:.T' /proc/$!/status; do :; done
sleep 0.1; jobs > /dev/null; jobs | sed 's/  */ /g'
bg %1 > /dev/null
while grep -q '^State:.T' /proc/$!/status; do :; done
kill %1; wait %1 2> /dev/null; echo "wait: $?"
sh -c 'kill -STOP $$; echo went on' 
echo "stopped: $?"
fg > /dev/null; echo "fg: $?"
sh -c 'exit 3' & wait $!; echo $?
(sleep 0.1; exit 6) | cat & fg %% > /dev/null; echo "pipeline: $?"
