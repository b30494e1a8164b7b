#include "loader/signals/position.h"

#include "trampoline/layout.h"

// A redzone stub's core, from `enter` on (trampoline/stub.cc draws it):
//
//   0    lea  -0x80(%rsp), %rsp      the call is to be made; everything is the program's
//   5    lea, lea, jmp *slot         likewise, but rsp is 128 lower, rcx and r11 are used
//   25   resume: jmp fix             an answer: the call is made; rsp is the program's again
//   27   tail: lea 0x80(%rsp), %rsp  the call is to be made, rsp 128 lower
//   35   syscall                     likewise, rsp the program's. The kernel goes back here for
//                                    a call that it wants to be made again
//   37   fix: lea after(%rip), %rcx  the call is made, rcx not yet the program's
//   44   displaced instructions, jmp everything is the program's
//
// rcx and r11 of a call that is to be made are lost, and the call itself is going to change both;
// nobody is shown what the stub has in them.

namespace sysrewrite {

namespace {

constexpr uint64_t kResume = SYSREWRITE_RESTART_BEFORE_RESUME,
                   kTail = kResume + SYSREWRITE_TAIL_FROM_RESUME, kStepBack = 8,
                   kIssue = kTail + kStepBack, kSyscall = 2, kFix = kIssue + kSyscall,
                   kFixed = kFix + 7;

DisplacedRecord displaced(const FoundSite& found, uint32_t index) {
  const std::byte* const at = found.table->blob + displaced_in_blob(*found.site, index);
  return {static_cast<uint8_t>(at[0]), static_cast<uint8_t>(at[1])};
}

uint64_t window_of(const FoundSite& found) {
  return found.table->base.value + found.site->site - found.site->before;
}

uint64_t site_of(const FoundSite& found) {
  return found.table->base.value + found.site->site;
}

bool has_copy_at(const FoundSite& found, uint64_t in_stub) {
  for (uint32_t i = 0; i < found.site->displaced; ++i)
    if (displaced(found, i).copy == in_stub) return true;
  return false;
}

// Seen are the displaced instructions but the first, whose address the jump in the window has, the
// syscall behind one of them, and the window's end behind one. What stands directly behind the
// syscall is not: the kernel steps over a call and the next instruction in one.
// Source: linux, arch/x86/entry/common.c: with TF set it returns by iret.
bool is_unseen_in_stub(const FoundSite& found, RuntimeAddr address, RuntimeAddr* next) {
  const SiteRecord& site = *found.site;
  const uint64_t in_stub = address.value - found.table->trampoline.value - site.stub;
  const uint64_t end_of_core = site.enter + kFixed;
  if (in_stub == end_of_core && !has_copy_at(found, in_stub))
    *next = {window_of(found) + site.window};
  if (in_stub == site.enter) return site.before == 0;
  return in_stub == 0 || (in_stub > site.enter && in_stub <= end_of_core);
}

}  // namespace

RuntimeAddr restart_in_stub(const FoundSite& found) {
  return found.table->trampoline + found.site->stub + found.site->enter;
}

bool leave_stub(const FoundSite& found, Position* position) {
  const SiteRecord& site = *found.site;
  const uint64_t in_stub = position->rip - found.table->trampoline.value - site.stub;
  for (uint32_t i = 0; i < site.displaced; ++i) {
    const DisplacedRecord record = displaced(found, i);
    if (in_stub != record.copy) continue;
    position->rip = window_of(found) + record.original;
    return true;
  }
  if (in_stub < site.enter) return false;
  const uint64_t in_core = in_stub - site.enter;
  const bool is_done = in_core == kResume || in_core >= kFix;
  if (is_done) {
    const bool is_at_end = in_core >= kFixed;
    position->rip = is_at_end ? window_of(found) + site.window : site_of(found) + kSyscall;
    if (!is_at_end) position->rcx = position->rip;
    return true;
  }
  const bool has_stepped = in_core != 0 && in_core != kIssue;
  if (has_stepped) position->rsp += SYSREWRITE_RED_ZONE;
  // Where hooks undo a call, rcx is the address itself.
  position->is_used = in_core != 0 || position->rcx == position->rip;
  position->rip = site_of(found);
  return true;
}

RuntimeAddr enter_stub(const FoundSite& found, RuntimeAddr address) {
  const SiteRecord& site = *found.site;
  const uint64_t in_window = address.value - window_of(found);
  if (in_window == 0) return address;
  const RuntimeAddr stub = found.table->trampoline + site.stub;
  for (uint32_t i = 0; i < site.displaced; ++i) {
    const DisplacedRecord record = displaced(found, i);
    if (in_window == record.original) return stub + record.copy;
  }
  return in_window == site.before ? stub + site.enter : address;
}

bool leave_any_stub(Position* position) {
  if (const FoundSite found = site_of_stub({position->rip}); found.site != nullptr)
    return leave_stub(found, position);
  const FoundSite found = site_of_springboard({position->rip});
  if (found.site == nullptr) return false;
  position->rip = site_of(found);
  return true;
}

bool is_unseen_step(RuntimeAddr address, RuntimeAddr* next) {
  *next = address;
  if (const FoundSite found = site_of_stub(address); found.site != nullptr)
    return is_unseen_in_stub(found, address, next);
  return site_of_springboard(address).site != nullptr;
}

RuntimeAddr enter_any_stub(RuntimeAddr address) {
  const FoundSite found = site_of_window(address);
  return found.site == nullptr ? address : enter_stub(found, address);
}

}  // namespace sysrewrite
