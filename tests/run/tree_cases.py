"""A tree whose files were rewritten in place: no `run`, no cache, no server; sysload alone."""
import os
import re
import shutil
import subprocess

from comparison import PYTHON, SYSLOAD, SYSREWRITE, build, check, counts, normalised, tool

LD_SO = "/lib64/ld-linux-x86-64.so.2"
MUSL = "/lib/ld-musl-x86_64.so.1"
PROGRAMS = ("bash", "ls", "cat", "env", "sort", "wc", "sed", "grep", "perl", "git", "uname")
ADDRESS = (re.compile(r"0x[0-9a-f]{12,16}"), "@ADDRESS@")
SCRIPT = r"""
set -e
cd /tmp
for i in 1 2 3; do echo line $i; done | sort -r > sorted
wc -l < sorted; cat sorted | grep 2
(trap 'echo trapped' USR1; kill -USR1 $BASHPID; echo after)
env -i /bin/bash -c 'echo empty environment $0'
perl -e 'my $pid = fork // die; if (!$pid) { exec "/bin/uname", "-s" } waitpid $pid, 0; print "perl $?\n"'
git init -q repo && cd repo && echo x > f && git add f
git -c user.name=n -c user.email=e@x commit -qm m && git log --format=%s && git fsck
"""
DLOPEN = r"""
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char** argv) {
  void* m = dlopen("libm.so.6", RTLD_NOW);
  double (*cosine)(double) = m ? (double (*)(double))dlsym(m, "cos") : 0;
  printf("%s %d %g\n", argv[0], argc, cosine ? cosine(0) : -1);
  return 7;
}
"""
# glibc's static programs have an ld.so inside, for NSS, iconv and dlopen.
STATIC_DLOPEN = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
  for (int i = 0; i < 3; ++i) {
    void* libc = dlopen("libc.so.6", RTLD_NOW);
    pid_t (*parent)(void) = libc ? (pid_t (*)(void))dlsym(libc, "getppid") : 0;
    puts(parent ? parent() == getppid() ? "the same" : "another" : dlerror());
    if (libc) dlclose(libc);
  }
  return 7;
}
"""
HELLO = r"""
#include <stdio.h>
int main(int argc, char** argv) { printf("%s %d\n", argv[0], argc); return 7; }
"""


def libraries(path):
    out = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", out)


def copy(source, root, target=None):
    target = root + (target or source)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if not os.path.exists(target):
        shutil.copy2(source, target)


def make_tree(root):
    """A small Debian: a shell, tools, glibc and musl."""
    for folder in ("tmp", "dev", "proc", "usr", "bin", "lib", "lib64"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    for program in PROGRAMS:
        path = tool(program)
        copy(path, root, "/bin/" + program)
        for library in libraries(path):
            copy(os.path.realpath(library), root, library)
    copy("/usr/bin/ldd", root, "/bin/ldd")
    copy("/lib/x86_64-linux-gnu/libm.so.6", root)
    copy(os.path.realpath(MUSL), root, MUSL)
    for name, flags in (("pie", ["-pie"]), ("fixed", ["-no-pie"])):
        build(root + "/tmp", name, DLOPEN, *flags)
    build(root + "/tmp", "of-musl", HELLO, compiler="musl-gcc")
    # ld.so by links: as Debian has it in /usr/bin, and by another one to that.
    os.symlink("../lib64/ld-linux-x86-64.so.2", root + "/bin/ld.so")
    os.symlink("/bin/ld.so", root + "/tmp/ld.so")
    build(root + "/tmp", "by-link", HELLO, "-Wl,--dynamic-linker=/tmp/ld.so")
    build(root + "/tmp", "static", HELLO, "-static")
    for name, flag in (("loads", "-static"), ("loads-pie", "-static-pie")):
        build(root + "/tmp", name, STATIC_DLOPEN, flag, "-w", "-Wl,--no-warnings")
    os.remove(root + "/tmp/pie.c")


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def rewrite_in_place(root, leave):
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path) or not is_elf(path) or path[len(root):] in leave:
                continue
            subprocess.run([SYSREWRITE, "-q", path, path], check=True)
    copy(SYSLOAD, root, "/usr/lib/sysload")
    for interpreter in (LD_SO, MUSL):
        os.rename(root + interpreter, root + interpreter + ".rewritten")
        shutil.copy2(SYSLOAD, root + interpreter)


COMMANDS = (
    ["/bin/bash", "-c", SCRIPT],
    # What was installed later, and not rewritten.
    ["/bin/ls", "/lib64-is-not-there"],
    ["/tmp/pie", "x"], ["/tmp/fixed", "x"], ["/tmp/of-musl", "x"], ["/tmp/static", "x"],
    ["/tmp/loads"], ["/tmp/loads-pie"],
    [LD_SO, "/tmp/pie", "x"], [LD_SO, "/tmp/fixed", "x"], [LD_SO, "/bin/ls", "/bin"],
    [LD_SO, "--argv0", "other", "/tmp/pie"],
    [LD_SO, "--list", "/bin/ls"], [LD_SO, "--verify", "/bin/ls"], [LD_SO, "--version"],
    [LD_SO, "--no-such-option"], [LD_SO, "/no/such/program"],
    ["/tmp/by-link", "x"], ["/bin/ld.so", "/tmp/fixed", "x"], ["/tmp/ld.so", "--list", "/bin/ls"],
    ["/bin/bash", "-c", "cd /tmp; exec ./ld.so --version"],
    ["/bin/bash", "/bin/ldd", "/bin/git"], ["/bin/bash", "/bin/ldd", "/tmp/fixed"],
    ["/bin/env", "LD_TRACE_LOADED_OBJECTS=1", "/bin/perl"],
    [MUSL, "/tmp/of-musl", "x"], [MUSL, "--list", "/tmp/of-musl"], [MUSL],
    ["/lib/x86_64-linux-gnu/libc.so.6"],
)


def in_tree(root, command, env=None):
    done = subprocess.run([tool("chroot"), root, *command], capture_output=True, text=True, timeout=120,
                          env={"PATH": "/bin", "HOME": "/tmp", **(env or {})}, check=False)
    return done


def compare(native, ours, commands):
    """The same commands in both, natively and rewritten, print and return the same."""
    for command in commands:
        results = []
        for root in (native, ours):
            done = in_tree(root, command)
            results.append((done.returncode, normalised(done.stdout, root, [ADDRESS]),
                            normalised(done.stderr, root, [ADDRESS])))
            shutil.rmtree(root + "/tmp/repo", ignore_errors=True)
        check(results[0] == results[1], f"{command}\n=== natively\n{results[0]}\n"
                                        f"=== rewritten\n{results[1]}")


def check_enterable(root):
    check(in_tree(root, ["/bin/bash", "-c", "exit 3"]).returncode == 3, "the tree itself")


def check_counted(root, commands):
    """Really rewritten, from ld.so's first instruction on."""
    for command in commands:
        done = in_tree(root, command, {"SYSLOAD_HOOK": "count"})
        tables = counts(done.stderr)
        closes_its_errors = command[0] == "/bin/ls"
        check(closes_its_errors or (tables and tables[0][1]["total"] >= 10), f"{command}: {done.stderr}")


def case_tree_works(runner):
    native, ours = runner.folder(), runner.folder()
    make_tree(native)
    make_tree(ours)
    rewrite_in_place(ours, leave=("/bin/ls",))
    compare(native, ours, COMMANDS)
    check_enterable(native)
    check_counted(ours, (["/bin/bash", "-c", "echo x"], ["/bin/ls", "/"], [LD_SO, "/tmp/fixed"],
                         ["/tmp/of-musl"], [MUSL, "/tmp/of-musl"]))


PYTHON_SCRIPT = r"""
import hashlib, json, os, subprocess, threading
print(hashlib.sha256(b"x").hexdigest(), json.dumps({"a": [1, None]}), sorted(os.listdir("/")))
out = []
threads = [threading.Thread(target=out.append, args=(i,)) for i in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(out), subprocess.run(["/bin/uname", "-s"], capture_output=True).stdout)
raise SystemExit(5)
"""


def make_debian_tree(root):
    """As make_tree, but laid out as Debian's: ld.so's name is a link, /bin and /lib are links, and
    Python with its modules is there."""
    for folder in ("usr/bin", "usr/lib/x86_64-linux-gnu", "usr/lib64"):
        os.makedirs(os.path.join(root, folder))
    for name in ("bin", "lib", "lib64"):
        os.symlink("usr/" + name, os.path.join(root, name))
    library = "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    os.symlink(library, root + LD_SO)
    copy(os.path.realpath(library), root, library)
    make_tree(root)
    python = os.path.realpath(PYTHON)
    copy(python, root, "/bin/python3")
    for path in libraries(python):
        copy(os.path.realpath(path), root, path)
    for module in ("ctypes", "encodings", "json", "collections", "re", "lib-dynload", "importlib"):
        shutil.copytree(f"/usr/lib/python3.11/{module}", f"{root}/usr/lib/python3.11/{module}",
                        ignore=shutil.ignore_patterns("__pycache__"))
    for module in os.listdir("/usr/lib/python3.11"):
        if module.endswith(".py"):
            copy("/usr/lib/python3.11/" + module, root)
    for path in os.listdir(root + "/usr/lib/python3.11/lib-dynload"):
        for needed in libraries(f"{root}/usr/lib/python3.11/lib-dynload/{path}"):
            copy(os.path.realpath(needed), root, needed)


def case_batch_tree_works(runner):
    """What batch makes of a root file system is entered by chroot as it is."""
    folder = runner.folder()
    native, ours = folder + "/native", folder + "/ours"
    os.mkdir(native, 0o755)
    make_debian_tree(native)
    # Kept, and started by the kernel with what stands at ld.so's name; a payload forbids a rewrite.
    for name in ("fixed", "by-link"):
        with open(f"{native}/tmp/{name}", "ab") as file:
            file.write(b"PAYLOAD" * 100)
    done = subprocess.run([SYSREWRITE, "batch", "--install-sysload", "--loader", SYSLOAD, native,
                           "-o", ours], capture_output=True, text=True, timeout=300, check=False)
    # Of libcrypto a few pairs are uncertain.
    check(done.returncode in (0, 3), done)
    check("as tmp/by-link: a file with a payload behind the program" in done.stderr, done.stderr)
    check(os.readlink(ours + LD_SO + ".rewritten") == os.readlink(native + LD_SO), "ld.so's link")
    # ls comes later, from elsewhere.
    shutil.copy2(native + "/bin/ls", ours + "/bin/ls")
    compare(native, ours, [*COMMANDS, ["/bin/python3", "-B", "-c", PYTHON_SCRIPT]])
    check_enterable(native)
    # The other tree has its ld.so where no library is looked for.
    check(in_tree(native, ["/tmp/loads"]).stdout == 3 * "the same\n", "a static program loads libc")
    check_counted(ours, (["/bin/bash", "-c", "echo x"], ["/bin/ls", "/"], ["/tmp/fixed"],
                         ["/tmp/of-musl"], ["/tmp/static"], ["/bin/python3", "-c", "print(1)"]))


def make_tree_of_names(root, real):
    """Programs that name ld.so by Debian's link, by a link to that, and by `real`, the path of its file."""
    for folder in ("tmp", "usr/bin", "usr/lib/x86_64-linux-gnu", "usr/lib64"):
        os.makedirs(os.path.join(root, folder))
    for name in ("bin", "lib", "lib64"):
        os.symlink("usr/" + name, os.path.join(root, name))
    for library in libraries("/bin/true"):
        copy(os.path.realpath(library), root, os.path.realpath(library))
    os.symlink("../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", root + LD_SO)
    os.symlink(LD_SO, root + "/bin/ld.so")
    for name, path in (("usual", LD_SO), ("link", "/bin/ld.so"), ("real", real)):
        build(root + "/tmp", name, HELLO, "-Wl,--dynamic-linker=" + path)
        shutil.copy2(f"{root}/tmp/{name}", f"{root}/tmp/kept-{name}")
        with open(f"{root}/tmp/kept-{name}", "ab") as file:
            file.write(b"PAYLOAD" * 100)


def case_batch_tree_of_names(runner):
    """However many names ld.so has, and in whichever order they come, each of them starts programs."""
    for prefix in ("", "/usr"):
        real = prefix + "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
        folder = runner.folder()
        native, ours = folder + "/native", folder + "/ours"
        make_tree_of_names(native, real)
        command = [SYSREWRITE, "batch", "-q", "--install-sysload", "--loader", SYSLOAD]
        subprocess.run([*command, native, "-o", ours], check=True)
        commands = [[f"/tmp/{kept}{name}", "x"] for kept in ("", "kept-") for name in ("usual", "link", "real")]
        by_name = [[name, *rest] for name in (LD_SO, "/bin/ld.so", real)
                   for rest in (["--list", "/tmp/usual"], ["--version"], ["/tmp/kept-real", "x"])]
        compare(native, ours, commands + by_name)
        check_counted(ours, commands)
        # The same again, and with an ld.so that came later, by its package: its link and its file.
        new = folder + "/new"
        for path in (real, LD_SO):
            os.remove(ours + path)
            shutil.copy2(native + path, ours + path, follow_symlinks=False)
        subprocess.run([*command, ours, "-o", new], check=True)
        compare(native, new, commands + by_name)
    check(in_tree(native, ["/tmp/real"]).returncode == 7, "the tree itself")


def case_tree_without_its_ld_so(runner):
    root = runner.folder()
    make_tree(root)
    rewrite_in_place(root, leave=("/bin/ls",))
    os.rename(root + LD_SO + ".rewritten", root + "/elsewhere")
    for command in (["/bin/ls"], ["/bin/bash", "-c", "echo x"]):
        done = in_tree(root, command)
        check(done.returncode == 127 and done.stdout == "" and done.stderr ==
              f"sysload: interpreter: {LD_SO} is sysload, and there is no {LD_SO}.rewritten beside "
              "it: the rewritten ld.so belongs there (or the program was rewritten, and has lost its "
              "trailer: strip, objcopy)\n", f"{command}: {done}")
    # By its own name it is then a command, and says what it wants.
    done = in_tree(root, [LD_SO, "--version"])
    check(done.returncode == 0 and done.stdout.startswith("sysload "), done)


def case_tree_with_a_stripped_library(runner):
    root = runner.folder()
    make_tree(root)
    rewrite_in_place(root, leave=("/bin/cat",))
    libc = os.path.realpath("/lib/x86_64-linux-gnu/libc.so.6")
    libc = next(path for path in libraries(tool("cat")) if os.path.realpath(path) == libc)
    whole = root + "/whole"
    shutil.copy2(root + libc, whole)
    line = ("sysload: trailer: {}: the trailer is gone (strip, objcopy, or a truncated or "
            "concatenated file); strip before rewriting, and rewrite again\n")
    for words in (["strip", "-o", root + libc, whole], ["objcopy", whole, root + libc]):
        subprocess.run([tool(words[0]), *words[1:]], check=True)
        for command in (["/bin/cat", "/dev/null"], ["/bin/bash", "-c", "echo x"], ["/tmp/pie"]):
            for env in ({}, {"SYSLOAD_HOOK": "count"}):
                done = in_tree(root, command, env)
                # Without /proc nobody knows a descriptor's name.
                check(done.returncode == 127 and done.stdout == "" and
                      line.format("a file") in done.stderr, f"{words[0]}, {command}: {done}")
        done = subprocess.run([SYSLOAD, root + LD_SO + ".rewritten", "--library-path",
                               os.path.dirname(root + libc), tool("cat"), "/dev/null"],
                              capture_output=True, text=True, timeout=120, check=False)
        check(done.returncode == 127 and done.stderr == line.format(root + libc), f"{words[0]}: {done}")
    shutil.copy2(whole, root + libc)
    check(in_tree(root, ["/bin/bash", "-c", "echo x"]).stdout == "x\n", "the library as it was")
