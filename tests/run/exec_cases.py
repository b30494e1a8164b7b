"""What a program executes, by whatever name, and whether that is followed."""
import os

from comparison import build, same, write


def program(name):
    """The source of one of the programs beside this file."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs", name + ".c")
    with open(path, encoding="utf-8") as file:
        return file.read()


def case_exec_by_descriptors_that_close(runner):
    """/proc/self/fd/3 leads nowhere once the descriptor is closed, as it is by exec."""
    for flags in ((), ("-static",)):
        same(runner, ["./own"], prepare=lambda f: build(f, "own", program("exec_by_name"), "-w", *flags),
             normalise=[(r"task/\d+", "task/@PID@")])


FLAGS = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static void go(const char* name, int folder, const char* path, unsigned long flags) {
  char* words[] = {"echo", "executed", 0};
  if (fork() == 0) {
    long answer = syscall(SYS_execveat, folder, path, words, words + 2, flags);
    printf("%s: %ld %s\n", name, answer, answer < 0 ? strerrorname_np(errno) : "");
    fflush(stdout);
    _exit(0);
  }
  wait(0);
}
int main(int argc, char** argv) {
  if (argc == 2) return puts("executed itself"), 0;
  int echo = open("/bin/echo", O_RDONLY), data = open("data", O_RDONLY);
  symlink("/bin/echo", "link");
  go("none", AT_FDCWD, "/bin/echo", 0);
  go("upper half", AT_FDCWD, "/bin/echo", 1ul << 32);
  go("check", AT_FDCWD, "/bin/echo", 0x10000);
  go("check of data", AT_FDCWD, "data", 0x10000);
  go("check by descriptor", echo, "", 0x10000 | AT_EMPTY_PATH);
  go("check of data by descriptor", data, "", 0x10000 | AT_EMPTY_PATH);
  go("check of itself", AT_FDCWD, "/proc/self/exe", 0x10000);
  go("unknown", AT_FDCWD, "/bin/echo", 4);
  go("unknown by descriptor", echo, "", 4 | AT_EMPTY_PATH);
  go("empty", echo, "", 0);
  go("link", AT_FDCWD, "link", 0);
  go("link, not followed", AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW);
  go("no link", AT_FDCWD, "/usr/bin/echo", AT_SYMLINK_NOFOLLOW);
  go("itself, not followed", AT_FDCWD, "/proc/self/exe", AT_SYMLINK_NOFOLLOW);
  return 0;
}
"""


def case_flags_of_execveat(runner):
    """AT_EXECVE_CHECK executes nothing, nor does a flag that there is not."""
    def prepare(folder):
        build(folder, "flags", FLAGS, "-w")
        write(folder, "data", "data\n")

    same(runner, ["./flags"], prepare=prepare)
