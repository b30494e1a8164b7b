/* /proc/self/exe of a program whose file has another name by now, or none, or lies elsewhere than its name says.
 * What is printed depends on nothing but the kernel.
 *
 *   own_exe_gone PATH WAY    PATH is this program's file, and lost in this way */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *const kLink = "/proc/self/exe";

static const char *error_of(long answer) {
  return answer < 0 ? strerror(errno) : "done";
}

static void copy(int to, const char *path) {
  struct stat status;
  const int from = open(path, O_RDONLY | O_CLOEXEC);
  fstat(from, &status);
  sendfile(to, from, NULL, status.st_size);
  close(from);
}

static void put_another(const char *path) {
  const int file = open(path, O_WRONLY | O_CREAT, 0755);
  copy(file, "./other");
  close(file);
}

static void look(const struct stat *own) {
  char name[4096] = "";
  struct stat found = {0};
  const long size = readlink(kLink, name, sizeof name - 1);
  printf("  link: %s %s\n", error_of(size), size < 0 ? "" : name);
  const int opened = open(kLink, O_RDONLY | O_CLOEXEC);
  printf("  open: %d, %s", opened, error_of(opened));
  if (opened >= 0) fstat(opened, &found);
  printf(" %s\n", opened < 0 ? "" : found.st_ino == own->st_ino ? "the program" : "another file");
  if (opened >= 0) {
    // As container runtimes look whether they are their own clone.
    printf("  flags %x, mode %o, size %ld, seals %d\n", fcntl(opened, F_GETFD), found.st_mode, (long)found.st_size,
           fcntl(opened, F_GET_SEALS));
    close(opened);
  }
  printf("  open to write: %s\n", error_of(open(kLink, O_RDWR)));
  long answer = stat(kLink, &found);
  printf("  stat: %s %s\n", error_of(answer),
         answer < 0 ? "" : found.st_ino == own->st_ino ? "the program" : "another file");
  printf("  access: %s\n", error_of(access(kLink, R_OK)));
}

static void execute(const char *what) {
  char *words[] = {"own_exe_gone", "./data", (char *)what, "again", NULL};
  execve(kLink, words, environ);
  printf("  execve: %s\n", strerror(errno));
  exit(0);
}

static void enter(const char *folder) {
  if (chroot(folder) != 0 || chdir("/") != 0) printf("no chroot: %s\n", strerror(errno));
  mkdir("/proc", 0755);
}

static void lose(const char *path, const char *way) {
  if (strcmp(way, "deleted") == 0) unlink(path);
  if (strcmp(way, "renamed") == 0) rename(path, "./renamed");
  if (strcmp(way, "replaced") == 0) {
    rename(path, "./renamed");
    put_another(path);
  }
  if (strcmp(way, "replaced by nothing left") == 0) {
    unlink(path);
    put_another(path);
  }
  if (strcmp(way, "above the root") == 0) {
    char name[4096];
    sprintf(name, "./root%s", realpath(path, NULL));
    for (char *at = name + 1; (at = strchr(at + 1, '/')) != NULL;) {
      *at = 0;
      mkdir(name, 0755);
      *at = '/';
    }
    put_another(name);
    enter("root");
    mount("none", "/proc", "proc", 0, NULL);
  }
  if (strcmp(way, "below the root") == 0) {
    enter(".");
    mount("none", "/proc", "proc", 0, NULL);
  }
  if (strcmp(way, "without proc") == 0) enter(".");
  if (strncmp(way, "memory", 6) == 0) {
    const int memory = memfd_create("clone", MFD_CLOEXEC | (way[6] == 0 ? MFD_ALLOW_SEALING : 0));
    char *words[] = {"own_exe_gone", "./data", "in memory", NULL};
    copy(memory, kLink);
    fcntl(memory, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    fexecve(memory, words, environ);
    printf("fexecve: %s\n", strerror(errno));
  }
}

int main(int argc, char **argv) {
  char comm[16];
  struct stat own;
  setvbuf(stdout, NULL, _IOLBF, 0);
  prctl(PR_GET_NAME, comm);
  if (argc < 3) return 2;
  printf("%s%s\n", argv[2], argc == 4 ? ", again" : "");
  printf("  execfn %s, comm %s\n", (char *)getauxval(AT_EXECFN), comm);
  if (argc == 4) return 0;
  if (stat(kLink, &own) != 0) printf("  at first: %s\n", strerror(errno));
  lose(argv[1], argv[2]);
  look(&own);
  execute(argv[2]);
}
