#include "loader/signals/aimed_signals.h"

#include <asm/unistd.h>

#include <optional>

#include "loader/memory.h"
#include "loader/process_lock.h"
#include "loader/serve/program_memory.h"
#include "loader/signals/held_signals.h"
#include "loader/signals/signals.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

struct Aimed {
  uint32_t tid;
  int signal;
  uint64_t info;  // where the program has said it; 0: it is the kernel's to say
};

// What the call asks for, of this process.
std::optional<Aimed> aimed_by(const sysload_call& call) {
  const auto number = [&](size_t index) { return static_cast<uint32_t>(call.argument[index]); };
  const auto signal = [&](size_t index) { return static_cast<int>(number(index)); };
  if (call.number == __NR_tkill) return Aimed{number(0), signal(1), 0};
  if (number(0) != sys::pid()) return {};
  if (call.number == __NR_tgkill) return Aimed{number(1), signal(2), 0};
  if (call.number == __NR_rt_tgsigqueueinfo) return Aimed{number(1), signal(2), call.argument[3]};
  return {};
}

// As the kernel would tell of it. False: what the program says is the kernel's to judge.
// Source: linux, kernel/signal.c, prepare_kill_siginfo() and do_rt_tgsigqueueinfo().
bool tell(const Aimed& aimed, KernelSiginfo* info) {
  if (aimed.info == 0) {
    const uint64_t user = static_cast<uint64_t>(sys::call(__NR_getuid)) << 32;
    *info = {aimed.signal, 0, kSentToThread, 0, user | sys::pid(), {}};
    return true;
  }
  const auto bytes = Memory::bytes(Memory::address_of(info), sizeof(*info));
  if (read_program(aimed.info, bytes) != sizeof(*info)) return false;
  info->signo = aimed.signal;
  return info->code < 0 && info->code != kPoke;
}

ThreadBlock* block_of(uint32_t tid) {
  for (ThreadBlock* block = sysload_state.all_blocks; block != nullptr; block = block->all_next)
    if (__atomic_load_n(&block->tid, __ATOMIC_RELAXED) == tid) return block;
  return nullptr;
}

bool ignores(const ThreadBlock& block, int signal) {
  return block.signals->action[signal].handler == kSigIgnore &&
         (block.masked & bit_of(signal)) == 0;
}

}  // namespace

bool send_to_thread(ThreadBlock* block, int64_t* result) {
  const std::optional<Aimed> aimed = aimed_by(block->call);
  if (!aimed.has_value() || !is_open_signal(aimed->signal) || aimed->tid == block->tid)
    return false;
  // A filter of the program's may not allow that it is poked.
  if (sysload_state.has_filter) return false;
  KernelSiginfo info{};
  if (!tell(*aimed, &info)) return false;
  keep_signals_away(block);
  // No other thread is given that block meanwhile.
  const ProcessLock lock(Guarded::kBlocks);
  ThreadBlock* const other = block_of(aimed->tid);
  if (other == nullptr || !exists(aimed->tid)) return false;
  if (!ignores(*other, aimed->signal)) hold_for(other, aimed->signal, info);
  *result = 0;
  return true;
}

}  // namespace sysrewrite
