#include "loader/program_memory.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include <algorithm>

#include "loader/memory.h"
#include "loader/syscalls.h"

namespace sysrewrite {

namespace {

struct IoVector {
  uint64_t base, length;
};

int64_t copy(uint64_t number, uint64_t local, uint64_t remote, uint64_t size) {
  const IoVector here{local, size}, there{remote, size};
  return sys::call(number, sys::pid(), Memory::address_of(&here).value, 1,
                   Memory::address_of(&there).value, 1, 0);
}

}  // namespace

int64_t read_program(uint64_t address, MutableByteView into) {
  return copy(__NR_process_vm_readv, Memory::address_of(into.data()).value, address, into.size());
}

int64_t write_program(uint64_t address, ByteView from) {
  if (from.empty()) return 0;
  const int64_t done =
      copy(__NR_process_vm_writev, Memory::address_of(from.data()).value, address, from.size());
  if (sys::failed(done)) return done;
  return done == static_cast<int64_t>(from.size()) ? 0 : -EFAULT;
}

int64_t read_program_string(uint64_t address, char* into, uint64_t size) {
  for (uint64_t done = 0; done < size;) {
    // Not beyond the page, since the next one may not be there.
    const uint64_t in_page = kPageSize - (address + done) % kPageSize;
    const uint64_t part = std::min(in_page, size - done);
    const int64_t got =
        read_program(address + done, Memory::bytes(Memory::address_of(into + done), part));
    if (got != static_cast<int64_t>(part)) return -EFAULT;
    for (uint64_t i = done; i < done + part; ++i)
      if (into[i] == 0) return static_cast<int64_t>(i);
    done += part;
  }
  return -ENAMETOOLONG;
}

}  // namespace sysrewrite
