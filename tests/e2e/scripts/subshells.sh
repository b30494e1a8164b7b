# Subshells keep their changes to themselves; nesting; exit statuses; command substitution.
a=1
(a=2; cd /; pwd; (a=3; echo "$a"); echo "$a")
echo "$a"
b=$(a=4; echo "$a"; exit 7); echo "$? $b"
deep() { if [ "$1" -gt 0 ]; then (deep $(($1 - 1))); else echo bottom; fi; }
deep 12
(exit 3) || echo "left with $?"
(kill -TERM $(sh -c 'echo $PPID')) ; echo "killed: $?"
x=$(echo $(echo $(echo $(echo nested))))
echo "$x"
f() { return 9; }
f; echo $?
{ echo grouped; } > group; cat group
for i in 1 2 3 4 5 6 7 8; do (exit $i); echo $?; done
