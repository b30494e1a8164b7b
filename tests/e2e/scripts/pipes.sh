# Pipes of many stages, writers that outlive their readers, a named pipe.
i=0
while [ $i -lt 500 ]; do echo "line $i"; i=$((i + 1)); done | grep 7 | sed 's/line/row/' | sort -r | head -n 5
while :; do echo y; done | head -n 3
echo "status of the last stage: $?"
false | true; echo $?
true | false; echo $?
mkfifo fifo
(echo one; echo two) > fifo &
while read -r word; do echo "from the fifo: $word"; done < fifo
wait
rm fifo
echo a b c | { read -r x y z; echo "$z $y $x"; }
total=0
for n in 1 2 3 4 5 6 7 8 9 10; do
  total=$((total + $(echo "$n" | { read -r v; echo $((v * v)); })))
done
echo "$total"
head -c 300000 /dev/zero | cat | cat | cat | wc -c
