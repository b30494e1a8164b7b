# Arithmetic, which asks nothing of the kernel, and loops that do.
echo $((1 + 2 * 3)) $(((1 + 2) * 3)) $((7 / 2)) $((-7 % 3)) $((1 << 20)) $((0xff & 0x0f)) $((5 > 3 ? 10 : 20))
i=0; while [ $((i * i)) -lt 2000 ]; do i=$((i + 1)); done; echo $i
fib() { if [ "$1" -lt 2 ]; then echo "$1"; else echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); fi; }
fib 9
x=5; : $((x += 3)); echo $x
echo $((010)) $((~5)) $((!0)) $((1 || 0)) $((9223372036854775807 + 1))
