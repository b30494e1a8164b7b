# Here-documents: quoted, expanded, indented, long (past a pipe's buffer), two on one line.
name=world
cat <<END
hello $name $((6 * 7)) $(echo inner)
END
cat <<'END'
hello $name $((6 * 7))
END
	cat <<-END
	tabs taken away
	END
i=0; long=
while [ $i -lt 12 ]; do long="$long$long.$i"; i=$((i + 1)); done
wc -c <<END
$long$long$long$long$long$long$long$long$long$long$long$long$long$long$long$long$long$long$long$long
END
cat <<A; cat <<B
first
A
second
B
while read -r line; do echo "[$line]"; done <<END
one
  two
three \\ four
END
