# What only bash has.
a=(zero one two); a[7]=seven; echo "${#a[@]} ${!a[*]} ${a[-1]}"
declare -A map=([x]=1 [y]=2); echo "${map[y]}"
while read -r line; do echo "substituted: $line"; done < <(printf '%s\n' p q r)
diff <(echo same) <(echo same) && echo equal
cat <<< "here string"
coproc { while read -r l; do echo "co $l"; done; }
echo hi >&"${COPROC[1]}"; read -r answer <&"${COPROC[0]}"; echo "$answer"
eval "exec ${COPROC[1]}>&-"; wait
mapfile -t lines < <(seq 5); echo "${lines[4]}"
[[ abc123 =~ ([a-z]+)([0-9]+) ]] && echo "${BASH_REMATCH[2]}"
false | true | false; echo "${PIPESTATUS[@]}"
read -r -t 0.1 nothing < <(sleep 1); echo $((  $? > 128 ))
printf -v text '%05d|%-5s|%x' 42 ab 255; echo "$text"
echo {1..5} {a..e} ~+ | wc -w
shopt -s extglob nullglob
echo none*; case foo in @(foo|bar)) echo ext ;; esac
f() { local x=inner; echo "${FUNCNAME[0]} $x"; }; f
exec {fd}> file; echo to a free descriptor >&"$fd"; exec {fd}>&-; cat file
trap 'echo debug line' ERR; false; trap - ERR
(exec -a renamed "$SELF_SHELL" -c 'echo "$0"')
"$SELF_SHELL" -c 'echo "level $1"; "$BASH" -c "echo deeper"' x 2
ulimit -n 64; ulimit -n
echo "${BASH_VERSINFO[0]}"
