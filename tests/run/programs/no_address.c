/* Paths that are no address, while SIGSEGV and SIGBUS are blocked: whoever reads there kills the program. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int kFirst[] = {SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_chmod, SYS_truncate};
static const int kSecond[] = {SYS_openat, SYS_newfstatat, SYS_faccessat, SYS_readlinkat, SYS_statx, SYS_fchmodat};
static const unsigned long kPaths[] = {0, 1, 4095, 65535, -1ul, -4096ul, 1ul << 63, 0xffffffff81000000};
#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

int main(void) {
  static char buffer[4096];
  sigset_t set;
  sigemptyset(&set), sigaddset(&set, SIGSEGV), sigaddset(&set, SIGBUS);
  sigprocmask(SIG_BLOCK, &set, NULL);
  for (int i = 0; i < COUNT(kPaths); i++) {
    for (int j = 0; j < COUNT(kFirst); j++) {
      errno = 0;
      const long answer = syscall(kFirst[j], kPaths[i], j == 0 ? O_RDONLY : (long)buffer, sizeof buffer);
      printf("%lx %d: %ld %d\n", kPaths[i], kFirst[j], answer, errno);
    }
    for (int j = 0; j < COUNT(kSecond); j++) {
      errno = 0;
      const long answer = syscall(kSecond[j], AT_FDCWD, kPaths[i], j == 0 ? O_RDONLY : (long)buffer, j == 3 ? sizeof buffer : 0, buffer);
      printf("%lx %d: %ld %d\n", kPaths[i], kSecond[j], answer, errno);
    }
  }
  return 0;
}
