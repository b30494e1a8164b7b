// A lock of the whole process, in the page of the serving lock: a forked child finds it open.
//
// Whoever waits sleeps. Giving up the processor would not do: where the waiter has a real-time
// priority and the owner has none, the scheduler would choose the waiter again, for ever.
#ifndef SYSREWRITE_LOADER_PROCESS_LOCK_H_
#define SYSREWRITE_LOADER_PROCESS_LOCK_H_

#include <asm/unistd.h>

#include "loader/abi.h"
#include "loader/memory.h"
#include "loader/state.h"
#include "loader/syscalls.h"

namespace sysrewrite {

// What each of them guards; the value is its place in the page.
enum class Guarded : uint32_t { kServing = 0, kBlocks = 1, kSignals = 2 };

// Behind the locks: 1 until a fork wipes the page. A child of a fork that sysload has seen sets it
// again.
inline constexpr uint32_t kForkMark = 3;

// All signals are blocked meanwhile.
class ProcessLock {
 public:
  explicit ProcessLock(Guarded guarded)
      : word_(&sysload_serve_lock[static_cast<uint32_t>(guarded)]) {
    const uint64_t pause[] = {0, SYSLOAD_LOCK_PAUSE};  // struct timespec
    while (__atomic_exchange_n(word_, 1, __ATOMIC_ACQUIRE) != 0)
      sys::call(__NR_nanosleep, Memory::address_of(&pause[0]).value, 0);
  }
  ProcessLock(const ProcessLock&) = delete;
  ProcessLock& operator=(const ProcessLock&) = delete;
  ~ProcessLock() { __atomic_store_n(word_, 0, __ATOMIC_RELEASE); }

 private:
  uint32_t* word_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_PROCESS_LOCK_H_
