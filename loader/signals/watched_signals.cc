#include "loader/signals/watched_signals.h"

#include "loader/label.h"
#include "loader/memory.h"
#include "loader/report.h"
#include "loader/signals/action_call.h"
#include "loader/signals/position.h"
#include "loader/signals/trap.h"
#include "loader/state.h"

namespace sysrewrite {

namespace {

extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_filter_loads[],
    sysload_filter_pass[], sysload_callback_pass_end[], sysload_action_saved[],
    sysload_serve_entry[], etext[];

bool is_callbacks(uint64_t rip) {
  const auto size = static_cast<uint64_t>(sysload_callback_pass_end - sysload_callback_pass);
  return is_between(rip, __ehdr_start, etext) ||
         (sysload_state.callback_is_near && rip - sysload_state.callback < size);
}

// What clears TF for its own time gives it back, where it can: a debugger's is not the program's,
// and does not come here.
void keep_stepping(KernelUcontext& context) {
  if (context.rip == address(sysload_action_saved))
    Memory::at<ActionInterlude>({context.rsp})->flags |= SYSLOAD_TRAP_FLAG;
  if (context.rip == address(sysload_serve_entry))
    context.flags_register &= ~uint64_t{SYSLOAD_TRAP_FLAG};
}

}  // namespace

bool is_watched(uint64_t signal) {
  const bool reads_paths = sysload_state.exe_size != 0;
  if (signal == kSigBus) return reads_paths;
  if (signal == kSigSegv) return reads_paths;
  return signal == kSigTrap && sysload_state.site_tables.count != 0;
}

bool is_own(uint64_t signal, uint64_t info, uint64_t context, RuntimeAddr* next) {
  const auto& cause = *Memory::at<KernelSiginfo>({info});
  if (!is_watched(signal) || cause.code <= 0) return false;
  const auto& frame = *Memory::at<KernelUcontext>({context});
  const uint64_t rip = frame.rip;
  if (is_step(signal, cause, frame)) {
    *next = {rip};
    if (is_callbacks(rip) || is_unseen_step({rip}, next)) return true;
    if (goes_on_stepping(frame)) return false;
  }
  const bool is_load =
      signal != kSigTrap && rip - address(sysload_filter_loads) <
                                address(sysload_filter_pass) - address(sysload_filter_loads);
  *next = {0};
  if (is_load) *next = {address(sysload_filter_pass)};
  if (!is_load && may_be_poisons(static_cast<int>(signal), cause))
    *next = stub_behind_poison({rip});
  return next->value != 0;
}

// A signal between these stores finds a frame that is as good.
void decide_on_own(Interlude& wrapper) {
  RuntimeAddr stub;
  if (wrapper.what == kBack || !is_own(wrapper.rdi, wrapper.rsi, wrapper.rdx, &stub)) return;
  *static_cast<volatile uint64_t*>(&wrapper.what) = kBack;
  asm volatile("" ::: "memory");
  auto& context = *Memory::at<KernelUcontext>({wrapper.rdx});
  keep_stepping(context);
  *static_cast<volatile uint64_t*>(&context.rip) = stub.value;
}

void reset_if_asked(uint64_t signal, const KernelSigaction& said) {
  if (!is_watched(signal) || (said.flags & kSigResetHand) == 0) return;
  KernelSigaction by_default = said;
  by_default.handler = kSigDefault;
  replace_action(signal, &by_default);
  set_action(static_cast<int>(signal), &by_default, nullptr);
}

void watch_signals() {
  start_handler_table();
  for (const int signal : {kSigTrap, kSigSegv, kSigBus}) {
    if (!is_watched(static_cast<uint64_t>(signal))) continue;
    KernelSigaction ours{};
    int64_t answer = set_action(signal, nullptr, &ours);
    if (!sys::failed(answer) && replace_action(static_cast<uint64_t>(signal), &ours))
      answer = set_action(signal, &ours, nullptr);
    if (sys::failed(answer))
      fail_errno(answer, "trap", "cannot handle signal ", static_cast<uint64_t>(signal));
  }
}

}  // namespace sysrewrite
