#include "loader/hooks/deny_names.h"

#include <asm/unistd.h>

#include "loader/hooks/path_calls.h"
#include "loader/text.h"

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

constexpr uint32_t kOpenat2 = 437;

}  // namespace

bool constant_value(const char* word, uint64_t length, uint64_t& value) {
  for (const Constant& constant : kConstants) {
    if (!is_word(word, length, constant.name)) continue;
    value = constant.value;
    return true;
  }
  return false;
}

uint16_t error_number(const sysload_api* api, const char* word, uint64_t length) {
  constexpr uint16_t kMost = 200;  // the last that has a name is 133, EHWPOISON
  for (uint16_t number = 1; number < kMost; ++number) {
    const char* name = api->error_name(number);
    if (name != nullptr && is_word(word, length, name)) return number;
  }
  for (const Alias& alias : kAliases)
    if (is_word(word, length, alias.name)) return alias.number;
  return 0;
}

namespace {

// A descriptor without a name, and a name within a structure, are none of a policy's paths.
PathArguments paths_in(const PathCall* row) {
  PathArguments found{};
  if (row == nullptr) return found;
  for (const PathSlot& slot : row->slot)
    if (slot.use != PathUse::kNothing && slot.form == PathForm::kString)
      found.at[found.count++] = &slot;
  return found;
}

}  // namespace

PathArguments paths_of(const sysload_call& call) {
  return paths_in(path_call(call.number, call.argument));
}

PathArguments possible_paths_of(uint32_t number) {
  return paths_in(widest_path_call(number));
}

bool opens(uint32_t number) {
  return number == __NR_open || number == __NR_openat || number == kOpenat2 || number == __NR_creat;
}

}  // namespace sysrewrite::deny
