#include "loader/engine/exhaustive.h"

#include <asm/unistd.h>
#include <linux/fcntl.h>

#include <array>
#include <cstring>

#include "loader/abi.h"
#include "loader/label.h"
#include "loader/report.h"
#include "loader/serve/client.h"
#include "loader/signals/signal_frame.h"
#include "loader/state.h"
#include "trampoline/call_names.h"

// A call from outside of sysload raises SIGSYS before anything of it was done, with rip behind the
// `syscall` and rax as it was. The handler makes the thread go on in the callback, as if a stub had
// led there:
//
//   rcx = resume     the callback's rcx; here the address behind the syscall itself
//   rsp              128 lower, as a stub steps over the red zone
//   rip              the callback
//
// so hooks see these calls like all others, and hook_entry.S issues them. A call by `int $0x80` has
// other numbers and registers, of which hooks know nothing: it is made in exhaustive.S, and
// counted. All are counted without a lock, since any thread may be here at any time; the table is
// shared with forked children.

namespace sysrewrite {

namespace {

constexpr char kPhase[] = "exhaustive";
constexpr uint64_t kSyscallSize = 2;
constexpr uint32_t kMostPlaces = 4096;
constexpr uint64_t kI386 = uint64_t{1} << 32;

// Where calls were caught: an open-addressed table by address.
struct CaughtPlace {
  uint64_t address;  // of the syscall instruction; 0: free
  uint64_t calls;
  uint64_t number;  // of the first; with kI386 where it is one of that table
};

struct CaughtTable {
  std::array<CaughtPlace, kMostPlaces> places;
  uint64_t elsewhere;  // when there is no room
};

extern "C" [[gnu::visibility("hidden")]] int64_t sysload_arm();
extern "C" [[gnu::visibility("hidden")]] const std::byte sysload_i386_call[];

CaughtTable* table() {
  return Memory::at<CaughtTable>({sysload_state.caught_table});
}

void note_caught(uint64_t address, uint64_t number) {
  CaughtTable& all = *table();
  uint32_t at = static_cast<uint32_t>(address * 0x9e3779b97f4a7c15 >> 40) % kMostPlaces;
  for (uint32_t i = 0; i < kMostPlaces; ++i, at = (at + 1) % kMostPlaces) {
    CaughtPlace& place = all.places[at];
    uint64_t found = __atomic_load_n(&place.address, __ATOMIC_RELAXED);
    if (found == 0 && __atomic_compare_exchange_n(&place.address, &found, address, false,
                                                  __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
      place.number = number;
      found = address;
    }
    if (found != address) continue;
    __atomic_fetch_add(&place.calls, 1, __ATOMIC_RELAXED);
    return;
  }
  __atomic_fetch_add(&all.elsewhere, 1, __ATOMIC_RELAXED);
}

// The line of /proc/self/maps that holds an address: "object+0xoffset", or the address alone.
class Maps {
 public:
  Maps() {
    const int64_t memory = sys::map_anonymous(0, kMost, sys::kRead | sys::kWrite);
    const sys::Fd fd = sys::open_for_reading("/proc/self/maps");
    if (sys::failed(memory) || sys::failed(fd)) return;
    text_ = Memory::at<char>({static_cast<uint64_t>(memory)});
    int64_t got = 0;
    while (size_ < kMost && (got = sys::read(fd, Memory::bytes(Memory::address_of(text_ + size_),
                                                               kMost - size_))) > 0)
      size_ += static_cast<uint64_t>(got);
    sys::close(fd);
  }

  void describe(Writer& out, uint64_t address) const {
    for (uint64_t at = 0; at < size_;) {
      uint64_t next = at;
      while (next < size_ && text_[next] != '\n') ++next;
      uint64_t cursor = at;
      const uint64_t start = number(cursor);
      const uint64_t end = number(++cursor);
      if (address >= start && address < end)
        return describe_line(out, cursor, next, address - start);
      at = next + 1;
    }
  }

 private:
  // Behind the addresses: " perms offset dev inode   path".
  void describe_line(Writer& out, uint64_t at, uint64_t end, uint64_t distance) const {
    at += 6;
    const uint64_t offset = number(at);
    for (int spaces = 0; at < end && spaces < 3; ++at)
      if (text_[at] == ' ') ++spaces;
    while (at < end && text_[at] == ' ') ++at;
    if (at == end) return;
    out.text("  ").text(as_byte_view(text_ + at, end - at)).text("+").hex(offset + distance);
  }

  uint64_t number(uint64_t& at) const {
    uint64_t value = 0;
    for (; at < size_; ++at) {
      const char c = text_[at];
      const bool digit = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'f';
      if (!digit && !letter) break;
      value = value * 16 + static_cast<uint64_t>(digit ? c - '0' : c - 'a' + 10);
    }
    return value;
  }

  static constexpr uint64_t kMost = 1 << 20;  // the process is about to end
  uint64_t size_ = 0;
  char* text_ = nullptr;
};

}  // namespace

void redirect_caught(ThreadBlock* block, const KernelSiginfo& info, KernelUcontext& context) {
  const auto number = static_cast<uint32_t>(context.r12_to_rax[kRax]);
  const bool is_i386 = is_i386_call(info);
  note_caught(context.rip - kSyscallSize, is_i386 ? number | kI386 : number);
  if (is_i386) {
    block->i386_return = context.rip;
    context.rip = address(sysload_i386_call);
    return;
  }
  context.rcx = context.rip;
  context.rsp -= SYSREWRITE_RED_ZONE;
  context.rip = sysload_state.callback;
}

void prepare_exhaustive() {
  const uint32_t protection = sys::kRead | sys::kWrite;
  int64_t shared = sys::map_anonymous(0, sizeof(CaughtTable), protection);
  if (!sys::failed(shared))
    shared = sys::replace_shared({static_cast<uint64_t>(shared)}, sizeof(CaughtTable), protection);
  if (sys::failed(shared)) fail_errno(shared, kPhase, "no memory for the table of calls");
  sysload_state.caught_table = static_cast<uint64_t>(shared);
}

void arm_exhaustive() {
  const int64_t answer = sysload_arm();
  if (sys::failed(answer))
    fail_errno(answer, kPhase,
               "the kernel has no Syscall User Dispatch (Linux 5.11 and later have); run without"
               " --exhaustive");
}

void print_caught() {
  if (sysload_state.caught_table == 0) return;
  const CaughtTable& all = *table();
  uint64_t total = all.elsewhere;
  for (const CaughtPlace& place : all.places) total += place.calls;
  if (total == 0) return;
  const sys::Fd report = open_report();
  {
    const Maps maps;
    Writer out(report >= 0 ? report : kStandardError);
    out.text("sysload: ").number(total).text(" system calls of ").number(sys::pid());
    out.text(" from code that was not rewritten:\n");
    for (const CaughtPlace& place : all.places) {
      if (place.calls == 0) continue;
      out.number(place.calls, 10).text("  at ").hex(place.address).text("  ");
      if ((place.number & kI386) != 0) {
        out.text("int $0x80, which no hook sees, eax ").number(place.number & ~kI386);
      } else if (const char* name = call_name(place.number)) {
        out.text(name);
      } else {
        out.text("syscall_").number(place.number);
      }
      maps.describe(out, place.address);
      out.text("\n");
    }
    if (all.elsewhere != 0) out.number(all.elsewhere, 10).text("  at further addresses\n");
  }
  if (report >= 0) close_report(report);
}

}  // namespace sysrewrite
