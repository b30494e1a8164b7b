#include "loader/syscalls.h"

#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/poll.h>

#include "loader/memory.h"
#include "trampoline/decimal.h"

// linux/fcntl.h names only what asm-generic does not.
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

namespace sysrewrite::sys {

namespace {

constexpr uint64_t kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;
constexpr uint64_t kNoFd = static_cast<uint64_t>(-1);

int64_t mmap(uint64_t address, uint64_t size, uint32_t protection, uint64_t flags, uint64_t fd,
             uint64_t offset) {
  return call(__NR_mmap, address, size, protection, flags, fd, offset);
}

// Kernels before 4.17 take MAP_FIXED_NOREPLACE for a mere hint, and may answer with another place.
int64_t insist(int64_t answer, RuntimeAddr wanted, uint64_t size) {
  if (failed(answer) || static_cast<uint64_t>(answer) == wanted.value) return answer;
  unmap({static_cast<uint64_t>(answer)}, size);
  return -EEXIST;
}

}  // namespace

Fd open_for_reading(const char* path) {
  return call(__NR_openat, static_cast<uint64_t>(AT_FDCWD), Memory::address_of(path).value,
              O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

void close(Fd fd) {
  call(__NR_close, static_cast<uint64_t>(fd));
}

const char* link_of(Fd fd, char (&into)[64]) {
  constexpr char kFolder[] = "/proc/self/fd/";
  unsigned at = 0;
  for (; kFolder[at] != 0; ++at) into[at] = kFolder[at];
  for (const char digit : Decimal(static_cast<uint64_t>(fd))) into[at++] = digit;
  into[at] = 0;
  return into;
}

const char* name_of(Fd fd, char* into, uint64_t size) {
  char link[64];
  link_of(fd, link);
  const int64_t got =
      call(__NR_readlink, Memory::address_of(link).value, Memory::address_of(into).value, size - 1);
  if (failed(got)) return "a file";
  into[got] = 0;
  return into;
}

int64_t read(Fd fd, MutableByteView into) {
  return call(__NR_read, static_cast<uint64_t>(fd), Memory::address_of(into.data()).value,
              into.size());
}

int64_t write(Fd fd, const char* bytes, uint64_t size) {
  return call(__NR_write, static_cast<uint64_t>(fd), Memory::address_of(bytes).value, size);
}

bool wait_until_writable(Fd fd) {
  struct pollfd wanted {};
  wanted.fd = static_cast<int>(fd);
  wanted.events = POLLOUT;
  return call(__NR_poll, Memory::address_of(&wanted).value, 1, static_cast<uint64_t>(-1)) == 1 &&
         (wanted.revents & POLLOUT) != 0;
}

int64_t identify(Fd fd, FileIdentity* identity) {
  struct stat status {};
  const int64_t answer =
      call(__NR_fstat, static_cast<uint64_t>(fd), Memory::address_of(&status).value);
  *identity = {status.st_dev,
               status.st_ino,
               static_cast<uint64_t>(status.st_size),
               static_cast<int64_t>(status.st_mtime),
               static_cast<int64_t>(status.st_mtime_nsec),
               static_cast<int64_t>(status.st_ctime),
               static_cast<int64_t>(status.st_ctime_nsec)};
  return answer;
}

int64_t size_of_regular_file(Fd fd) {
  struct stat status {};
  const int64_t answer =
      call(__NR_fstat, static_cast<uint64_t>(fd), Memory::address_of(&status).value);
  if (failed(answer)) return answer;
  constexpr uint32_t kTypeMask = 0170000, kRegular = 0100000, kDirectory = 0040000;
  if ((status.st_mode & kTypeMask) == kDirectory) return -EISDIR;
  if ((status.st_mode & kTypeMask) != kRegular) return -EACCES;
  return status.st_size;
}

int64_t map_anonymous(uint64_t hint, uint64_t size, uint32_t protection) {
  return mmap(hint, size, protection, kAnonymous | MAP_NORESERVE, kNoFd, 0);
}

int64_t map_anonymous_at(RuntimeAddr address, uint64_t size, uint32_t protection) {
  return insist(mmap(address.value, size, protection,
                     kAnonymous | MAP_NORESERVE | MAP_FIXED_NOREPLACE, kNoFd, 0),
                address, size);
}

int64_t replace_anonymous(RuntimeAddr address, uint64_t size, uint32_t protection) {
  return mmap(address.value, size, protection, kAnonymous | MAP_FIXED, kNoFd, 0);
}

int64_t replace_shared(RuntimeAddr address, uint64_t size, uint32_t protection) {
  return mmap(address.value, size, protection, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, kNoFd, 0);
}

int64_t replace_file(RuntimeAddr address, uint64_t size, uint32_t protection, Fd fd,
                     FileOffset at) {
  return mmap(address.value, size, protection, MAP_PRIVATE | MAP_FIXED, static_cast<uint64_t>(fd),
              at.value);
}

int64_t replace_like(RuntimeAddr address, uint64_t size, uint32_t protection, uint64_t flags, Fd fd,
                     uint64_t offset) {
  return mmap(address.value, size, protection, flags | MAP_FIXED, static_cast<uint64_t>(fd),
              offset);
}

int64_t map_shared(uint64_t size, uint32_t protection, Fd fd) {
  return call(__NR_mmap, 0, size, protection, MAP_SHARED, static_cast<uint64_t>(fd), 0);
}

int64_t map_file(uint64_t size, uint32_t protection, Fd fd, FileOffset at) {
  return mmap(0, size, protection, MAP_PRIVATE, static_cast<uint64_t>(fd), at.value);
}

int64_t map_file_at(RuntimeAddr address, uint64_t size, uint32_t protection, Fd fd, FileOffset at) {
  return insist(mmap(address.value, size, protection, MAP_PRIVATE | MAP_FIXED_NOREPLACE,
                     static_cast<uint64_t>(fd), at.value),
                address, size);
}

bool may_be_code(Fd fd) {
  const int64_t page = map_file(kPageSize, kRead | kExec, fd, {0});
  if (failed(page)) return page != -EPERM && page != -EACCES;
  unmap({static_cast<uint64_t>(page)}, kPageSize);
  return true;
}

int64_t protect(RuntimeAddr address, uint64_t size, uint32_t protection) {
  return call(__NR_mprotect, address.value, size, protection);
}

int64_t make_stack_executable(RuntimeAddr address) {
  const RuntimeAddr page = {align_down(address.value, kPageSize)};
  return protect(page, kPageSize, kRead | kWrite | kExec | PROT_GROWSDOWN);
}

int64_t unmap(RuntimeAddr address, uint64_t size) {
  return size == 0 ? 0 : call(__NR_munmap, address.value, size);
}

bool is_readable(RuntimeAddr address, uint64_t size) {
  // The kernel reads the 8 bytes of a signal mask before it looks at what to do with them: EFAULT
  // where it cannot, EINVAL for an instruction that does not exist.
  // Source: linux, kernel/signal.c, rt_sigprocmask(); the trick is abseil's AddressIsReadable().
  constexpr uint64_t kNoInstruction = 0x7fffffff, kMaskSize = 8;
  const auto end = checked_add(address.value, size);
  if (!end) return false;
  for (uint64_t at = align_down(address.value, kMaskSize); at < *end;
       at = align_down(at, kPageSize) + kPageSize)
    if (call(__NR_rt_sigprocmask, kNoInstruction, at, 0, kMaskSize) != -EINVAL) return false;
  return true;
}

uint32_t pid() {
  return static_cast<uint32_t>(call(__NR_getpid));
}
uint32_t tid() {
  return static_cast<uint32_t>(call(__NR_gettid));
}

void exit_group(int status) {
  for (;;) call(__NR_exit_group, static_cast<uint64_t>(status));
}

}  // namespace sysrewrite::sys
