"""Real programs under `sysrewrite run --hook files`, compared with what `strace -f` sees of them natively.

usage: files_programs.py CASE; in the environment SYSREWRITE, and FILES_TEST_KEEP to keep what was written.
"""
import os
import shutil
import subprocess
import sys
import tempfile

import files_comparison
import strace_files

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "HOME": "/nowhere", "LC_ALL": "C", "TMPDIR": "/tmp", "GOFLAGS": "-mod=mod",
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@b", "GIT_AUTHOR_DATE": "1700000000 +0000", "GIT_COMMITTER_DATE": "1700000000 +0000",
}
PROC_OF_OWN = (rb"^/proc/\d+(?=/|$)", b"/proc/PID")

# Dates long past: what is as young as the index, git reads once more.
GIT = """set -e
git init -q repo
cd repo
echo one > a; mkdir -p sub/deep; echo two > sub/deep/b; ln -s a link
touch -h -d 2020-01-01 a sub/deep/b link
git add .
git commit -qm first
echo three >> a; touch -d 2020-01-02 a
git mv sub/deep/b c
git commit -qam second
git status --short
git log --oneline | cat
git diff HEAD~1 --stat | cat
git branch other; git checkout -q other; git rm -q link; git gc -q
rm -rf .git/logs
"""
GIT_NAMES = ((rb"/(tmp_obj|tmp_pack|tmp_idx|tmp_rev|refs|packs)_\w{6}$", rb"/\1_X"), (rb"/\.git/t\w{6}$", b"/.git/tX"),
             (rb"/\.tmp-\d+-", b"/.tmp-PID-"), (rb"_\d+(?=/|$)", b"_PID"), PROC_OF_OWN)

PYTHON = """
import os, shutil, socket, subprocess, sys, tempfile
os.makedirs('d/e/f')
for name in ('x', 'new\\nline', 'caf\\u00e9', os.fsdecode(b'raw\\xff'), 'quote"back\\\\slash'):
    open('d/' + name, 'w').close()
fd = os.open('d', os.O_RDONLY)
os.open('y', os.O_CREAT | os.O_RDWR, dir_fd=fd)
os.rename('d/x', 'z', src_dir_fd=None)
os.symlink('e/f', 'd/link')
os.listdir('d'); list(os.scandir(fd)); sorted(os.walk('d'))
os.stat('d/link/../../x', follow_symlinks=False) if os.path.exists('d/link/../../x') else None
open('d/link/../new', 'w').close()
os.link('z', 'hard'); os.chmod('hard', 0o600); os.utime('hard'); os.truncate('hard', 3)
os.chdir('d'); os.stat('e'); os.fchdir(fd); os.chdir('..')
for missing in ('none', 'none/below', 'z/below', 'd/none/../x'):
    try: os.stat(missing)
    except OSError: pass
server = socket.socket(socket.AF_UNIX); server.bind('sock'); server.listen()
client = socket.socket(socket.AF_UNIX); client.connect('sock')
subprocess.run(['cat', 'relative'], cwd='d/e', stderr=subprocess.DEVNULL)
subprocess.run(['true'], close_fds=True)
pid = os.fork()
if pid == 0:
    os.chdir('d/e'); open('of-child', 'w').close(); os._exit(0)
os.waitpid(pid, 0)
open('of-parent', 'w').close()
import threading
def work(i): open('thread%d' % i, 'w').close()
threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
shutil.copytree('d', 'copy', symlinks=True); shutil.rmtree('copy')
os.unlink('hard'); os.removedirs('d/e/none') if os.path.isdir('d/e/none') else None
"""

GO = """package main

import ("fmt"; "io/fs"; "net"; "os"; "os/exec"; "path/filepath"; "sync")

func must(err error) { if err != nil { fmt.Println(err) } }

func main() {
	must(os.MkdirAll("d/e/f", 0755))
	var group sync.WaitGroup
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func(i int) { defer group.Done(); must(os.WriteFile(fmt.Sprintf("d/file%d", i), []byte("x"), 0644)) }(i)
	}
	group.Wait()
	must(os.Rename("d/file0", "d/e/moved"))
	must(os.Symlink("e/f", "d/link"))
	_, err := os.Stat("d/link/../moved"); must(err)
	_, _ = os.Stat("d/link/../none")
	must(filepath.WalkDir("d", func(path string, d fs.DirEntry, err error) error { return err }))
	must(os.Chdir("d/e")); _, err = os.ReadFile("moved"); must(err); must(os.Chdir("../.."))
	listener, err := net.Listen("unix", "sock"); must(err)
	accepted := make(chan bool)
	go func() { c, err := listener.Accept(); must(err); c.Close(); accepted <- true }()
	c, err := net.Dial("unix", "sock"); must(err); <-accepted; c.Close(); listener.Close()
	command := exec.Command("/bin/cat", "moved"); command.Dir = "d/e"
	must(command.Run())
	must(os.MkdirAll("gone/deep/er", 0755)); must(os.WriteFile("gone/deep/x", nil, 0644)); must(os.RemoveAll("gone"))
}
"""

BUSYBOX = """set -e
bb=$PWD/bin
mkdir -p a/b/c
echo text > a/f; cp a/f a/b/g; ln -s b/g a/link; ln a/f a/hard
$bb/find a | $bb/sort > list
$bb/grep -r text a > /dev/null
$bb/tar cf t.tar a; $bb/mkdir x; $bb/tar xf t.tar -C x
$bb/mv x/a/f x/a/renamed; $bb/chmod 600 x/a/renamed; $bb/touch x/a/renamed
$bb/test -e none || $bb/true
$bb/ls -l a/b/../b/../none/../f 2> /dev/null || $bb/true
(cd x && $bb/cat a/renamed > /dev/null)
$bb/sed -i s/text/other/ a/f
$bb/rm -rf x a
"""

PROJECT = {
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.13)\nproject(p C)\nadd_library(l STATIC l.c)\n"
                      "add_executable(m m.c)\ntarget_link_libraries(m PRIVATE l)\n",
    "l.c": "#include <stdio.h>\n#include \"sub/../l.h\"\nint l(void) { return puts(\"l\"); }\n",
    "l.h": "int l(void);\n", "sub/empty.h": "",
    "m.c": "#include \"l.h\"\nint main(void) { return l() < 0; }\n",
}


def write_files(directory, files):
    for name, text in files.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def busybox_setup(directory):
    os.mkdir(os.path.join(directory, "bin"))
    shutil.copy("/usr/bin/busybox", os.path.join(directory, "bin/busybox"))
    for applet in "find sort grep tar mkdir mv chmod touch test true ls cat sed rm".split():
        os.symlink("busybox", os.path.join(directory, "bin", applet))


_go = {}


def go_setup(directory):
    if not _go:
        folder = tempfile.mkdtemp()
        write_files(folder, {"main.go": GO})
        subprocess.run(["go", "build", "-o", "prog", "main.go"], cwd=folder, check=True,
                       env={**os.environ, "CGO_ENABLED": "0"})
        with open(os.path.join(folder, "prog"), "rb") as file:
            _go["prog"] = file.read()
        shutil.rmtree(folder)
    path = os.path.join(directory, "prog")
    with open(path, "wb") as file:
        file.write(_go["prog"])
    os.chmod(path, 0o755)


CC_NAMES = ((rb"^/tmp/cc\w{6}", b"/tmp/ccX"),)
CMAKE_NAMES = CC_NAMES + ((rb"(CMakeScratch/TryCompile-|CMakeTmp/)\w+", rb"\1X"), (rb"cmTC_\w{5}", b"cmTC_X"),
                          (rb"\.tmp[0-9a-f]{4,5}$", b".tmpX"), (rb"/b/st\w{6}$", b"/b/stX"), PROC_OF_OWN)
# name: (setup, command, patterns)
CASES = {
    "git": (lambda d: None, ["/bin/sh", "-c", GIT], GIT_NAMES),
    "gcc": (lambda d: write_files(d, PROJECT), ["/usr/bin/gcc", "-O1", "-o", "prog", "m.c", "l.c"], CC_NAMES),
    "python": (lambda d: write_files(d, {"p.py": PYTHON}), ["/usr/bin/python3", "p.py"], (PROC_OF_OWN,)),
    "cmake": (lambda d: write_files(d, PROJECT),
              ["/bin/sh", "-c", "cmake -G 'Unix Makefiles' -S . -B b > log && make -C b > log2 && b/m"], CMAKE_NAMES),
    "busybox": (busybox_setup, ["bin/busybox", "sh", "-c", BUSYBOX], (PROC_OF_OWN, (rb"/work/a/f\w{6}$", b"/work/a/fX"))),
    "go": (go_setup, ["./prog"], (PROC_OF_OWN,)),
}


def fresh(directory, setup):
    shutil.rmtree(directory, ignore_errors=True)
    os.mkdir(directory)
    setup(directory)


def run_case(name):
    setup, command, patterns = CASES[name]
    base = os.path.realpath(tempfile.mkdtemp(prefix="files-" + name))
    work, log, output = (os.path.join(base, part) for part in ("work", "strace", "records"))
    options = {"cwd": work, "env": ENVIRONMENT, "capture_output": True, "stdin": subprocess.DEVNULL, "check": False}
    try:
        fresh(work, setup)
        subprocess.run(command, **options)  # what programs keep for the next time
        fresh(work, setup)
        native = strace_files.trace(command, log, **options)
        fresh(work, setup)
        hooked = subprocess.run([os.environ["SYSREWRITE"], "run", "--hook", f"files:output={output}:format=json", "--",
                                 *command], **options)
        with open(log, encoding="utf-8") as lines:
            traced = strace_files.records(lines, work)
        got, reasons = files_comparison.read_output(output)
        problems = files_comparison.compare(got, traced, patterns)
        if reasons:
            problems.append(f"incomplete: {reasons}")
        if (native.returncode, native.stdout) != (hooked.returncode, hooked.stdout):
            problems.append(f"ran otherwise: {native} {hooked}")
        if len(got) < 20:
            problems.append(f"only {len(got)} records: this compares nothing")
        print(f"{name}: {len(got)} records of files, {len(traced)} names of strace, {len(problems)} differences")
        for problem in problems[:int(os.environ.get("FILES_TEST_SHOW", "40"))]:
            print("  " + problem)
        return not problems
    finally:
        if "FILES_TEST_KEEP" in os.environ:
            print(base)
        else:
            shutil.rmtree(base)


if __name__ == "__main__":
    sys.exit(0 if run_case(sys.argv[1]) else 1)
