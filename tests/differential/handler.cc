#include "tests/differential/handler.h"

#include <ucontext.h>

#include <algorithm>
#include <bit>
#include <csignal>

namespace sysrewrite::differential {

Signals signals;

namespace {

alignas(64) char handler_stack[65536];

constexpr uint64_t kLowestOfMachine = uint64_t{16} << 32;
constexpr greg_t kTrapFlag = 0x100;

// Under KVM rip is that of F1 (SIGTRAP), elsewhere that of F4 behind it (SIGSEGV):
// loader/signals/trap.cc.
const PoisonedSite* poison_at(uint64_t rip) {
  const auto& poison = signals.poison;
  const auto next =
      std::upper_bound(poison.begin(), poison.end(), rip,
                       [](uint64_t at, const PoisonedSite& s) { return at < s.site; });
  if (next == poison.begin() || rip - (next - 1)->site >= sizeof(kPoison)) return nullptr;
  return &*(next - 1);
}

// True where the signal is a step's. A function under the tracer is left as soon as it has ended.
bool trace(int signal, const siginfo_t& info, greg_t* registers) {
  Tracer* const tracer = signals.tracer;
  if (tracer == nullptr || signal != SIGTRAP || info.si_code != TRAP_TRACE) return false;
  const bool is_outside = static_cast<uint64_t>(registers[REG_RIP]) >= kLowestOfMachine;
  if (!is_outside) {
    tracer->has_begun = true;
    tracer->step(registers);
  } else if (tracer->has_begun) {
    registers[REG_EFL] &= ~kTrapFlag;
  }
  return true;
}

void handle(int signal, siginfo_t* info, void* frame) {
  auto& context = *static_cast<ucontext_t*>(frame);
  auto& registers = context.uc_mcontext.gregs;
  const auto rip = static_cast<uint64_t>(registers[REG_RIP]);
  if (!signals.running) {
    // The machine's own fault: it happens again, and ends the process.
    std::signal(signal, SIG_DFL);
    return;
  }
  if (trace(signal, *info, registers)) return;
  // A function's own int3 leaves rip behind itself, where poison may stand that has not run yet.
  const bool is_int3 = signal == SIGTRAP && info->si_code == SI_KERNEL;
  if (const PoisonedSite* site = poison_at(rip); site != nullptr && !is_int3) {
    ++signals.traps;
    registers[REG_RIP] = static_cast<greg_t>(site->enter);
    return;
  }
  signals.fault = {signal,
                   info->si_code,
                   std::bit_cast<uint64_t>(info->si_addr),
                   rip,
                   static_cast<uint64_t>(registers[REG_ERR]),
                   static_cast<uint64_t>(registers[REG_TRAPNO])};
  // One that a call raises shows what the last fault left in these.
  if (signal == SIGILL) signals.fault.error = signals.fault.trap = 0;
  registers[REG_EFL] &= ~kTrapFlag;
  // All registers are as they were when it struck: leave() keeps them like those of any end.
  registers[REG_RIP] = static_cast<greg_t>(std::bit_cast<uint64_t>(&differential_leave));
}

}  // namespace

bool watch_signals() {
  stack_t stack{};
  stack.ss_sp = handler_stack;
  stack.ss_size = sizeof(handler_stack);
  if (sigaltstack(&stack, nullptr) != 0) return false;
  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE})
    if (sigaction(signal, &action, nullptr) != 0) return false;
  return true;
}

}  // namespace sysrewrite::differential
