#include "loader/hooks/deny_names.h"

#include <asm/unistd.h>

#include <cstring>
#include <iterator>

namespace sysrewrite::deny {

namespace {

// Names stand in the tables themselves, not behind pointers, which would need relocations.
struct Constant {
  uint64_t value;
  char name[24];
};

// Source: linux, uapi/asm-generic/fcntl.h, mman.h, linux/socket.h, sched.h, asm/signal.h for
// x86-64.
constexpr Constant kConstants[] = {
    {00, "O_RDONLY"},
    {01, "O_WRONLY"},
    {02, "O_RDWR"},
    {03, "O_ACCMODE"},
    {0100, "O_CREAT"},
    {0200, "O_EXCL"},
    {01000, "O_TRUNC"},
    {02000, "O_APPEND"},
    {04000, "O_NONBLOCK"},
    {040000, "O_DIRECT"},
    {0200000, "O_DIRECTORY"},
    {0400000, "O_NOFOLLOW"},
    {02000000, "O_CLOEXEC"},
    {010000000, "O_PATH"},
    {020200000, "O_TMPFILE"},
    {static_cast<uint64_t>(-100), "AT_FDCWD"},
    {0x100, "AT_SYMLINK_NOFOLLOW"},
    {0x200, "AT_REMOVEDIR"},
    {0x1000, "AT_EMPTY_PATH"},
    {0, "PROT_NONE"},
    {1, "PROT_READ"},
    {2, "PROT_WRITE"},
    {4, "PROT_EXEC"},
    {1, "MAP_SHARED"},
    {2, "MAP_PRIVATE"},
    {0x10, "MAP_FIXED"},
    {0x20, "MAP_ANONYMOUS"},
    {1, "AF_UNIX"},
    {2, "AF_INET"},
    {10, "AF_INET6"},
    {16, "AF_NETLINK"},
    {17, "AF_PACKET"},
    {1, "SOCK_STREAM"},
    {2, "SOCK_DGRAM"},
    {3, "SOCK_RAW"},
    {0x100, "CLONE_VM"},
    {0x10000, "CLONE_THREAD"},
    {0x20000, "CLONE_NEWNS"},
    {0x2000000, "CLONE_NEWCGROUP"},
    {0x4000000, "CLONE_NEWUTS"},
    {0x8000000, "CLONE_NEWIPC"},
    {0x10000000, "CLONE_NEWUSER"},
    {0x20000000, "CLONE_NEWPID"},
    {0x40000000, "CLONE_NEWNET"},
    {1, "SIGHUP"},
    {2, "SIGINT"},
    {6, "SIGABRT"},
    {9, "SIGKILL"},
    {11, "SIGSEGV"},
    {15, "SIGTERM"},
    {17, "SIGCHLD"},
    {18, "SIGCONT"},
    {19, "SIGSTOP"},
};

struct Alias {
  uint16_t number;
  char name[16];
};
// Second names of errors. Source: linux, uapi/asm-generic/errno.h.
constexpr Alias kAliases[] = {{11, "EWOULDBLOCK"}, {35, "EDEADLOCK"}, {95, "ENOTSUP"}};

struct PathRow {
  uint16_t number;
  PathArgument argument;
};
constexpr uint8_t kCwd = kNoFolder;

// Source: linux, the SYSCALL_DEFINEs of fs/; the numbers of calls that Debian 12's headers do not
// know are arch/x86/entry/syscalls/syscall_64.tbl's.
constexpr PathRow kPaths[] = {
    {__NR_open, {0, kCwd}},
    {__NR_stat, {0, kCwd}},
    {__NR_lstat, {0, kCwd}},
    {__NR_access, {0, kCwd}},
    {__NR_execve, {0, kCwd}},
    {__NR_truncate, {0, kCwd}},
    {__NR_chdir, {0, kCwd}},
    {__NR_rename, {0, kCwd}},
    {__NR_rename, {1, kCwd}},
    {__NR_mkdir, {0, kCwd}},
    {__NR_rmdir, {0, kCwd}},
    {__NR_creat, {0, kCwd}},
    {__NR_link, {0, kCwd}},
    {__NR_link, {1, kCwd}},
    {__NR_unlink, {0, kCwd}},
    {__NR_symlink, {1, kCwd}},
    {__NR_readlink, {0, kCwd}},
    {__NR_chmod, {0, kCwd}},
    {__NR_chown, {0, kCwd}},
    {__NR_lchown, {0, kCwd}},
    {__NR_utime, {0, kCwd}},
    {__NR_mknod, {0, kCwd}},
    {__NR_uselib, {0, kCwd}},
    {__NR_statfs, {0, kCwd}},
    {__NR_pivot_root, {0, kCwd}},
    {__NR_pivot_root, {1, kCwd}},
    {__NR_chroot, {0, kCwd}},
    {__NR_acct, {0, kCwd}},
    {__NR_mount, {1, kCwd}},
    {__NR_umount2, {0, kCwd}},
    {__NR_swapon, {0, kCwd}},
    {__NR_swapoff, {0, kCwd}},
    {__NR_setxattr, {0, kCwd}},
    {__NR_lsetxattr, {0, kCwd}},
    {__NR_getxattr, {0, kCwd}},
    {__NR_lgetxattr, {0, kCwd}},
    {__NR_listxattr, {0, kCwd}},
    {__NR_llistxattr, {0, kCwd}},
    {__NR_removexattr, {0, kCwd}},
    {__NR_lremovexattr, {0, kCwd}},
    {__NR_utimes, {0, kCwd}},
    {__NR_inotify_add_watch, {1, kCwd}},
    {__NR_openat, {1, 0}},
    {__NR_mkdirat, {1, 0}},
    {__NR_mknodat, {1, 0}},
    {__NR_fchownat, {1, 0}},
    {__NR_futimesat, {1, 0}},
    {__NR_newfstatat, {1, 0}},
    {__NR_unlinkat, {1, 0}},
    {__NR_renameat, {1, 0}},
    {__NR_renameat, {3, 2}},
    {__NR_linkat, {1, 0}},
    {__NR_linkat, {3, 2}},
    {__NR_symlinkat, {2, 1}},
    {__NR_readlinkat, {1, 0}},
    {__NR_fchmodat, {1, 0}},
    {__NR_faccessat, {1, 0}},
    {__NR_utimensat, {1, 0}},
    {__NR_fanotify_mark, {4, 3}},
    {__NR_name_to_handle_at, {1, 0}},
    {__NR_renameat2, {1, 0}},
    {__NR_renameat2, {3, 2}},
    {__NR_execveat, {1, 0}},
    {__NR_statx, {1, 0}},
    {428, {1, 0}} /* open_tree */,
    {429, {1, 0}} /* move_mount */,
    {429, {3, 2}} /* move_mount */,
    {433, {1, 0}} /* fspick */,
    {437, {1, 0}} /* openat2 */,
    {439, {1, 0}} /* faccessat2 */,
    {442, {1, 0}} /* mount_setattr */,
    {452, {1, 0}} /* fchmodat2 */,
    {463, {1, 0}} /* setxattrat */,
    {464, {1, 0}} /* getxattrat */,
    {465, {1, 0}} /* listxattrat */,
    {466, {1, 0}} /* removexattrat */,
};

constexpr uint32_t kOpenat2 = 437;

bool is(const char* name, const char* word, uint64_t length) {
  return strlen(name) == length && memcmp(name, word, length) == 0;
}

}  // namespace

bool constant_value(const char* word, uint64_t length, uint64_t& value) {
  for (const Constant& constant : kConstants) {
    if (!is(constant.name, word, length)) continue;
    value = constant.value;
    return true;
  }
  return false;
}

uint16_t error_number(const sysload_api* api, const char* word, uint64_t length) {
  constexpr uint16_t kMost = 200;  // the last that has a name is 133, EHWPOISON
  for (uint16_t number = 1; number < kMost; ++number) {
    const char* name = api->error_name(number);
    if (name != nullptr && is(name, word, length)) return number;
  }
  for (const Alias& alias : kAliases)
    if (is(alias.name, word, length)) return alias.number;
  return 0;
}

PathArguments paths_of(uint32_t number) {
  PathArguments found{};
  for (const PathRow& row : kPaths)
    if (row.number == number && found.count < std::size(found.at))
      found.at[found.count++] = row.argument;
  return found;
}

bool opens(uint32_t number) {
  return number == __NR_open || number == __NR_openat || number == kOpenat2 || number == __NR_creat;
}

}  // namespace sysrewrite::deny
