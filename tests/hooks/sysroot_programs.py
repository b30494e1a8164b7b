"""A tree like Alpine's under `sysrewrite run --hook sysroot`: musl's ld.so, a program linked to it, and busybox,
on files of the tree and of the host. What is expected is written down here.

usage: sysroot_programs.py CASE; in the environment SYSREWRITE.
"""
import os
import shutil
import subprocess
import sys
import tempfile

MUSL_PROGRAM = r"""
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int count, char** arguments) {
  char text[4096];
  printf("cwd %s\n", getcwd(text, sizeof text));
  ssize_t size = readlink("/proc/self/exe", text, sizeof text - 1);
  printf("exe %.*s\n", (int)size, text);
  size = readlink("/proc/self/cwd", text, sizeof text - 1);
  printf("link %.*s\n", (int)size, text);
  for (int i = 1; i < count; ++i) {
    FILE* file = fopen(arguments[i], "r");
    if (!file) { perror(arguments[i]); continue; }
    printf("%s: %s", arguments[i], fgets(text, sizeof text, file) ? text : "\n");
    fclose(file);
  }
  return 0;
}
"""
PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
APPLETS = "sh ls cat mkdir rm mv cp ln find pwd readlink grep rmdir mktemp sed stat touch tar sort env true cmp".split()


class Tree:
    def __init__(self):
        self.base = os.path.realpath(tempfile.mkdtemp(prefix="sysroot"))
        self.root = os.path.join(self.base, "root")
        self.host = os.path.join(self.base, "host")
        for directory in ("bin", "etc", "lib", "usr/lib", "usr/bin", "proc", "var"):
            os.makedirs(os.path.join(self.root, directory))
        os.mkdir(self.host)
        shutil.copy("/usr/bin/busybox", self.root + "/bin/busybox")
        for applet in APPLETS:
            os.symlink("/bin/busybox", f"{self.root}/bin/{applet}")
        shutil.copy("/lib/ld-musl-x86_64.so.1", self.root + "/lib/ld-musl-x86_64.so.1")
        os.symlink("/lib/ld-musl-x86_64.so.1", self.root + "/lib/libc.musl-x86_64.so.1")
        self.write("root/etc/os-release", "NAME=Tree\n")
        self.write("root/etc/only-here", "only here\n")
        self.write("source.c", MUSL_PROGRAM)
        subprocess.run(["musl-gcc", "-O1", "-o", self.root + "/bin/show", self.base + "/source.c"], check=True)

    def write(self, name, text):
        with open(os.path.join(self.base, name), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(os.path.join(self.base, name), encoding="utf-8") as file:
            return file.read()

    def exists(self, name):
        return os.path.lexists(os.path.join(self.base, name))

    def run(self, *command, before=()):
        """What a command writes, and how it ends; `before` is what starts sysrewrite."""
        done = subprocess.run([*before, os.environ["SYSREWRITE"], "run", "--quiet", "--hook", f"sysroot:root={self.root}",
                               "--", *command], cwd=self.host, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=200, check=False, env={"PATH": "/bin:/usr/bin", "LC_ALL": "C", "HOST": self.host})
        return done.stdout + done.stderr + (f"status {done.returncode}\n" if done.returncode else "")

    def shell(self, script):
        return self.run(self.root + "/bin/busybox", "sh", "-c", script)


def expect(found, wanted):
    if found != wanted:
        raise SystemExit(f"found:\n{found}\nexpected:\n{wanted}")


def case_musl(tree):
    """A dynamic program of the tree: its libraries and files are the tree's, and it sees itself in it."""
    expect(tree.run(tree.root + "/bin/show", "/etc/os-release", "/etc/only-here", "/etc/hostname-of-nobody"),
           f"cwd {tree.host}\nexe /bin/show\nlink {tree.host}\n/etc/os-release: NAME=Tree\n/etc/only-here: only here\n"
           "/etc/hostname-of-nobody: No such file or directory\n")
    expect(tree.shell("cd /usr/lib && show ../../etc/os-release ../../../../etc/only-here"),
           "cwd /usr/lib\nexe /bin/show\nlink /usr/lib\n../../etc/os-release: NAME=Tree\n"
           "../../../../etc/only-here: only here\n")


def case_host_directory(tree):
    """busybox of the tree works on a directory of the host, made by mktemp."""
    directory = tempfile.mkdtemp(dir=tree.host)
    script = f"""cd {directory} && pwd
        echo one > a && mkdir d && mv a d/b && cat d/b && ln -s d/b l && cat l && ln d/b h
        cp h c && sed -i s/one/two/ c && cat c && touch d/t && find . | sort
        tar cf t.tar d && rm -r d && tar xf t.tar && cat d/b && rm -r d h c t.tar l && ls -A
        cd / && rmdir {directory} && ls {directory}"""
    expect(tree.shell(script),
           f"{directory}\none\none\ntwo\n.\n./c\n./d\n./d/b\n./d/t\n./h\n./l\none\n"
           f"ls: {directory}: No such file or directory\nstatus 1\n")
    expect(sorted(os.listdir(tree.root)), sorted(["bin", "etc", "lib", "usr", "proc", "var"]))


def case_through_missing(tree):
    """What the tree has not, on the way or at its end, is the host's."""
    tree.write("host/f", "host\n")
    expect(tree.shell(f"cat {tree.host}/f; head -c 6 /proc/version; echo; cat /etc/os-release; head -c 4 /usr/bin/env | wc -c; "
                      "ls /nowhere/at/all"),
           "host\nLinux \nNAME=Tree\n4\nls: /nowhere/at/all: No such file or directory\nstatus 1\n")


def case_over_host(tree):
    """What both have is the tree's, also where it lies in a directory of the same name."""
    os.makedirs(tree.root + tree.host)
    tree.write("host/both", "host\n")
    tree.write("host/alone", "host alone\n")
    tree.write(os.path.relpath(tree.root + tree.host + "/both", tree.base), "tree\n")
    expect(tree.shell(f"cat {tree.host}/both {tree.host}/alone; cd {tree.host}; pwd; cat both alone; ls"),
           f"tree\nhost alone\n{tree.host}\ntree\nhost alone\nboth\n")
    expect(tree.shell(f"echo new > {tree.host}/made; rm {tree.host}/both; cat {tree.host}/both"), "host\n")
    if tree.exists("host/made"):
        raise SystemExit("made on the host, although the tree has the directory")
    expect(tree.read(os.path.relpath(tree.root + tree.host + "/made", tree.base)), "new\n")
    expect(tree.read("host/both"), "host\n")


def case_links_and_parents(tree):
    """Links of the tree are followed in it, and nothing leads out of its top."""
    os.symlink("/etc/os-release", tree.root + "/var/absolute")
    os.symlink("../../../../../etc/only-here", tree.root + "/var/relative")
    os.symlink("/etc", tree.root + "/var/directory")
    expect(tree.shell("cat /var/absolute /var/relative /var/directory/only-here /../../etc/only-here; cd /var/directory; "
                      "/bin/pwd; cd ../../..; /bin/pwd; readlink /var/directory; cat /var/directory/../etc/only-here"),
           "NAME=Tree\nonly here\nonly here\nonly here\n/etc\n/\n/etc\nonly here\n")


def case_scripts(tree):
    """What a script's first line names is the tree's, with the arguments that the kernel gives it."""
    os.makedirs(tree.root + "/opt")
    os.symlink("/bin/busybox", tree.root + "/opt/sh")
    show = 'echo "$0 $# $1 $2"; case $- in *e*) echo option;; esac\n'
    for name, line in (("plain", "#!/opt/sh"), ("option", "#! /opt/sh  -e  "), ("nested", "#!/bin/plain -x"),
                       ("missing", "#!/opt/none"), ("host", "#!/usr/bin/perl")):
        tree.write(f"root/bin/{name}", line + "\n" + ("print qq($0 @ARGV\\n);\n" if name == "host" else show))
        os.chmod(f"{tree.root}/bin/{name}", 0o755)
    tree.write("root/bin/not", "#!/opt/sh\n")
    expect(tree.shell("env plain one 'two three'; cd /bin; env ./option one two; env nested one; env missing; env not; env host one"),
           "/bin/plain 2 one two three\n./option 2 one two\noption\n/bin/plain 3 -x /bin/nested\n"
           "/bin/host one\n"
           "env: can't execute 'missing': No such file or directory\nenv: can't execute 'not': Permission denied\n")
    expect(tree.shell("env plain " + "x " * 1000 + "| cut -c 1-20"), "/bin/plain 1000 x x\n")


def case_own_names(tree):
    """getcwd and the links of /proc, in the shell and in its children."""
    expect(tree.shell("cd /etc; /bin/pwd; readlink /proc/self/cwd; readlink /proc/self/exe; readlink /proc/self/root; "
                      "exec 5< /etc/os-release; readlink /proc/self/fd/5; cd $HOST; readlink /proc/self/cwd"),
           f"/etc\n/etc\n/bin/busybox\n/\n/etc/os-release\n{tree.host}\n")


def case_as_chroot(tree):
    """Each call with a name of each form: what the kernel answers in a chroot of the same tree, and leaves there."""
    program = tree.root + "/bin/answers"
    subprocess.run(["gcc", "-O1", "-static", "-o", program, os.path.join(PROGRAMS, "path_answers.c")], check=True)

    def enter():
        os.chroot(tree.root)
        os.chdir("/")

    each = 1 if os.environ.get("SYSREWRITE_TEST_FULL") else 7  # no divisor of 330, the names of a call: each call gets others
    wanted = subprocess.run(["/bin/answers", str(each)], preexec_fn=enter, capture_output=True, text=True, check=True).stdout
    found = tree.run(program, str(each)).splitlines()
    wanted = wanted.splitlines()
    if len(wanted) < 10000 // each or (each == 1 and not any(line.startswith("rename from link/: -1") for line in wanted)):
        raise SystemExit(f"{len(wanted)} lines of the witness are not what was asked for")
    others = [f"{one}\n    in a chroot: {other}" for one, other in zip(found, wanted) if one != other]
    if others or len(found) != len(wanted):
        raise SystemExit("\n".join([*others[:60], f"{len(others)} differ; {len(found)} of {len(wanted)} lines"]))


def case_proc_mounted(tree):
    """A /proc in the tree serves as the host's does: descriptors, namespaces and the program itself."""
    os.mkdir(tree.root + "/dev")
    os.symlink("/proc/self/fd", tree.root + "/dev/fd")
    os.symlink("/proc/self/fd/0", tree.root + "/dev/stdin")
    script = """echo one | cat /dev/stdin; echo two | cat /proc/self/fd/0; echo three | cat /proc/thread-self/fd/0
        exec 5> /var/gone; rm /var/gone; echo four >&5; cat /dev/fd/5
        readlink /proc/self/exe; readlink /proc/self/root; cmp /proc/self/exe /bin/busybox && echo same
        readlink /proc/self/ns/net; stat -L -c net:[%i] /proc/self/ns/net; ls /proc/self/none"""
    network = os.readlink("/proc/self/ns/net") + "\n"
    wanted = ("one\ntwo\nthree\nfour\n/bin/busybox\n/\nsame\n" + 2 * network +
              "ls: /proc/self/none: No such file or directory\nstatus 1\n")
    os.mkdir(tree.root + "/var/proc")
    mount = (f"mount --make-rprivate / && mount -t proc proc {tree.root}/proc && mount -t proc proc {tree.root}/var/proc && "
             'exec "$@"')

    def mounted(text, *options):
        return tree.run(tree.root + "/bin/busybox", "sh", "-c", text,
                        before=("unshare", "--mount", *options, "sh", "-c", mount, "sh"))

    expect(tree.shell(script), wanted)
    expect(mounted(script), wanted)
    # Of these the kernel alone knows the files. The shell's own words: it executes others by /proc/self/exe.
    other = "echo one | { read x < /var/proc/self/fd/0; echo $x; }; echo two | { read x < /dev/stdin; echo $x; }"
    expect(mounted(other), "one\ntwo\n")
    expect(mounted(other, "--pid", "--fork"), "one\ntwo\n")


def case_bind_mount(tree):
    """What is mounted is the sysroot's, like where; a device's name or a file system's word is what it is."""
    os.mkdir(tree.root + "/var/etc")
    script = """busybox mount -o bind /etc /var/etc && cat /var/etc/only-here
        busybox mount -t tmpfs /etc /var/etc && ls /var/etc; cat /etc/only-here"""
    expect(tree.run(tree.root + "/bin/busybox", "sh", "-c", script,
                    before=("unshare", "--mount", "sh", "-c", 'mount --make-rprivate / && exec "$@"', "sh")),
           "only here\nonly here\n")


CASES = {name[len("case_"):]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    made = Tree()
    try:
        CASES[sys.argv[1]](made)
    finally:
        shutil.rmtree(made.base)
