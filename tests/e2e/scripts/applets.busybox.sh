# busybox's own commands over a directory of files.
mkdir -p src/sub
i=0; while [ $i -lt 40 ]; do echo "line $i of text" > src/f$i; i=$((i + 1)); done
cp src/f1 src/sub/copy; ln -s f1 src/link; chmod 600 src/f2
find src -type f -name 'f1*' | sort
find src -type l -print; find src -type f -exec cat {} + | wc
sed -n '/of/s/line \([0-9]*\).*/\1/p' src/f* | sort -n | awk '{ s += $1 } END { print NR, s }'
awk 'BEGIN { while (("echo from awk; exit 3" | getline line) > 0) print line; print substr("abcdef", 2, 3) }'
find src -exec touch -h -d @1000000000 {} +
tar cf - src | gzip -c > a.tar.gz; gunzip -c a.tar.gz | tar tf - | sort | tail -n 3
mkdir out; tar xzf a.tar.gz -C out; diff -r src out/src && echo same
md5sum src/f3 src/f4; sha256sum src/f5; cksum src/f6
bzip2 -k src/f7; bunzip2 -c src/f7.bz2; 
dd if=/dev/zero of=zero bs=1k count=100 2> /dev/null; ls -l zero | awk '{ print $5 }'
head -c 64 zero | od -An -tx1 | head -n 1; hexdump -C src/f8 | head -n 2
sort -r src/f1 src/f2 | uniq -c; cut -d' ' -f2 src/f9; tr a-z A-Z < src/f9; rev src/f9; tac src/f9
seq 1 20 | xargs -n 5 echo; seq 3 | xargs -I{} echo item {}
expr 3 + 4; test 1 -lt 2 && echo less; basename /a/b/c.d .d; dirname /a/b; printf '%s-%d\n' x 5
grep -rc text src | sort | head -n 3; grep -l 'line 7 ' src/* 
stat -c '%a %s %F' src/f2 src/link; readlink src/link; du -s src > /dev/null; touch -d '2001-02-03 04:05:06' src/f3; stat -c %Y src/f3
id -u; uname -s; env -i A=1 env; date -u -d @0 +%F; sleep 0.01; timeout 5 true; echo $?; timeout 1 sleep 10; echo $?
wc -l < src/f0; tee one two < src/f0 > /dev/null; cmp one two && echo equal; mv one three; rm -r src out; ls
vi --help 2>&1 | head -n 1; nonsense_applet 2>&1
