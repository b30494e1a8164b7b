# What goes wrong, and with which status and words.
nonexistent_command; echo $?
./nonexistent; echo $?
/etc/passwd; echo $?
: > noexec; ./noexec; echo $?
cd /nonexistent; echo $?
(set -e; false; echo not reached); echo $?
(set -u; echo "$undefined"); echo $?
eval 'echo unbalanced "' ; echo $?
