#include "loader/trap.h"

#include <asm/unistd.h>

#include "loader/memory.h"
#include "loader/report.h"
#include "loader/signal_frame.h"
#include "loader/signals.h"
#include "loader/state.h"

// The trap.
//
// A site of tier A or C is poisoned behind its jump, for whoever jumps straight to the syscall; a
// site of tier D is nothing but poison. F1 (icebp) raises SIGTRAP with si_code > 0. Which address
// the frame holds depends on the machine: under KVM that of F1, so that returning would trap again
// for ever; elsewhere the one behind it, where F4 (hlt) stands, which raises SIGSEGV once it runs.
// Both addresses name the same site, and the signal's number does not matter.
//
//   rip in the frame  ->  the site, by binary search  ->  rip = the stub's `enter`, and return
//
// `enter` lies behind the displaced instructions: whoever met the poison never passed the jump,
// and has executed them itself, or was not meant to.
//
// What is not ours must end as it would have without us. The disposition goes back to its default;
// a fault then simply happens again. A SIGTRAP of int3 does not, and neither does a queued signal:
// those are queued once more with the same siginfo, while blocked, so that they strike when the
// handler has returned, and a core file shows the program and not sysload.
//
// Limits: a handler that the program installs for SIGTRAP replaces this one, and poison met while
// SIGTRAP is blocked ends the process. The handler runs on the program's stack, or on its
// alternate one, where it set one up.
//
// Legal in the handler: anything but memory of the program's other than the frame. It is compiled
// without vector registers, and the kernel has saved them anyway.

namespace sysrewrite {

namespace {

constexpr uint64_t kFlags = kSigInfo | kSigRestorer | kSigOnStack | kSigNoDefer;

bool has_poison(const SiteRecord& site) {
  return site.tier == Tier::kInstruction || site.tier == Tier::kWindow || site.tier == Tier::kTrap;
}

const SiteRecord* find_site(const TrapTable& table, uint64_t offset) {
  uint32_t low = 0, high = table.count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    const SiteRecord& site = table.sites[middle];
    if (offset == site.site || offset == uint64_t{site.site} + 1) return &site;
    if (offset < site.site) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return nullptr;
}

}  // namespace

RuntimeAddr stub_behind_poison(RuntimeAddr rip) {
  const TrapState& trap = sysload_state.trap;
  for (uint32_t i = 0; i < trap.table_count; ++i) {
    const TrapTable& table = trap.tables[i];
    const SiteRecord* site = find_site(table, rip.value - table.base.value);
    if (site != nullptr && has_poison(*site)) return table.trampoline + site->stub + site->enter;
  }
  return {0};
}

namespace {

void hand_back(int signal, const KernelSiginfo* info) {
  const bool is_queued = info->code <= 0;
  if (is_queued && signal == kSigTrap && sysload_state.trap.sigtrap_was_ignored) return;
  const KernelSigaction by_default{kSigDefault, 0, 0, 0};
  set_action(signal, &by_default, nullptr);
  if (signal == kSigSegv && !is_queued) return;
  const uint64_t mask = uint64_t{1} << (signal - 1);
  sys::call(__NR_rt_sigprocmask, kSigBlock, Memory::address_of(&mask).value, 0,
            SYSLOAD_SIGSET_SIZE);
  send_to_self(signal, *info);
}

extern "C" [[gnu::used, gnu::visibility("hidden")]] void sysload_on_trap(int signal,
                                                                         KernelSiginfo* info,
                                                                         KernelUcontext* context) {
  const RuntimeAddr target = info->code > 0 ? stub_behind_poison({context->rip}) : RuntimeAddr{0};
  if (target.value == 0) return hand_back(signal, info);
  context->rip = target.value;
}

// Returns the disposition that was there before.
KernelSigaction take_over(int signal) {
  KernelSigaction ours{};
  asm("leaq sysload_on_trap(%%rip), %0" : "=r"(ours.handler));
  ours.flags = kFlags;
  ours.restorer = Memory::address_of(sysload_restorer).value;
  KernelSigaction old{};
  const int64_t answer = set_action(signal, &ours, &old);
  if (sys::failed(answer)) fail_errno(answer, "trap", "cannot handle signal ", uint64_t(signal));
  return old;
}

// A dropped library's entry is used again. Handlers of other threads may read the table meanwhile,
// so the count of sites, which makes an entry valid, is written last.
void keep(const TrapTable& table) {
  TrapState& trap = sysload_state.trap;
  uint32_t free = 0;
  while (free < trap.table_count && trap.tables[free].count != 0) ++free;
  if (free == trap.tables.size()) fail("trap", "too many files are mapped");
  TrapTable& entry = trap.tables[free];
  entry.base = table.base;
  entry.trampoline = table.trampoline;
  entry.bias = table.bias;
  entry.sites = table.sites;
  __atomic_store_n(&entry.count, table.count, __ATOMIC_RELEASE);
  if (free == trap.table_count) __atomic_store_n(&trap.table_count, free + 1, __ATOMIC_RELEASE);
}

}  // namespace

void add_trap_table(const ProgramFile& file, const MappedImage& image) {
  const RewrittenFile& rewritten = file.rewritten();
  bool needed = sysload_state.has_engine;  // hooks ask where a call comes from
  for (uint32_t i = 0; i < rewritten.site_count() && !needed; ++i)
    needed = has_poison(rewritten.site(i));
  if (!needed) return;
  // The table alone is mapped, from the page that it begins in.
  const MetaRange& sites = rewritten.meta().sites;
  const FileOffset start = rewritten.meta_offset() + sites.offset;
  const FileOffset page = {align_down(start.value, kPageSize)};
  const uint64_t in_page = start.value - page.value;
  const int64_t answer = sys::map_file(in_page + uint64_t{sites.count} * sizeof(SiteRecord),
                                       sys::kRead, file.code_fd(), page);
  if (sys::failed(answer)) fail_errno(answer, "trap", "cannot map the sites of ", file.path());
  keep({image.at({rewritten.meta().base_vaddr}), image.at({rewritten.trailer().vaddr}),
        image.bias(), Memory::at<const SiteRecord>({static_cast<uint64_t>(answer) + in_page}),
        sites.count});
}

bool has_lone_poison() {
  const TrapState& trap = sysload_state.trap;
  for (uint32_t i = 0; i < trap.table_count; ++i)
    for (uint32_t j = 0; j < trap.tables[i].count; ++j)
      if (trap.tables[i].sites[j].tier == Tier::kTrap) return true;
  return false;
}

void drop_trap_table(RuntimeAddr trampoline) {
  TrapState& trap = sysload_state.trap;
  for (uint32_t i = 0; i < trap.table_count; ++i) {
    TrapTable& table = trap.tables[i];
    if (table.count == 0 || table.trampoline != trampoline) continue;
    const uint64_t size = table.count * sizeof(SiteRecord);
    const uint64_t start = Memory::address_of(table.sites).value;
    table.count = 0;
    sys::unmap({align_down(start, kPageSize)}, size + start % kPageSize);
  }
}

void install_trap() {
  TrapState& trap = sysload_state.trap;
  if (sysload_state.has_engine) return watch_faults();
  if (trap.table_count == 0) return;
  const bool is_alone = has_lone_poison();
  const KernelSigaction old = take_over(kSigTrap);
  trap.sigtrap_was_ignored = old.handler == kSigIgnore;
  // A program that was started with SIGTRAP ignored hands that on to what it executes in turn; a
  // handler would be reset to the default there. So ours stays only where the program cannot run
  // without: poison behind a jump is hardly ever met.
  if (trap.sigtrap_was_ignored && !is_alone) set_action(kSigTrap, &old, nullptr);
  if (is_alone) take_over(kSigSegv);
}

}  // namespace sysrewrite
