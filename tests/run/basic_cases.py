"""Shells and everyday tools."""
import os
import re
import struct
import subprocess

from comparison import PYTHON, SYSLOAD, SYSREWRITE, build, check, same, seen, under_run, write

SHELL = r"""
set -u
echo one | tr a-z A-Z | sed s/O/0/
cat <<END
here: $((6 * 7))
END
(cd / && pwd)
f() { local x=$1; return "$x"; }
f 3; echo "status $?"
trap 'echo usr1' USR1
kill -USR1 $$
trap 'echo leaving' EXIT
set -m
sleep 0.2 & wait %1; echo "job $?"
sleep 30 & kill %1; wait $!; echo "killed $?"
false | true; echo "${PIPESTATUS[@]}"
exec 3> file; echo through 3 >&3; exec 3>&-; cat file
read -r line < file; echo "$line"
diff <(seq 3) <(seq 4)
coproc cat; echo to coproc >&"${COPROC[1]}"; read -r x <&"${COPROC[0]}"; echo "$x"
exec {COPROC[1]}>&-
wait
sh -c 'kill -SEGV $$'; echo "segv $?"
timeout 0.2 sleep 20; echo "timeout $?"
for i in $(seq 40); do /bin/true; done
yes | head -1000 | wc -l
exit 7
"""


def case_bash(runner):
    same(runner, ["bash", "-c", SHELL], status=7,
         normalise=[(r"line \d+:\s+\d+ ", "line: @PID@ "), (r"of process \d+", "of process @PID@")])
    seen(runner, ["bash", "-c", "sh -c 'kill -0 $$'; :"], ["bash", "sh"])


def case_scripts_without_first_line(runner):
    """The kernel refuses it, the shell reads it itself: nothing has run native."""
    same(runner, ["sh", "-c", "./nothing"],
         prepare=lambda folder: write(folder, "nothing", "echo no hash bang $0\n", 0o755))


def case_coreutils(runner):
    script = r"""
    seq 1000 | sort -rn | uniq | shuf --random-source=/bin/ls | sort -n | tail -3
    mkdir -p a/b; touch a/b/c; cp -a a d; mv d e; ln -s a l; ls -R . | cat; rm -r a
    printf 'x%s\n' 1 2 3 > t; cut -c2 t | paste -sd+ | tee u; wc t u; sha256sum t; md5sum t
    dd if=/dev/zero of=z bs=4096 count=10 status=none; stat -c %s z; truncate -s 5 z; od -c z
    split -l 1 t part; cat part*; comm t t; join t t; nproc >/dev/null; df . >/dev/null; id -u
    date -d @0 -u; env -i /usr/bin/env; nice -n 3 nice; test -f t; expr 2 + 3; factor 1234567
    find . -type f | sort | xargs ls; du --apparent-size -b z; basename "$PWD" >/dev/null
    stdbuf -oL echo buffered; timeout 5 true; nohup true 2>/dev/null; realpath .
    """
    same(runner, ["sh", "-ec", script])


def case_git(runner):
    script = r"""
    export GIT_AUTHOR_DATE=@1000000000 GIT_COMMITTER_DATE=@1000000000
    git config --global user.email a@b; git config --global user.name n
    git config --global init.defaultBranch main; git config --global protocol.file.allow always
    git init -q r; cd r
    for i in 1 2 3 4 5; do seq $((i * 100)) > f$i; git add .; git commit -qm "c$i"; done
    git log --oneline; git status -s; git diff HEAD~1 --stat
    git gc -q; git fsck --full; cd ..; git clone -q file://$PWD/r s; cd s; git rev-parse HEAD
    git branch x; git checkout -q x; git rm -q f1; git commit -qm rm; git merge-base main x
    git grep -c 100; git archive HEAD | tar t
    """
    same(runner, ["sh", "-ec", script])
    seen(runner, ["git", "init", "-q", "r"], ["git"])


def case_archives(runner):
    script = r"""
    mkdir d; seq 20000 > d/a; cp /bin/ls d/b
    for z in gzip xz bzip2; do tar cf - d | $z > t.$z; $z -dc t.$z | tar tf -; done
    tar czf x.tgz d; mkdir o; tar xzf x.tgz -C o; diff -r d o/d
    tar cJf x.txz d; rm -r o/d; tar xJf x.txz -C o; diff -r d o/d; xz -T2 -k d/a; xz -t d/a.xz
    """
    same(runner, ["sh", "-ec", script])


def case_sqlite(runner):
    sql = """create table t(a integer primary key, b text);
    with recursive n(x) as (values(1) union all select x+1 from n where x<5000)
    insert into t select x, 'row ' || x from n;
    select count(*), sum(a) from t; pragma journal_mode=wal; update t set b = 'z' where a % 7 = 0;
    select count(*) from t where b='z'; pragma integrity_check; vacuum;
    """
    same(runner, ["sqlite3", "db"], stdin=sql.encode())
    seen(runner, ["sqlite3", ":memory:", "select 1"], ["sqlite3"])


C_SOURCE = r"""
#include <stdio.h>
#include <math.h>
int main(int argc, char** argv) { printf("%d %s %.3f\n", argc, argv[1], sqrt(argc)); return 3; }
"""


def case_gcc(runner):
    def prepare(folder):
        write(folder, "a.c", C_SOURCE)

    script = "gcc -O2 -g -o a a.c -lm && ./a x; echo $?; gcc -c nosuch.c; echo $?; nm a | grep -c main"
    same(runner, ["sh", "-c", script], prepare=prepare)
    seen(runner, ["gcc", "-pipe", "a.c", "-lm"], ["gcc", "cc1", "as", "ld"], prepare=prepare)


def case_cmake(runner):
    def prepare(folder):
        write(folder, "p/a.c", C_SOURCE)
        write(folder, "p/CMakeLists.txt", "cmake_minimum_required(VERSION 3.20)\nproject(p C)\n"
              "add_executable(a a.c)\ntarget_link_libraries(a m)\nenable_testing()\n"
              "add_test(NAME t COMMAND a x)\n")

    script = "cmake -S p -B b && cmake --build b && b/a x; echo $?"
    same(runner, ["sh", "-c", script], prepare=prepare,
         normalise=[(r"\(\d+\.\d+s\)", "(@TIME@)")])


def syscalls_of(path):
    """Addresses of the system calls of a library, by objdump."""
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], capture_output=True,
                             text=True, check=True).stdout
    found = re.findall(r"^ +([0-9a-f]+):\tsyscall *$", listing, re.MULTILINE)
    return [int(address, 16) for address in found]


def case_rewritten_code_is_what_runs(runner):
    """Every system call of interpreter and libraries is in pages of a copy, in a child too."""
    script = ("import subprocess\n"
              "print(open('/proc/self/maps').read())\n"
              "print('child')\n"
              "print(subprocess.check_output(['cat', '/proc/self/maps'], text=True))\n")
    folder = runner.folder()
    outcome = runner.execute(under_run([PYTHON, "-c", script]), folder)
    check(outcome.status == 0 and outcome.stderr == "", str(outcome))
    sites = {}
    for maps in outcome.stdout.split("child\n"):
        lines = [re.match(r"(\w+)-(\w+) (\S+) (\w+) \S+ \d+ *(.*)$", line)
                 for line in maps.splitlines() if line]
        ranges = [(int(m[1], 16), int(m[2], 16), m[3], int(m[4], 16), m[5]) for m in lines]
        check(not any("w" in access and "x" in access for _, _, access, _, _ in ranges), maps)
        for name in "libc.so.6", "ld-linux-x86-64.so.2":
            base, path = next((start, path) for start, _, _, offset, path in ranges
                              if path.endswith(name) and offset == 0)
            sites[path] = sites.get(path) or syscalls_of(path)
            check(len(sites[path]) > 30, f"{path}: {len(sites[path])}")
            for site in sites[path]:
                where = [r for r in ranges if r[0] <= base + site < r[1]]
                check(len(where) == 1 and where[0][2] == "r-xp" and "memfd:sysrewrite" in where[0][4],
                      f"{path}, {site:#x}: {where}")


def case_scripts(runner):
    def prepare(folder):
        write(folder, "plain.sh", "#!/bin/sh\necho \"$0 $# $*\"\n", 0o755)
        write(folder, "arg.sh", "#! /bin/sh -e \nfalse\necho no\n", 0o755)
        write(folder, "env.py", "#!/usr/bin/env python3\nimport sys; print(sys.argv)\n", 0o755)
        write(folder, "inner", f"#!{folder}/plain.sh inner\n", 0o755)
        write(folder, "outer", f"#!{folder}/inner  two words\n", 0o755)

    for script in ("./plain.sh a b", "./arg.sh; echo $?", "./env.py x 'y z'", "./inner q",
                   "./outer q 'r s'"):
        same(runner, ["sh", "-c", script], prepare=prepare)
    for command in (["./plain.sh", "a"], ["./arg.sh"], ["./inner", "q"], ["./outer", "q"]):
        same(runner, command, prepare=prepare, status=None)


def case_programs_that_cannot_run(runner):
    def prepare(folder):
        write(folder, "noexec", "#!/bin/sh\n", 0o644)
        write(folder, "badint", "#!/no/such/interpreter\n", 0o755)
        os.symlink("loop", os.path.join(folder, "loop"))
        build(folder, "noint", "int main(void) { return 0; }", "-Wl,--dynamic-linker=/no/such/ld.so")
        build(folder, "libx.so", "int x(void) { return 1; }", "-shared", "-fPIC")
        build(folder, "nolib", "int x(void); int main(void) { return x(); }", "-L.", "-L" + folder,
              "-l:libx.so")
        os.unlink(os.path.join(folder, "libx.so"))
        with open(os.path.join(folder, "broken"), "wb") as file:
            file.write(b"\x7fELF\x02\x01\x01" + b"\0" * 60)
        os.chmod(os.path.join(folder, "broken"), 0o755)

    folder = runner.folder(prepare)
    for command, message in ((["nosuchcommand"], "not found in $PATH"),
                             (["./nosuch"], "No such file"),
                             (["./loop"], "Too many levels of symbolic links"),
                             (["./noexec"], "Permission denied"),
                             (["./badint"], "/no/such/interpreter"),
                             (["./noint"], "/no/such/ld.so"),
                             (["./broken"], "broken")):
        outcome = runner.execute(under_run(command), folder)
        check(outcome.status == 127 and message in outcome.stderr and outcome.stdout == "",
              f"{command}: {outcome}")
    same(runner, ["./nolib"], prepare=prepare, status=127)
    # In a child the errors are the kernel's own.
    probe = ("import os\nfor p in './nosuch', './noexec', './badint', './broken':\n"
             "    try: os.execv(p, [p])\n    except OSError as e: print(p, e.errno)\n"
             "import subprocess\nprint(subprocess.call('./nolib', stderr=subprocess.DEVNULL))\n")
    same(runner, [PYTHON, "-c", probe], prepare=prepare)


def case_execve_errors_are_the_kernels(runner):
    """A program whose interpreter is missing is refused in the caller; a folder is no native one."""
    def prepare(folder):
        build(folder, "noint", "int main(void) { return 0; }", "-Wl,--dynamic-linker=/no/such/ld.so")

    probe = ("import os\nfor p in '/', './noint':\n"
             "    try: os.execv(p, [p])\n    except OSError as e: print(p, e.errno)\n")
    same(runner, [PYTHON, "-c", probe], prepare=prepare)


def case_exit_status(runner):
    for status in (0, 1, 2, 3, 126, 127, 255):
        same(runner, ["sh", "-c", f"exit {status}"], status=status)
    for name, number in (("TERM", 15), ("KILL", 9), ("ABRT", 6), ("SEGV", 11), ("HUP", 1),
                         ("USR1", 10), ("TRAP", 5)):
        same(runner, ["sh", "-c", f"ulimit -c 0; kill -{name} $$"], status=128 + number)


def case_what_a_program_reads_about_itself(runner):
    def prepare(folder):
        write(folder, "s.sh", "#!/bin/sh\ntr '\\0' ' ' < /proc/$$/cmdline; echo \"$@\"\n", 0o755)

    for command in (["./s.sh", "a b"], [PYTHON, "-c", "import sys; print(sys.executable, sys.argv)"],
                    ["cat", "/proc/self/cmdline"], ["cat", "/proc/self/comm"],
                    ["cat", "/proc/self/environ"], ["readlink", "/proc/self/exe"],
                    ["sh", "-c", "readlink /proc/self/exe; cat /proc/self/comm"],
                    ["env", "-i", "/usr/bin/env"], ["env", "-i", "/bin/cat", "/proc/self/environ"],
                    ["bash", "-c", "exec -a other cat /proc/self/cmdline"],
                    [PYTHON, "-c", "import os; os.execve('/bin/cat', ['x', '/proc/self/environ'], {})"]):
        same(runner, command, prepare=prepare)


def case_words_in_brackets(runner):
    words = ["[a,b]", "[]", "[[1,2],[3]]", "[", "", "]", "\x01[x]", "-q", "--", "[x"]
    print_words = [PYTHON, "-c", "import sys; print(sys.argv[1:])", *words]
    for options in (["--"], ["-q", "--"], ["-q"], ["--hook", "none", "--"]):
        outcome = runner.execute([SYSREWRITE, "run", *(["--loader", SYSLOAD] if "-q" in options else []), *options,
                                  *print_words], runner.folder())
        check(outcome.stdout == f"{words}\n", f"{options}: {outcome}")
    keep_words = [PYTHON, "-c", "import sys; open('words', 'w').write(str(sys.argv[1:]))", *words]
    for options in (["--"], []):
        folder = runner.folder()
        outcome = runner.execute([SYSREWRITE, "bisect", "-q", "--loader", SYSLOAD, *options, *keep_words], folder)
        with open(os.path.join(folder, "words"), encoding="utf-8") as file:
            check(file.read() == str(words), f"bisect {options}: {outcome}")


def case_commands_in_little_memory(runner):
    """A command that gets no memory says so in a line, and is not killed."""
    libc = os.path.realpath("/lib/x86_64-linux-gnu/libc.so.6")
    failed = 0
    for mebibytes in range(5, 17):
        folder = runner.folder()
        for command in (["inspect", libc], ["-q", "--symbols", libc, "out"]):
            outcome = runner.execute(["prlimit", f"--as={mebibytes << 20}", SYSREWRITE, *command], folder)
            started = "error while loading" not in outcome.stderr
            good = outcome.status == 0 or (outcome.status == 1 and outcome.stderr.count("\n") == 1)
            check(good or not started, f"{mebibytes} MiB: {command}: {outcome}")
            failed += started and outcome.status == 1
    check(failed != 0, "every limit was high enough")


def case_inputs_that_change(runner):
    """A large input that becomes shorter, or is written to, while it is looked at."""
    size = 1 << 30
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0x401000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    header += struct.pack("<IIQQQQQQ", 1, 5, 4096, 0x401000, 0x401000, size, size, 4096)
    shrink, touch = (lambda path: os.truncate(path, 0)), os.utime
    for change, expected in ((shrink, "an input became shorter while it was read"), (touch, "was changed while it was read")):
        folder = runner.folder()
        path = os.path.join(folder, "large")
        with open(path, "wb") as file:
            file.write(header.ljust(4096, b"\0") + bytes.fromhex("b83c0000000f05"))
            file.truncate(4096 + size)
        with subprocess.Popen([SYSREWRITE, "-q", path, os.path.join(folder, "out")], stderr=subprocess.PIPE, text=True) as done:
            while path not in open(f"/proc/{done.pid}/maps", encoding="utf-8").read():
                check(done.poll() is None, f"{expected}: it ended before it had mapped its input")
            change(path)
            errors = done.stderr.read()
        check(done.returncode == 1 and expected in errors, f"{expected}: {done.returncode} {errors}")
        check(os.listdir(folder) == ["large"], f"{expected}: {os.listdir(folder)}")
