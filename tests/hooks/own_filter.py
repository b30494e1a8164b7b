"""Programs with a seccomp filter of their own, which kills for all but their own calls and those that docs/limits.md
lists: hooks need no other."""

import os
import re
import signal
import subprocess
import sys
import tempfile

SYSREWRITE, SYSLOAD = os.environ["SYSREWRITE"], os.environ["SYSLOAD"]
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/limits.md")

PROGRAM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
static const int allowed[] = {ALLOWED};
enum { kCount = sizeof allowed / sizeof *allowed };
int main(void) {
  struct sock_filter filter[2 * kCount + 2];
  int at = 0;
  filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (int i = 0; i < kCount; ++i) {
    filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  }
  filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
  struct sock_fprog program = {at, filter};
  const int directory = open("d", O_PATH | O_DIRECTORY);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 2;
  syscall(SYS_openat, directory, "../d/none", O_RDONLY);
  syscall(SYS_openat, AT_FDCWD, "made", O_WRONLY | O_CREAT, 0600);
  syscall(SYS_openat, AT_FDCWD, "/link", O_RDONLY);
  syscall(SYS_rename, "made", "there");
  syscall(SYS_exit_group, 7);
}
"""
OWN = "openat rename exit_group".split()
HOOKS = {"files": "files", "deny": "deny:report:policy=policy", "sysroot": "sysroot:root=root", "trace:time": "trace:time"}
KILLED = 128 + signal.SIGSYS


def names(text):
    return [name for name in re.findall(r"[a-z_][a-z0-9_]+", text) if name != "and"]


def main():
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    every = names(re.search(r"has to allow what sysload does under hooks: ([^.]*)\.", page)[1])
    run = names(re.search(r"whatever writes under `run`\s([^;]*);", page)[1])
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sysrewrite-filter-") as folder:
        folder = os.path.realpath(folder)
        for directory in ("d", "root", "root" + folder):
            os.makedirs(os.path.join(folder, directory.lstrip("/")), exist_ok=True)
        with open(os.path.join(folder, "policy"), "w", encoding="utf-8") as file:
            file.write(f"deny EPERM openat path under {folder}/d\nallow rename path under {folder}\n")
        os.symlink("d", os.path.join(folder, "root/link"))
        for name, hook in HOOKS.items():
            own = names(re.search(rf"`{name}`\s([^;.]*)[;.]", page)[1])
            for listed, says, wanted in (([*every, *run, *own], "with what it needs", 7), ([*every, *run], "without", KILLED)):
                program = os.path.join(folder, "program")
                source = PROGRAM.replace("ALLOWED", ", ".join("SYS_" + call for call in [*OWN, *listed]))
                subprocess.run(["gcc", "-O1", "-w", "-static", "-x", "c", "-o", program, "-"], input=source.encode(), check=True)
                done = subprocess.run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", hook, "--", program], cwd=folder,
                                      capture_output=True, text=True, timeout=120, check=False)
                good = done.returncode == wanted
                print("ok:" if good else "FAILED:", name, says, "" if good else done)
                failed += not good
                for left in ("made", "there"):
                    if os.path.exists(os.path.join(folder, left)):
                        os.unlink(os.path.join(folder, left))
    sys.exit(1 if failed else 0)


main()
