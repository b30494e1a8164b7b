#include "loader/serve/program_memory.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include <algorithm>

#include "loader/memory.h"
#include "loader/signals/signals.h"
#include "loader/state.h"
#include "loader/syscalls.h"

namespace sysrewrite {

namespace {

extern "C" [[gnu::visibility("hidden")]] uint64_t sysload_copy(uint64_t to, uint64_t from,
                                                               uint64_t size);

constexpr uint64_t kPiece = 256;

struct IoVector {
  uint64_t base, length;
};

int64_t copy(uint64_t number, uint64_t local, uint64_t remote, uint64_t size) {
  const IoVector here{local, size}, there{remote, size};
  return sys::call(number, sys::pid(), Memory::address_of(&here).value, 1,
                   Memory::address_of(&there).value, 1, 0);
}

int64_t copy_by_kernel(uint64_t address, MutableByteView into) {
  return copy(__NR_process_vm_readv, Memory::address_of(into.data()).value, address, into.size());
}

uint64_t up_to_page_end(uint64_t address, uint64_t size) {
  return std::min(size, kPageSize - address % kPageSize);
}

// Where a filter of the program's may catch what nobody but sysload asks for. Who gives memory back
// that a call of another thread's is reading is killed for it.
int64_t copy_what_is_there(uint64_t address, MutableByteView into) {
  uint64_t done = 0;
  while (done < into.size()) {
    const uint64_t from = address + done, part = up_to_page_end(from, into.size() - done);
    if (!sys::is_readable({from}, part)) break;
    sysload_copy(Memory::address_of(into.data()).value + done, from, part);
    done += part;
  }
  return done == 0 && !into.empty() ? -EFAULT : static_cast<int64_t>(done);
}

// The kernel writes a word of its own there first, or less, and says where it cannot.
// Source: linux, kernel/signal.c, rt_sigpending(), which takes any size up to a word.
bool is_writable(uint64_t address, uint64_t size) {
  const int64_t answer = size < SYSLOAD_SIGSET_SIZE
                             ? sys::call(__NR_rt_sigpending, address, size)
                             : sys::call(__NR_rt_sigprocmask, 0, 0, address, SYSLOAD_SIGSET_SIZE);
  return !sys::failed(answer);
}

int64_t write_what_is_there(uint64_t address, ByteView from) {
  for (uint64_t done = 0; done < from.size();) {
    const uint64_t to = address + done, part = up_to_page_end(to, from.size() - done);
    if (!is_writable(to, part)) return -EFAULT;
    sysload_copy(to, Memory::address_of(from.data()).value + done, part);
    done += part;
  }
  return 0;
}

// process_vm_readv costs 1 to 2 microseconds, whatever the size.
int64_t copy_carefully(uint64_t address, MutableByteView into) {
  return sysload_state.has_filter ? copy_what_is_there(address, into)
                                  : copy_by_kernel(address, into);
}

int64_t copy_directly(uint64_t address, MutableByteView into) {
  const uint64_t left = sysload_copy(Memory::address_of(into.data()).value, address, into.size());
  return left == into.size() && left != 0 ? -EFAULT : static_cast<int64_t>(into.size() - left);
}

}  // namespace

int64_t read_program(uint64_t address, MutableByteView into) {
  return may_fault() ? copy_directly(address, into) : copy_carefully(address, into);
}

int64_t write_program(uint64_t address, ByteView from) {
  if (from.empty()) return 0;
  if (sysload_state.has_filter) return write_what_is_there(address, from);
  const int64_t done =
      copy(__NR_process_vm_writev, Memory::address_of(from.data()).value, address, from.size());
  if (sys::failed(done)) return done;
  return done == static_cast<int64_t>(from.size()) ? 0 : -EFAULT;
}

int64_t read_program_string(uint64_t address, char* into, uint64_t size) {
  const bool directly = may_fault();
  for (uint64_t done = 0; done < size;) {
    // Not beyond the page, since the next one may not be there; and, where that costs nothing, not
    // much more than most strings are long.
    const uint64_t in_page = kPageSize - (address + done) % kPageSize;
    const uint64_t most = directly ? kPiece : kPageSize;
    const uint64_t part = std::min(std::min(in_page, most), size - done);
    const MutableByteView piece = Memory::bytes(Memory::address_of(into + done), part);
    const int64_t got =
        directly ? copy_directly(address + done, piece) : copy_carefully(address + done, piece);
    if (got != static_cast<int64_t>(part)) return -EFAULT;
    for (uint64_t i = done; i < done + part; ++i)
      if (into[i] == 0) return static_cast<int64_t>(i);
    done += part;
  }
  return -ENAMETOOLONG;
}

}  // namespace sysrewrite
