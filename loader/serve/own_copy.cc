#include "loader/serve/own_copy.h"

#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/memfd.h>

#include <algorithm>
#include <cstring>

#include "loader/memory.h"
#include "loader/state.h"
#include "loader/text.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kNameSize = 249;  // linux, mm/memfd.c, MFD_NAME_MAX_LEN

// As memfd_create was given it: "/memfd:NAME (deleted)".
void read_name(char (&name)[kNameSize + 1]) {
  const char* from = after(sysload_state.exe_path, "/memfd:");
  if (from == nullptr) from = sysload_state.exe_path;
  const char* const end = sysload_state.exe_path + sysload_state.exe_size;
  constexpr char kRemoved[] = " (deleted)";
  const size_t removed = sizeof(kRemoved) - 1;
  auto size = static_cast<size_t>(end - from);
  if (size > removed && memcmp(end - removed, kRemoved, removed) == 0) size -= removed;
  size = std::min<size_t>(size, kNameSize);
  memcpy(name, from, size);
  name[size] = 0;
}

bool write_all(sys::Fd fd, RuntimeAddr from, uint64_t size) {
  while (size != 0) {
    const int64_t written = sys::call(__NR_write, static_cast<uint64_t>(fd), from.value, size);
    if (written <= 0) return false;
    from = from + static_cast<uint64_t>(written);
    size -= static_cast<uint64_t>(written);
  }
  return true;
}

}  // namespace

void keep_own_contents(sys::Fd file) {
  struct stat status {};
  const auto fd = static_cast<uint64_t>(file);
  const int64_t answer = sys::call(__NR_fstat, fd, Memory::address_of(&status).value);
  if (sys::failed(answer) || status.st_nlink != 0 || status.st_size == 0) return;
  const auto size = static_cast<uint64_t>(status.st_size);
  const int64_t at = sys::map_file(size, sys::kRead, file, {0});
  if (sys::failed(at)) return;
  const int64_t seals = sys::call(__NR_fcntl, fd, F_GET_SEALS);
  sysload_state.own = {{static_cast<uint64_t>(at)},
                       size,
                       status.st_mode,
                       sys::failed(seals) ? F_SEAL_SEAL : static_cast<uint32_t>(seals)};
}

sys::Fd copy_own_file() {
  const OwnContents& own = sysload_state.own;
  if (own.size == 0) return -ENOENT;
  char name[kNameSize + 1];
  read_name(name);
  const sys::Fd copy = sys::call(__NR_memfd_create, Memory::address_of(&name[0]).value,
                                 MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (sys::failed(copy)) return copy;
  const auto fd = static_cast<uint64_t>(copy);
  constexpr uint64_t kRights = 07777;
  if (!write_all(copy, own.address, own.size)) {
    sys::close(copy);
    return -ENOMEM;
  }
  sys::call(__NR_fchmod, fd, own.mode & kRights);
  sys::call(__NR_fcntl, fd, F_ADD_SEALS, own.seals);
  return copy;
}

}  // namespace sysrewrite
