/* /proc/self/exe and its other names, opened and looked at by every call that follows a link; and paths that are
 * no addresses. What is printed depends on nothing but the kernel.
 *
 *   own_exe PATH     PATH is this program's file, and not "bind", "bound" or "executed", which are ways of its own */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

static struct stat own;

static void say(const char *what, long answer) {
  printf("%s: %s\n", what, answer < 0 ? strerror(errno) : "done");
}

static void say_which(const char *what, long answer, const struct stat *found) {
  if (answer < 0) return say(what, answer);
  printf("%s: %s\n", what, S_ISLNK(found->st_mode)                                           ? "the link"
                           : found->st_ino == own.st_ino && found->st_dev == own.st_dev ? "the program"
                                                                                             : "another file");
}

static void say_file(const char *what, long descriptor) {
  struct stat found = {0};
  if (descriptor >= 0) fstat(descriptor, &found);
  say_which(what, descriptor, &found);
  if (descriptor >= 0) close(descriptor);
}

static void look(const char *name) {
  struct stat found = {0};
  struct statx more = {0};
  struct open_how how = {0}, no_links = {.resolve = RESOLVE_NO_MAGICLINKS};
  const int here = AT_FDCWD;
  say_file("open", syscall(SYS_open, name, O_RDONLY));
  say_file("openat", openat(here, name, O_RDONLY | O_CLOEXEC));
  say_file("openat2", syscall(SYS_openat2, here, name, &how, sizeof how));
  say_file("openat2 without links", syscall(SYS_openat2, here, name, &no_links, sizeof no_links));
  say_file("open to write", open(name, O_RDWR));
  say_file("open and cut", open(name, O_RDONLY | O_TRUNC));
  say_file("open no link", open(name, O_RDONLY | O_NOFOLLOW));
  say_file("path", open(name, O_PATH));
  say_file("path of the link", open(name, O_PATH | O_NOFOLLOW));
  say_which("stat", syscall(SYS_stat, name, &found), &found);
  say_which("lstat", lstat(name, &found), &found);
  say_which("fstatat", fstatat(here, name, &found, 0), &found);
  say_which("fstatat of the link", fstatat(here, name, &found, AT_SYMLINK_NOFOLLOW), &found);
  const long answer = statx(here, name, 0, STATX_INO, &more);
  printf("statx: %ld %s\n", answer, more.stx_ino == own.st_ino ? "the program" : "another file");
  say("access", syscall(SYS_access, name, R_OK));
  say("faccessat", syscall(SYS_faccessat, here, name, X_OK));
  say("faccessat2", syscall(SYS_faccessat2, here, name, R_OK, 0));
}

/* The link by a shorter name, from a folder of /proc that is a descriptor and the working directory. */
static void look_from(const char *folder, const char *name) {
  struct stat found = {0};
  struct statx more = {0};
  struct open_how how = {0};
  char target[4096] = "", first[4096] = "";
  const int home = open(".", O_PATH), in = open(folder, O_PATH | O_DIRECTORY);
  printf("%s in %s\n", name, folder);
  say_file("openat", openat(in, name, O_RDONLY));
  say_file("openat2", syscall(SYS_openat2, in, name, &how, sizeof how));
  say_which("fstatat", fstatat(in, name, &found, 0), &found);
  say_which("fstatat of the link", fstatat(in, name, &found, AT_SYMLINK_NOFOLLOW), &found);
  say("statx", statx(in, name, 0, STATX_INO, &more));
  printf("  %d\n", more.stx_ino == own.st_ino);
  say("readlink", readlink("/proc/self/exe", first, sizeof first));
  say("readlinkat", readlinkat(in, name, target, sizeof target));
  printf("  %d\n", strcmp(first, target));
  say("fchdir", fchdir(in));
  say_file("open", syscall(SYS_open, name, O_RDONLY));
  say_which("stat", syscall(SYS_stat, name, &found), &found);
  memset(target, 0, sizeof target);
  say("readlink", readlink(name, target, sizeof target));
  printf("  %d\n", strcmp(first, target));
  fchdir(home);
  for (int is_here = 0; is_here < 2; is_here++) {
    int status = 0;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      char *const arguments[] = {"own_exe", "executed", NULL}, *const none[] = {NULL};
      /* Whose folder it is: /proc/self would be the parent's, were it opened before. */
      const int now = open(folder, O_PATH | O_DIRECTORY);
      fchdir(now);
      if (is_here) execve(name, arguments, none);
      syscall(SYS_execveat, now, name, arguments, none, 0);
      _exit(9);
    }
    waitpid(child, &status, 0);
    printf("executed: %x\n", status);
  }
  close(in), close(home);
}

/* What has the same names elsewhere. */
static void look_like_it(void) {
  mkdir("self", 0700), mkdir("thread-self", 0700);
  const char *const names[] = {"exe", "self/exe", "thread-self/exe"};
  for (int i = 0; i < 3; i++) {
    struct stat found = {0};
    close(open(names[i], O_CREAT | O_WRONLY, 0600));
    say_file(names[i], open(names[i], O_RDONLY));
    say_which(names[i], syscall(SYS_stat, names[i], &found), &found);
    say("unlink", unlink(names[i]));
    say_file("not there", open(names[i], O_RDONLY));
  }
  rmdir("self"), rmdir("thread-self");
  const int other = open("/proc/1", O_PATH | O_DIRECTORY);
  struct stat found = {0};
  say_which("that of the first process", fstatat(other, "exe", &found, 0), &found);
  close(other);
}

/* Names that begin as the link's do, at the end of what may be read, with their zero and without. */
static void nearly(void) {
  static const char *const names[] = {
      "/proc/self/exec", "/proc/self/ex", "/proc/self/exe/", "/proc/self/environ", "/proc/thread-self/exe", "/proc/",
      "/proc/self/", "/proc/123456789012/exe", "ex", "exec", "exe/", "self/ex", "self/exe/", "self/exes", "thread-self/ex",
      "thread-selfx", "t", "s", "", "/"};
  char *const page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(page + 4096, 4096);
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
    const size_t size = strlen(names[i]);
    char *name = page + 4095 - size;
    struct stat found = {0};
    strcpy(name, names[i]);
    printf("%s: ", name), say_which("stat", syscall(SYS_stat, name, &found), &found);
    for (size_t part = 1; part <= size; part++) {
      name = page + 4096 - part;
      memcpy(name, names[i], part);
      say("  not ended", syscall(SYS_access, name, F_OK));
    }
  }
  munmap(page, 4096);
}

static int be_executed(void) {
  printf("  executed as %s\n", (const char *)getauxval(AT_EXECFN));
  return 4;
}

static const char *path;

/* What a change by the name has made of the program's file. */
static void say_mode(const char *what, long answer) {
  struct stat found = {0};
  say(what, answer);
  stat(path, &found);
  printf("  %o\n", found.st_mode);
}

static void say_time(const char *what, long answer) {
  struct stat found = {0};
  say(what, answer);
  stat(path, &found);
  printf("  %ld\n", (long)found.st_mtime);
}

static void change(const char *name) {
  const int here = AT_FDCWD;
  const struct utimbuf first = {1000, 1000};
  const struct timeval second[2] = {{2000, 0}, {2000, 0}}, third[2] = {{3000, 0}, {3000, 0}};
  const struct timespec fourth[2] = {{4000, 0}, {4000, 0}}, fifth[2] = {{5000, 0}, {5000, 0}};
  say("creat", syscall(SYS_creat, name, 0600));
  say("truncate", truncate(name, 0));
  say("acct", acct(name));
  say_mode("chmod", chmod(name, 0700));
  say_mode("fchmodat", syscall(SYS_fchmodat, here, name, 0711));
  say_mode("fchmodat2", syscall(452, here, name, 0751, 0));
  say_mode("fchmodat2 of the link", syscall(452, here, name, 0711, AT_SYMLINK_NOFOLLOW));
  say("chown", chown(name, getuid(), getgid()));
  say("fchownat", fchownat(here, name, getuid(), getgid(), 0));
  say("lchown", lchown(name, getuid(), getgid()));
  say_time("utime", syscall(SYS_utime, name, &first));
  say_time("utimes", syscall(SYS_utimes, name, second));
  say_time("futimesat", syscall(SYS_futimesat, here, name, third));
  say_time("utimensat", utimensat(here, name, fourth, 0));
  say_time("utimensat of the link", utimensat(here, name, fifth, AT_SYMLINK_NOFOLLOW));
}

static void attributes(const char *name) {
  char list[1024] = "", value[16] = "";
  say("setxattr", setxattr(name, "user.own", "abc", 4, 0));
  say("getxattr of the path", getxattr(path, "user.own", value, sizeof value));
  say("getxattr", getxattr(name, "user.own", value, sizeof value));
  printf("  %s\n", value);
  say("listxattr", listxattr(name, list, sizeof list));
  printf("  %d\n", memmem(list, sizeof list, "user.own", 9) != NULL);
  say("lgetxattr", lgetxattr(name, "user.own", value, sizeof value));
  say("removexattr", removexattr(name, "user.own"));
  say("getxattr of the path", getxattr(path, "user.own", value, sizeof value));
}

static void name_otherwise(const char *name) {
  struct {
    struct file_handle head;
    unsigned char rest[MAX_HANDLE_SZ];
  } of_path = {{MAX_HANDLE_SZ, 0}, {0}}, of_name = of_path;
  int mount_of_path = 0, mount_of_name = 0;
  struct statfs system_of_path = {0}, system_of_name = {0};
  say("statfs", statfs(name, &system_of_name) | statfs(path, &system_of_path));
  printf("  %d\n", memcmp(&system_of_name.f_fsid, &system_of_path.f_fsid, sizeof system_of_path.f_fsid));
  say("name_to_handle_at", name_to_handle_at(AT_FDCWD, name, &of_name.head, &mount_of_name, AT_SYMLINK_FOLLOW));
  say("of the path", name_to_handle_at(AT_FDCWD, path, &of_path.head, &mount_of_path, 0));
  printf("  %d %d\n", memcmp(&of_path, &of_name, sizeof of_path), mount_of_path == mount_of_name);
  say("linkat", linkat(AT_FDCWD, name, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
  say_file("what it made", open("linked", O_PATH));
  say("unlink", unlink("linked"));
  say("linkat of the link", linkat(AT_FDCWD, name, AT_FDCWD, "linked", 0));
  say("link", link(name, "linked"));
  say_file("open_tree", syscall(SYS_open_tree, AT_FDCWD, name, 1));
}

static void watch(const char *name) {
  char events[4096];
  const int changes = inotify_init1(IN_NONBLOCK);
  say("inotify_add_watch", inotify_add_watch(changes, name, IN_ATTRIB));
  chmod(path, 0755);
  say("a change of the path", read(changes, events, sizeof events));
  close(changes);
  const int opens = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY);
  say("fanotify_init", opens);
  say("fanotify_mark", fanotify_mark(opens, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, name));
  close(open(path, O_RDONLY));
  say("an open of the path", read(opens, events, sizeof events));
  close(opens);
}

/* As runc and crun do it, to execute themselves from where nobody can write. */
static int be_binding(void) {
  close(open("bound", O_CREAT | O_WRONLY, 0600));
  say("bind", mount("/proc/self/exe", "bound", "", MS_BIND, ""));
  say_file("what is bound", open("bound", O_PATH));
  say("read-only", mount("", "bound", "", MS_REMOUNT | MS_BIND | MS_RDONLY, ""));
  const int bound = open("bound", O_PATH | O_CLOEXEC);
  say("umount", umount2("bound", MNT_DETACH));
  unlink("bound");
  fflush(stdout);
  char *const arguments[] = {"own_exe", "bound", NULL}, *const none[] = {NULL};
  syscall(SYS_execveat, bound, "", arguments, none, AT_EMPTY_PATH);
  say("execveat", -1);
  return 1;
}

/* The kernel binds what is mounted where the process is, so the namespace comes first. */
static void bind_in_child(void) {
  int status = 0;
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    say("unshare", unshare(CLONE_NEWNS));
    say("private", mount("", "/", "", MS_REC | MS_PRIVATE, ""));
    fflush(stdout);
    execl(path, "own_exe", "bind", NULL);
    exit(1);
  }
  waitpid(child, &status, 0);
  printf("the child ends with %x\n", status);
}

/* Executed from there. */
static int be_bound(void) {
  struct statfs system = {0};
  const int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  say("open, bound", self);
  say("fstatfs", fstatfs(self, &system));
  printf("  %d\n", (system.f_flags & MS_RDONLY) != 0);
  say("fchmod", fchmod(self, 0700));
  return 3;
}

static void no_addresses(void) {
  char *const pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(pages + 4096, 4096);
  strcpy(pages + 4094, "/");
  say_file("a path at the end of a page", open(pages + 4094, O_PATH));
  pages[4095] = 'a';
  const uint64_t none[] = {0, 1, (uint64_t)-1, 0x7fffffffff00, 0x8000000000000000, (uint64_t)pages + 4095};
  for (unsigned i = 0; i < sizeof none / sizeof *none; i++) {
    say("open", syscall(SYS_open, none[i], 0));
    say("openat", syscall(SYS_openat, AT_FDCWD, none[i], 0));
    say("stat", syscall(SYS_stat, none[i], NULL));
    say("statx", syscall(SYS_statx, AT_FDCWD, none[i], 0, 0, 0));
    say("access", syscall(SYS_access, none[i], 0));
    say("truncate", syscall(SYS_truncate, none[i], 0));
    say("mount", syscall(SYS_mount, none[i], none[i], 0, MS_BIND, 0));
    say("utimensat", syscall(SYS_utimensat, AT_FDCWD, none[i], 0, 1));
  }
}

static void show_action(int signal) {
  struct sigaction action;
  sigaction(signal, NULL, &action);
  printf("%d: %s, flags %x\n", signal,
         action.sa_handler == SIG_DFL ? "default" : action.sa_handler == SIG_IGN ? "ignored" : "handled",
         (unsigned)action.sa_flags);
}

/* Faults do what they do natively, beside those of paths. */
static void faults(void) {
  static const int signals[] = {SIGSEGV, SIGBUS};
  for (int i = 0; i < 2; i++) {
    show_action(signals[i]);
    signal(signals[i], SIG_IGN);
    show_action(signals[i]);
    signal(signals[i], SIG_DFL);
    show_action(signals[i]);
  }
  fflush(stdout);
  for (int i = 0; i < 2; i++) {
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
      if (i == 0) *(volatile int *)8 = 1;
      raise(SIGBUS);
    }
    waitpid(child, &status, 0);
    printf("a child ends by signal %d\n", WTERMSIG(status));
  }
}

int main(int argc, char **argv) {
  char with_number[64];
  if (argc != 2) return 2;
  const char *const way = argv[1];
  const int binds = strcmp(way, "bind") == 0, is_bound = strcmp(way, "bound") == 0;
  if (strcmp(way, "executed") == 0) return be_executed();
  path = binds || is_bound ? "own" : way;
  if (stat(path, &own) != 0) return 2;
  if (binds) return be_binding();
  if (is_bound) return be_bound();
  sprintf(with_number, "/proc/%d/exe", getpid());
  look("/proc/self/exe");
  look("/proc/thread-self/exe");
  look(with_number);
  look_from("/proc", "self/exe");
  look_from("/proc", "thread-self/exe");
  look_from("/proc/self", "exe");
  look_from("/proc/thread-self", "exe");
  look_like_it();
  nearly();
  change("/proc/self/exe");
  attributes("/proc/thread-self/exe");
  name_otherwise("/proc/self/exe");
  watch(with_number);
  bind_in_child();
  no_addresses();
  faults();
  return 0;
}
