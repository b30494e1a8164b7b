// What the kernel answers to each call that takes a name, for names of every form: links at the
// end, slashes, "." and ".." behind files, directories, links and what is not there. A line for
// each: the call, the name, the answer, and what is there afterwards.
//
// It makes its files below /answers, and makes them anew after each call that may have changed
// them.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const char* const kBases[] = {"d",     "file",     "link",  "absolute", "slashed",
                                     "empty", "tofile",   "loop",  "new",      "dangling",
                                     "d/sub", "link/sub", "d/out", "d/../d",   ""};
static const char* const kTails[] = {"",     "/",        "//",      "/.",    "/..",     "/./",
                                     "/../", "/../file", "/../new", "/none", "/none/.."};
static const char* const kWhole[] = {"/",
                                     "//",
                                     "/.",
                                     "/..",
                                     "/../",
                                     "/../answers/link/",
                                     ".",
                                     "..",
                                     "./",
                                     "../",
                                     "../../answers/file/../new"};

// What calls may have made or removed.
static const char* const kKnown[] = {
    "d",      "d/sub",     "d/file",     "d/out",    "file",    "link",   "absolute", "slashed",
    "empty",  "tofile",    "loop",       "dangling", "new",     "none",   "other",    "d/new",
    "d/none", "d/sub/new", "d/sub/none", "../new",   "../file", "../none"};

static char letter_of(const char* name) {
  char path[64];
  struct stat status;
  snprintf(path, sizeof path, "/answers/%s", name);
  if (lstat(path, &status) != 0) return '-';
  return S_ISDIR(status.st_mode)    ? 'd'
         : S_ISLNK(status.st_mode)  ? 'l'
         : S_ISSOCK(status.st_mode) ? 's'
                                    : 'f';
}

static void make_file(const char* name) {
  const int file = open(name, O_CREAT | O_WRONLY, 0644);
  if (file >= 0) close(file);
}

static int remove_one(const char* name, const struct stat* status, int kind, struct FTW* walk) {
  (void)status, (void)kind, (void)walk;
  return remove(name);
}

static void make_tree(void) {
  nftw("/answers", remove_one, 8, FTW_DEPTH | FTW_PHYS);
  remove("/new"), remove("/file"), remove("/none");
  mkdir("/answers", 0755);
  chdir("/answers");
  mkdir("d", 0755), mkdir("d/sub", 0755);
  make_file("file"), make_file("d/file");
  symlink("d", "link"), symlink("/answers/d", "absolute"), symlink("d/", "slashed"),
      symlink("d/sub", "empty");
  symlink("file", "tofile"), symlink("loop", "loop"), symlink("none", "dangling");
  symlink("../d/sub/..", "d/out");
}

// Of an open file: its kind.
static long kind_of(long file) {
  struct stat status;
  if (file < 0) return file;
  const int failed = fstat((int)file, &status);
  close((int)file);
  return failed != 0 ? failed : (long)(status.st_mode & S_IFMT);
}

static long open2(const char* name, unsigned long flags, unsigned long resolve) {
  struct open_how how = {.flags = flags, .resolve = resolve};
  if ((flags & O_CREAT) != 0) how.mode = 0644;
  return kind_of(syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof how));
}

static long bind_to(const char* name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, name);
  const int made = socket(AF_UNIX, SOCK_DGRAM, 0);
  const long answer = bind(made, (struct sockaddr*)&address, sizeof address);
  const int error = errno;
  close(made);
  errno = error;
  return answer;
}

static const char* const kCalls[] = {"stat",
                                     "lstat",
                                     "access",
                                     "readlink",
                                     "chdir",
                                     "chmod",
                                     "truncate",
                                     "lgetxattr",
                                     "lchown",
                                     "open",
                                     "open path",
                                     "open nofollow",
                                     "open path nofollow",
                                     "open directory",
                                     "open create",
                                     "open exclusive",
                                     "open create nofollow",
                                     "open temporary",
                                     "openat2 no links",
                                     "openat2 no links path",
                                     "openat2 no links create",
                                     "openat2 no magic links",
                                     "mkdir",
                                     "rmdir",
                                     "unlink",
                                     "mknod",
                                     "symlink",
                                     "bind",
                                     "link from",
                                     "link followed",
                                     "link to",
                                     "rename from",
                                     "rename file to",
                                     "rename directory to",
                                     "rename link to",
                                     "exchange"};
enum { kFirstThatChanges = 14 };  // "open create"

static long look(size_t call, const char* name, char* text, size_t room) {
  struct stat status;
  long answer = -1;
  switch (call) {
    case 0:
    case 1:
      answer = call == 0 ? stat(name, &status) : lstat(name, &status);
      if (answer == 0) snprintf(text, room, "%o", status.st_mode & S_IFMT);
      return answer;
    case 2:
      return access(name, W_OK);
    case 3:
      answer = readlink(name, text, room - 1);
      if (answer > 0) text[answer] = 0;
      return answer;
    case 4:
      answer = chdir(name);
      if (answer == 0) syscall(SYS_getcwd, text, room);
      return answer;
    case 5:
      return chmod(name, 0755);
    case 6:
      return truncate(name, 0);
    case 7:
      return lgetxattr(name, "trusted.none", text, 0);
    case 8:
      return lchown(name, 0, 0);
    case 9:
      return kind_of(open(name, O_RDONLY));
    case 10:
      return kind_of(open(name, O_PATH));
    case 11:
      return kind_of(open(name, O_RDONLY | O_NOFOLLOW));
    case 12:
      return kind_of(open(name, O_PATH | O_NOFOLLOW));
    case 13:
      return kind_of(open(name, O_RDONLY | O_DIRECTORY));
    default:
      return -1;
  }
}

static long change(size_t call, const char* name) {
  switch (call) {
    case 14:
      return kind_of(open(name, O_RDWR | O_CREAT, 0644));
    case 15:
      return kind_of(open(name, O_RDWR | O_CREAT | O_EXCL, 0644));
    case 16:
      return kind_of(open(name, O_RDWR | O_CREAT | O_NOFOLLOW, 0644));
    case 17:
      return kind_of(open(name, O_RDWR | O_TMPFILE, 0644));
    case 18:
      return open2(name, O_RDONLY, RESOLVE_NO_SYMLINKS);
    case 19:
      return open2(name, O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
    case 20:
      return open2(name, O_RDWR | O_CREAT, RESOLVE_NO_SYMLINKS);
    case 21:
      return open2(name, O_RDONLY, RESOLVE_NO_MAGICLINKS);
    case 22:
      return mkdir(name, 0755);
    case 23:
      return rmdir(name);
    case 24:
      return unlink(name);
    case 25:
      return mknod(name, S_IFREG | 0644, 0);
    case 26:
      return symlink("file", name);
    case 27:
      return bind_to(name);
    case 28:
      return link(name, "/answers/other");
    case 29:
      return linkat(AT_FDCWD, name, AT_FDCWD, "/answers/other", AT_SYMLINK_FOLLOW);
    case 30:
      return link("/answers/file", name);
    case 31:
      return rename(name, "/answers/other");
    case 32:
      return rename("/answers/file", name);
    case 33:
      return rename("/answers/d/sub", name);
    case 34:
      return rename("/answers/link", name);
    case 35:
      return syscall(SYS_renameat2, AT_FDCWD, name, AT_FDCWD, "/answers/file", 2 /* EXCHANGE */);
    default:
      return -1;
  }
}

static long make_call(size_t call, const char* name, char* text, size_t room) {
  return call < kFirstThatChanges ? look(call, name, text, room) : change(call, name);
}

static void ask(size_t call, const char* name) {
  char text[256] = "";
  errno = 0;
  const long answer = make_call(call, name, text, sizeof text);
  const int error = errno;
  printf("%s %s: %ld %s %s ", kCalls[call], name, answer, answer < 0 ? strerror(error) : "", text);
  const int may_have_changed = answer >= 0 && call >= kFirstThatChanges;
  for (size_t i = 0; may_have_changed && i < COUNT(kKnown); ++i) putchar(letter_of(kKnown[i]));
  putchar('\n');
  if (may_have_changed) make_tree();
  if (answer >= 0) chdir("/answers");
}

// Each N-th of the names, where N is the argument; the same ones of it each time.
int main(int count, char** arguments) {
  const int each = count > 1 ? atoi(arguments[1]) : 1;
  int asked = 0;
  char name[128];
  make_tree();
  for (size_t call = 0; call < COUNT(kCalls); ++call) {
    for (size_t base = 0; base < COUNT(kBases); ++base)
      for (size_t tail = 0; tail < COUNT(kTails); ++tail)
        for (int relative = 0; relative < 2; ++relative) {
          const char* const start =
              relative ? kBases[base][0] == 0 ? "../answers" : "" : "/answers/";
          snprintf(name, sizeof name, "%s%s%s", start, kBases[base], kTails[tail]);
          if (asked++ % each == 0) ask(call, name);
        }
    for (size_t whole = 0; whole < COUNT(kWhole); ++whole) ask(call, kWhole[whole]);
  }
  return 0;
}
