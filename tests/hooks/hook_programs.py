"""What the end-to-end tests of hooks share: one program that does what it is told, rewritten, and hooks
compiled by the command that hook.h documents."""

import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SYSREWRITE = os.environ["SYSREWRITE"]
SYSLOAD = os.environ["SYSLOAD"]
CACHE = os.environ["SYSREWRITE_TEST_CACHE"]
SOURCE = pathlib.Path(os.environ["SYSREWRITE_SOURCE"])
INCLUDE = SOURCE / "loader/include"
EXAMPLES = SOURCE / "loader/examples"
TIMEOUT = 120

PROBE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static void* writer(void* size) {
  static char block[1 << 16];
  const int null = open("/dev/null", O_WRONLY);
  for (int i = 0; i < 10; ++i) write(null, block, (size_t)size);
  printf("%ld %ld\n", (long)syscall(SYS_gettid), 10 * (long)size);
  return NULL;
}
static void* waiter(void* nothing) {
  for (;;) pause();
  return nothing;
}
static void said(const char* what, long answer) {
  printf("%s: %s\n", what, answer < 0 ? strerrorname_np(errno) : "ok");
}
static void cat(const char* path) {
  char bytes[65536];
  const int fd = open(path, O_RDONLY);
  long got;
  if (fd < 0) { said(path, fd); return; }
  fflush(stdout);
  while ((got = read(fd, bytes, sizeof(bytes))) > 0) write(1, bytes, (size_t)got);
  close(fd);
}
int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    char* word = argv[i];
    char* rest = strchr(word, '=');
    if (rest != NULL) *rest++ = 0;
    if (!strcmp(word, "pid")) printf("pid %ld\n", (long)syscall(SYS_getpid));
    if (!strcmp(word, "cat")) cat(rest);
    if (!strcmp(word, "cd")) said("cd", chdir(rest));
    if (!strcmp(word, "write")) said("write", open(rest, O_WRONLY | O_CREAT, 0600));
    if (!strcmp(word, "mkdir")) said("mkdir", mkdir(rest, 0700));
    if (!strcmp(word, "ptrace")) said("ptrace", syscall(SYS_ptrace, 0, 0, 0, 0));
    if (!strcmp(word, "say")) printf("%s\n", rest);
    if (!strcmp(word, "reboot")) { fflush(stdout); said("reboot", syscall(SYS_reboot, 1, 2, 3)); }
    if (!strcmp(word, "threads")) {
      pthread_t threads[8];
      for (long t = 0; t < 8; ++t) pthread_create(&threads[t], NULL, writer, (void*)(100 * (t + 1)));
      for (int t = 0; t < 8; ++t) pthread_join(threads[t], NULL);
    }
    if (!strcmp(word, "alone")) {  // a child without its parent's threads, which ends by the exit of its one thread
      pthread_t thread;
      for (int t = 0; t < 4; ++t) pthread_create(&thread, NULL, waiter, NULL);
      const pid_t child = fork();
      if (child == 0) { write(1, "alone\n", 6); syscall(SYS_exit, 5); }
      int status;
      waitpid(child, &status, 0);
      printf("child %d\n", status);
    }
    if (!strcmp(word, "fork")) {
      fflush(stdout);
      const pid_t child = fork();
      if (child != 0) { int status; waitpid(child, &status, 0); printf("child %d\n", status); break; }
    }
  }
  fflush(stdout);
  return 3;
}
"""


def documented_flags():
    """The flags of the one command in hook.h."""
    header = " ".join((INCLUDE / "sysload/hook.h").read_text().replace("\n *", " ").split())
    command = re.search(r"cc (-O2 .*) -I DIR -o mine\.so mine\.c", header)
    assert command, "hook.h documents no command"
    return command.group(1).split()


class HookTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        (cls.shared / "probe.c").write_text(PROBE)
        cls.native = cls.shared / "native"
        cls.probe = cls.shared / "probe"
        subprocess.run(["/usr/bin/gcc", "-O1", "-static", "-pthread", "-w", "-o", cls.native,
                        cls.shared / "probe.c"], check=True)
        subprocess.run([SYSREWRITE, "--quiet", cls.native, cls.probe], check=True)
        cls.dynamic = cls.shared / "dynamic"
        subprocess.run(["/usr/bin/gcc", "-O1", "-pthread", "-w", "-o", cls.dynamic,
                        cls.shared / "probe.c"], check=True)

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def compiled(self, source, name="mine.so", compiler="/usr/bin/gcc", flags=None):
        """A hook, from a path or from text."""
        if not isinstance(source, pathlib.Path):
            path = self.dir / (name + ".c")
            path.write_text(source)
            source = path
        to = self.dir / name
        subprocess.run([compiler, *(documented_flags() if flags is None else flags), "-I", INCLUDE,
                        "-o", to, source], check=True, stderr=subprocess.PIPE)
        return to

    def execute(self, command, expect, **more):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              errors="replace", timeout=TIMEOUT, check=False,
                              env={**os.environ, "XDG_CACHE_HOME": CACHE}, **more)
        self.assertEqual(done.returncode, expect, f"{command}\n{done.stdout}\n{done.stderr}")
        return done

    def hooked(self, hooks, *arguments, expect=3, **more):
        """The probe under sysload."""
        options = [word for hook in hooks for word in ("--hook", hook)]
        return self.execute([SYSLOAD, *options, self.probe, *arguments], expect, **more)

    def run_hooked(self, hooks, *command, expect=0, **more):
        """Any command under `sysrewrite run`."""
        options = [word for hook in hooks for word in ("--hook", hook)]
        return self.execute([SYSREWRITE, "run", *options, "--", *command], expect, **more)

    def counted_by_strace(self, calls, *command):
        """How many of these calls a command makes, its children's too."""
        done = subprocess.run(["/usr/bin/strace", "-f", "-qq", "-o", self.dir / "strace", "-e",
                               f"trace={calls}", "-e", "signal=none", *map(str, command)],
                              capture_output=True, timeout=TIMEOUT, check=False)
        del done
        lines = (self.dir / "strace").read_text(errors="replace").splitlines()
        return len([line for line in lines if re.match(r"\d+ +\w+\(", line)])


def forbid_writable_code():
    """PR_SET_MDWE, which programs inherit; False where the kernel has none."""
    pr_set_mdwe, refuse_exec_gain = 65, 1
    return ctypes.CDLL(None).prctl(pr_set_mdwe, refuse_exec_gain, 0, 0, 0) == 0
