// System calls, made by sysload itself. Answers from -4095 to -1 are errnos, as the kernel gives
// them; there is no errno variable, since there is no thread block to keep one in.
#ifndef SYSREWRITE_LOADER_SYSCALLS_H_
#define SYSREWRITE_LOADER_SYSCALLS_H_

#include <cstdint>

#include "trampoline/address.h"
#include "trampoline/bytes.h"

extern "C" [[gnu::visibility("hidden")]] int64_t sysload_syscall(uint64_t number, uint64_t a,
                                                                 uint64_t b, uint64_t c, uint64_t d,
                                                                 uint64_t e, uint64_t f);

namespace sysrewrite::sys {

inline bool failed(int64_t answer) {
  return answer < 0 && answer >= -4095;
}

inline int64_t call(uint64_t number, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0,
                    uint64_t e = 0, uint64_t f = 0) {
  return sysload_syscall(number, a, b, c, d, e, f);
}

// A file descriptor, or a negative errno.
using Fd = int64_t;

enum Protection : uint32_t { kNoAccess = 0, kRead = 1, kWrite = 2, kExec = 4 };

Fd open_for_reading(const char* path);
void close(Fd fd);
// /proc/self/fd/N, for a descriptor that is not negative.
const char* link_of(Fd fd, char (&into)[64]);
// The path that a descriptor was opened by, as /proc shows it; "a file" where it does not.
const char* name_of(Fd fd, char* into, uint64_t size);
int64_t read(Fd fd, MutableByteView into);
int64_t write(Fd fd, const char* bytes, uint64_t size);
// For descriptors that do not block; false where there is nothing to wait for.
bool wait_until_writable(Fd fd);
// By which a file is known to be the same, and untouched.
struct FileIdentity {
  uint64_t device, inode, size;
  int64_t modified_s, modified_ns, changed_s, changed_ns;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
// 0, or why not.
int64_t identify(Fd fd, FileIdentity* identity);
// Bytes of a regular file; -EISDIR, -EACCES and the like where it is none.
int64_t size_of_regular_file(Fd fd);

// New memory anywhere (hint 0) or near the hint; private to this process.
int64_t map_anonymous(uint64_t hint, uint64_t size, uint32_t protection);
// The same at exactly this address; -EEXIST where something is there.
int64_t map_anonymous_at(RuntimeAddr address, uint64_t size, uint32_t protection);
// Replaces what is there: only inside memory that is provably the loader's own.
int64_t replace_anonymous(RuntimeAddr address, uint64_t size, uint32_t protection);
int64_t replace_shared(RuntimeAddr address, uint64_t size, uint32_t protection);
int64_t replace_file(RuntimeAddr address, uint64_t size, uint32_t protection, Fd fd, FileOffset at);
// The same with a program's own flags; MAP_FIXED is added.
int64_t replace_like(RuntimeAddr address, uint64_t size, uint32_t protection, uint64_t flags, Fd fd,
                     uint64_t offset);
// A shared mapping of a file, from its start, anywhere.
int64_t map_shared(uint64_t size, uint32_t protection, Fd fd);
// A private mapping of a file, anywhere, or exactly there and never over something.
int64_t map_file(uint64_t size, uint32_t protection, Fd fd, FileOffset at);
int64_t map_file_at(RuntimeAddr address, uint64_t size, uint32_t protection, Fd fd, FileOffset at);
// Whether the kernel maps the file as code: not on a mount with noexec, or against a rule of its
// own.
bool may_be_code(Fd fd);
int64_t protect(RuntimeAddr address, uint64_t size, uint32_t protection);
// Lets code run on the stack that `address` lies in, now and where it grows.
int64_t make_stack_executable(RuntimeAddr address);
int64_t unmap(RuntimeAddr address, uint64_t size);
// True where every page of the range can be read; changes nothing.
bool is_readable(RuntimeAddr address, uint64_t size);

uint32_t pid();
uint32_t tid();
[[noreturn]] void exit_group(int status);

}  // namespace sysrewrite::sys

#endif  // SYSREWRITE_LOADER_SYSCALLS_H_
