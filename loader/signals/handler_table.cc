#include "loader/signals/handler_table.h"

#include <cstddef>

#include "loader/memory.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

// The first ones of the table: for each of SIGTRAP, SIGSEGV and SIGBUS two, used in turn, since
// what is replaced has still to be told.
constexpr uint64_t kReplacedThunks = 6;

// In an entry of the table: not a handler, but an index of what has been said. No handler's
// address has this bit; what has it is left to the kernel.
constexpr uint64_t kSaid = uint64_t{1} << 63;

extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_thunks[], sysload_thunks_end[];

uint64_t entry_at(uint64_t index) {
  return __atomic_load_n(&sysload_state.handlers.table[index], __ATOMIC_ACQUIRE);
}

uint64_t thunk_for_entry(uint64_t entry) {
  auto& table = sysload_state.handlers.table;
  for (uint64_t i = 0; i < table.size(); ++i) {
    uint64_t found = entry_at(i);
    if (found == entry) return i;
    if (found != 0) continue;
    if (__atomic_compare_exchange_n(&table[i], &found, entry, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE) ||
        found == entry)
      return i;
  }
  return kNoThunk;
}

bool is_same(const KernelSigaction& one, const KernelSigaction& other) {
  return one.handler == other.handler && one.flags == other.flags &&
         one.restorer == other.restorer && one.mask == other.mask;
}

}  // namespace

void start_handler_table() {
  Handlers& handlers = sysload_state.handlers;
  for (uint64_t i = 0; i < kReplacedThunks; ++i) handlers.table[i] = kSaid | i;
  handlers.said_count = kReplacedThunks;
}

uint64_t thunk_for(uint64_t handler) {
  return (handler & kSaid) != 0 ? kNoThunk : thunk_for_entry(handler);
}

uint64_t thunk_for_said(uint64_t signal, const KernelSigaction& said) {
  Handlers& handlers = sysload_state.handlers;
  for (uint64_t i = kReplacedThunks; i < handlers.table.size(); ++i) {
    const uint64_t entry = entry_at(i);
    if (entry == 0) break;
    if ((entry & kSaid) != 0 && is_same(handlers.said[entry & ~kSaid], said)) return i;
  }
  const uint64_t place = __atomic_fetch_add(&handlers.said_count, 1, __ATOMIC_RELAXED);
  if (place < handlers.said.size()) {
    handlers.said[place] = said;
    const uint64_t index = thunk_for_entry(kSaid | place);
    if (index != kNoThunk) return index;
  }
  const uint64_t turn = __atomic_fetch_add(&handlers.replaced_count, 1, __ATOMIC_RELAXED) & 1;
  const uint64_t index = (signal == kSigTrap ? 0 : signal == kSigSegv ? 2 : 4) + turn;
  handlers.said[index] = said;
  return index;
}

uint64_t address_of_thunk(uint64_t index) {
  return Memory::address_of(sysload_thunks).value + index * SYSLOAD_HANDLER_SIZE;
}

bool is_thunk(uint64_t handler) {
  return handler - Memory::address_of(sysload_thunks).value <
         static_cast<uint64_t>(sysload_thunks_end - sysload_thunks);
}

uint64_t index_of_thunk(uint64_t handler) {
  return (handler - Memory::address_of(sysload_thunks).value) / SYSLOAD_HANDLER_SIZE;
}

KernelSigaction said_by(uint64_t index) {
  const uint64_t entry = entry_at(index);
  if (has_said_all(index)) return sysload_state.handlers.said[entry & ~kSaid];
  return {entry, 0, 0, 0};
}

bool has_said_all(uint64_t index) {
  return (entry_at(index) & kSaid) != 0;
}

}  // namespace sysrewrite
