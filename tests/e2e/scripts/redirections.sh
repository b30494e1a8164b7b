# Descriptors: duplicates, closing, appending, reading and writing at once, noclobber.
exec 3> three 4>&1
echo to three >&3
echo to four >&4
exec 3>&- 4>&-
cat three
echo more >> three; wc -l < three
{ echo out; echo err >&2; } > both 2>&1; cat both
{ echo out; echo err >&2; } 2> errors; cat errors
ls /nonexistent 2> /dev/null; echo $?
echo 1234567 > rw; exec 5<> rw; read -r line <&5; echo "$line"; echo behind >&5; exec 5>&-; cat rw
set -C; echo no 2> /dev/null > rw || echo "not overwritten"; echo yes >| rw; cat rw; set +C
(echo closed >&-) 2> /dev/null; echo $?
cat < /nonexistent; echo $?
exec 6< three; while read -r line <&6; do echo "$line"; done; exec 6<&-
echo ">$(exec 2>&1; echo all >&2)<"
: > empty; [ -s empty ] || echo empty
