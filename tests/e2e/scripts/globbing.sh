# Names from directories: many entries, classes, hidden files, nothing that matches.
mkdir -p tree/a tree/b/c
i=0; while [ $i -lt 200 ]; do : > "tree/a/file$i"; i=$((i + 1)); done
: > "tree/b/with space"; : > tree/b/.hidden; : > 'tree/b/[odd]'
set -- tree/a/*; echo $#
echo tree/a/file1? tree/a/*[02468]5
echo tree/*/*/ tree/b/* tree/b/.h*
echo tree/none*
for f in tree/b/*; do echo "<$f>"; done
case tree/a/file77 in *7) echo seven ;; *) echo other ;; esac
cd tree && echo */* | wc -w
