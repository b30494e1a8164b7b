// Executes a program that prints what it finds as its names, named in one of many ways.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

static int tell(const char* way) {
  char comm[16], exe[4096] = "", line[4096];
  prctl(PR_GET_NAME, comm);
  readlink("/proc/self/exe", exe, sizeof exe - 1);
  const int file = open("/proc/self/cmdline", O_RDONLY);
  const long size = read(file, line, sizeof line);
  for (long i = 0; i < size; ++i)
    if (line[i] == 0) line[i] = ' ';
  close(file);
  const int lowest = open("/dev/null", O_RDONLY);
  printf("%s: execfn %s, comm %s, exe %s, cmdline %.*s, lowest %d\n", way,
         (char*)getauxval(AT_EXECFN), comm, exe, (int)size, line, lowest);
  return 0;
}

static int copy_of(const char* path, int into) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  struct stat status;
  fstat(file, &status);
  sendfile(into, file, 0, status.st_size);
  close(file);
  return into;
}

static void by(const char* way) {
  char name[4200], target[4096];
  char* words[] = {"word", (char*)way, "tell", 0};
  getcwd(target, sizeof target - 5);
  strcat(target, "/own");
  if (strcmp(way, "proc") == 0)
    sprintf(name, "/proc/self/fd/%d", open(target, O_RDONLY | O_CLOEXEC));
  if (strcmp(way, "proc, kept") == 0) sprintf(name, "/proc/self/fd/%d", open(target, O_RDONLY));
  if (strcmp(way, "dev") == 0) sprintf(name, "/dev/fd/%d", open(target, O_RDONLY | O_CLOEXEC));
  if (strcmp(way, "O_PATH") == 0)
    sprintf(name, "/proc/self/fd/%d", open(target, O_PATH | O_CLOEXEC));
  if (strcmp(way, "memfd") == 0)
    sprintf(name, "/proc/self/fd/%d", copy_of(target, memfd_create("copy", MFD_CLOEXEC)));
  if (strcmp(way, "folder") == 0)
    sprintf(name, "/proc/self/fd/%d/own", open(".", O_PATH | O_CLOEXEC));
  if (strcmp(way, "task") == 0)
    sprintf(name, "/proc/self/task/%d/fd/%d", getpid(), open(target, O_RDONLY | O_CLOEXEC));
  if (strcmp(way, "thread") == 0)
    sprintf(name, "/proc/thread-self/fd/%d", open(target, O_RDONLY | O_CLOEXEC));
  if (strcmp(way, "removed") == 0) {
    close(copy_of(target, open("removed", O_CREAT | O_WRONLY | O_CLOEXEC, 0755)));
    sprintf(name, "/proc/self/fd/%d", open("removed", O_PATH | O_CLOEXEC));
    unlink("removed");
  }
  if (strcmp(way, "link") == 0) {
    symlink("own", "link");
    strcpy(name, "./link");
  }
  if (strcmp(way, "path") == 0) strcpy(name, target);
  execve(name, words, environ);
}

int main(int argc, char** argv) {
  if (argc == 3) return tell(argv[1]);
  char* ways[] = {"proc", "proc, kept", "dev",     "O_PATH", "memfd", "folder",
                  "task", "thread",     "removed", "link",   "path"};
  for (unsigned i = 0; i < sizeof ways / sizeof *ways; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      by(ways[i]);
      printf("%s: %s\n", ways[i], strerrorname_np(errno));
      fflush(stdout);
      _exit(1);
    }
    int status;
    waitpid(child, &status, 0);
    printf("%s ends with %x\n", ways[i], status);
    fflush(stdout);
  }
  return 0;
}
