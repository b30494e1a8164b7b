"""Programs with a seccomp filter of their own, which kills for all but their own calls and those that docs/limits.md
lists: hooks need no other."""

import difflib
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

# As a browser's sandbox: what it does not make itself is caught, in threads that have blocked all signals while they
# make others; there SIGSYS kills. What its pointers name is looked at by sysload, or is not there.
CATCHES = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static const int caught[] = {SYS_process_vm_readv, SYS_process_vm_writev, SYS_arch_prctl, SYS_tkill, SYS_kcmp};
enum { kCount = sizeof caught / sizeof *caught };
static void say(const char *what, long answer) { printf("%s %ld %d\n", what, answer, answer < 0 ? errno : 0); }
static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)context;
  printf("signal %d, call %d\n", signal, signal == SIGSYS ? info->si_syscall : 0);
}
static void *look(void *argument) {
  char *const end = argument;  /* of a page, behind which nothing is */
  struct timespec none = {0, 0};
  sigset_t set;
  sigemptyset(&set), sigaddset(&set, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  for (int room = 0; room <= 160; room += 4) {
    memcpy(end - room, "\0\2\0\0\0\0\0\0", room < 8 ? room : 8);  /* SIGUSR2 */
    long answers[] = {syscall(SYS_rt_sigtimedwait, end - room, NULL, &none, 8),
                      syscall(SYS_rt_sigaction, SIGUSR2, NULL, end - room, 8),
                      syscall(SYS_sigaltstack, NULL, end - room)};
    printf("%d: %ld %ld %ld\n", room, answers[0], answers[1], answers[2]);
  }
  syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
  siginfo_t info;
  say("waited", sigtimedwait(&set, &info, &none));
  return NULL;
}
int main(void) {
  struct sock_filter filter[2 * kCount + 2];
  int at = 0;
  setvbuf(stdout, NULL, _IONBF, 0);
  char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(page + 4096, 4096);
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART};
  action.sa_sigaction = on_signal;
  sigaction(SIGSYS, &action, NULL), sigaction(SIGUSR2, &action, NULL);
  filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (int i = 0; i < kCount; ++i) {
    filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, caught[i], 0, 1);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
  }
  filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {at, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 2;
  if (BY_PRCTL ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) return 2;
  for (int i = 0; i < 3; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, look, page + 4096)) return 3;
    pthread_join(thread, NULL);
  }
  say("clone3", syscall(SYS_clone3, page + 4096, 64));
  const pid_t child = fork();
  if (child == 0) {
    raise(SIGUSR2);
    look(page + 4096);
    _exit(9);
  }
  int status = 0;
  waitpid(child, &status, 0);
  say("child", status);
  return 0;
}
"""
HOOKS = {"files": "files", "deny": "deny:report:policy=policy", "sysroot": "sysroot:root=root", "trace:time": "trace:time"}
KILLED = 128 + signal.SIGSYS


def catches(folder):
    """A filter that catches: what the program does, and is told, is as natively."""
    failed = 0
    for by_prctl in "0", "1":
        program = os.path.join(folder, "catches")
        subprocess.run(["gcc", "-O1", "-w", "-static", "-pthread", f"-DBY_PRCTL={by_prctl}", "-x", "c", "-o", program, "-"],
                       input=CATCHES.encode(), check=True)
        native = subprocess.run([program], capture_output=True, text=True, timeout=120, check=True)
        for hook in ("pass:only=getppid", "pass:entry:exit", "count:output=/dev/null", "files:output=/dev/null"):
            done = subprocess.run([SYSREWRITE, "run", "-q", "--loader", SYSLOAD, "--hook", hook, "--", program],
                                  capture_output=True, text=True, timeout=120, check=False)
            good = (done.returncode, done.stdout, done.stderr) == (0, native.stdout, "")
            print("ok:" if good else "FAILED:", f"catches, by prctl {by_prctl}, {hook}", "" if good else f"{done.returncode}\n" +
                  "\n".join(difflib.unified_diff(native.stdout.splitlines(), (done.stdout + done.stderr).splitlines(), n=1)))
            failed += not good
    return failed


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
        failed += catches(folder)
    sys.exit(1 if failed else 0)


main()
