#include "loader/signals/pending_view.h"

#include <asm/unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "loader/memory.h"
#include "loader/serve/program_memory.h"
#include "loader/signals/held_signals.h"
#include "loader/signals/signals.h"
#include "loader/state.h"
#include "loader/text.h"

namespace sysrewrite {

namespace {

// Source: linux, include/uapi/linux/signalfd.h.
struct Record {
  uint32_t signo;
  int32_t errno_value, code;
  uint32_t pid, uid;
  int32_t fd;
  uint32_t tid, band, overrun, trap;
  int32_t status, value;
  uint64_t pointer, user_time, system_time, address;
  uint16_t address_bits, padding;
  int32_t syscall;
  uint64_t call_address;
  uint32_t architecture;
  std::byte rest[28];
};
static_assert(sizeof(Record) == 128);

// Source: linux, include/uapi/asm-generic/siginfo.h.
constexpr int32_t kByTimer = -2, kByAsyncIo = -5;

// Source: the same, union __sifields; and fs/signalfd.c, signalfd_copyinfo().
Record record_of(int signal, const KernelSiginfo& info) {
  Record record{};
  record.signo = static_cast<uint32_t>(signal);
  record.errno_value = info.errno_value;
  record.code = info.code;
  uint32_t first = 0, second = 0;
  const auto* const fields = Memory::at<const std::byte>(Memory::address_of(&info.address));
  memcpy(&first, fields, sizeof(first));
  memcpy(&second, fields + sizeof(first), sizeof(second));
  if (info.code == kByAsyncIo) {
    record.band = first;  // a long, of which the file shows the lower half
    memcpy(&record.fd, fields + sizeof(uint64_t), sizeof(record.fd));
    return record;
  }
  if (info.code == kByTimer) {
    record.tid = first;
    record.overrun = second;
  } else {
    record.pid = first;
    record.uid = second;
  }
  if (info.code < 0) {
    memcpy(&record.pointer, fields + sizeof(uint64_t), sizeof(record.pointer));
    record.value = static_cast<int32_t>(record.pointer);
  }
  return record;
}

// What read, readv or preadv2 has filled, byte by byte as one.
class Filled {
 public:
  explicit Filled(const sysload_call& call) : call_(call) {}

  bool read(uint64_t offset, Record* record) const {
    return each_part(offset, Memory::bytes(Memory::address_of(record), sizeof(*record)),
                     [](uint64_t at, MutableByteView part) {
                       return read_program(at, part) == static_cast<int64_t>(part.size());
                     });
  }
  bool write(uint64_t offset, Record record) const {
    return each_part(
        offset, Memory::bytes(Memory::address_of(&record), sizeof(record)),
        [](uint64_t at, MutableByteView part) { return write_program(at, part) == 0; });
  }

 private:
  struct Vector {
    uint64_t base, length;
  };

  template <typename Move>
  bool each_part(uint64_t offset, MutableByteView bytes, Move move) const {
    if (call_.number == __NR_read) return move(call_.argument[1] + offset, bytes);
    for (uint64_t i = 0; i < call_.argument[2] && !bytes.empty(); ++i) {
      Vector vector{};
      const auto into = Memory::bytes(Memory::address_of(&vector), sizeof(vector));
      if (read_program(call_.argument[1] + i * sizeof(vector), into) != sizeof(vector))
        return false;
      const uint64_t skipped = std::min(offset, vector.length);
      offset -= skipped;
      const auto size =
          static_cast<size_t>(std::min<uint64_t>(vector.length - skipped, bytes.size()));
      if (size == 0) continue;
      if (!move(vector.base + skipped, bytes.first(size))) return false;
      bytes = bytes.subspan(size);
    }
    return bytes.empty();
  }

  const sysload_call& call_;
};

bool is_of_poke(const Record& record) {
  const auto signal = static_cast<int>(record.signo);
  return record.code == kPoke && (signal == kSigTrap || signal == kSigSys);
}

// The bytes of a poke may stand in any file.
bool is_signalfd(uint64_t descriptor) {
  char name[64];
  const char* shown = sys::name_of(static_cast<int32_t>(descriptor), name, sizeof(name));
  return equal(shown, "anon_inode:[signalfd]");
}

bool reads(const ThreadBlock& block) {
  const uint64_t number = block.call.number;
  return block.looks && (number == __NR_read || number == __NR_readv || number == __NR_preadv2);
}

// Which open signals a call has shown to be pending for the process, or has made so.
uint64_t shown_by(const ThreadBlock& block) {
  const sysload_call& call = block.call;
  uint64_t set = 0;
  if (block.result != 0) return 0;
  if (call.number == __NR_rt_sigpending) {
    read_program(call.argument[0], Memory::bytes(Memory::address_of(&set), sizeof(set)));
  } else if (call.number == __NR_kill || call.number == __NR_rt_sigqueueinfo) {
    const auto whom = static_cast<int32_t>(call.argument[0]);
    const bool is_own = whom == static_cast<int32_t>(sys::pid()) || whom == 0;
    const auto signal = static_cast<uint32_t>(call.argument[1]);
    if (is_own && signal - 1 < kMostSignals) set = bit_of(static_cast<int>(signal));
  }
  return set & block.masked & sysload_state.open_signals;
}

// What sigpending has answered, without these.
void hide_pending(const sysload_call& call, uint64_t signals) {
  uint64_t set = 0;
  const auto bytes = Memory::bytes(Memory::address_of(&set), sizeof(set));
  if (read_program(call.argument[0], bytes) != sizeof(set)) return;
  set &= ~signals;
  write_program(call.argument[0], as_byte_view(&set, sizeof(set)));
}

}  // namespace

bool looks_at_pending(uint64_t number) {
  switch (number) {
    case __NR_read:
    case __NR_readv:
    case __NR_preadv2:
    case __NR_poll:
    case __NR_ppoll:
    case __NR_select:
    case __NR_pselect6:
    case __NR_epoll_wait:
    case __NR_epoll_pwait:
    case __NR_epoll_pwait2:
    case __NR_rt_sigpending:
    case __NR_rt_sigsuspend:
    case __NR_io_pgetevents:
      return true;
    default:
      return false;
  }
}

// Of a signal there is one poke in a thread's queue, and so one among what is read.
bool take_what_was_read(ThreadBlock* block) {
  const auto size = static_cast<int64_t>(block->result);
  constexpr int64_t kRecord = sizeof(Record);
  if (!reads(*block) || size < kRecord || size % kRecord != 0) return true;
  const Filled filled(block->call);
  Record record{};
  uint64_t kept = 0;
  bool is_known = false;
  for (uint64_t offset = 0; offset < static_cast<uint64_t>(size); offset += sizeof(record)) {
    if (!filled.read(offset, &record)) return true;
    bool is_there = true;
    if (is_of_poke(record)) {
      is_known = is_known || is_signalfd(block->call.argument[0]);
      if (!is_known) return true;
      const auto signal = static_cast<int>(record.signo);
      KernelSiginfo info{signal, 0, kPoke, 0, 0, {}};
      is_there = take_held_signal(block, signal, &info);
      if (is_there) record = record_of(signal, info);
    }
    if (!is_there) continue;
    if (is_known) filled.write(kept, record);
    kept += sizeof(record);
  }
  block->result = kept;
  return kept != 0;
}

void keep_what_is_shown(ThreadBlock* block) {
  const uint64_t shown = shown_by(*block);
  if (shown == 0 || !has_other_threads()) return;
  const bool was_sent = block->call.number != __NR_rt_sigpending;
  uint64_t gone = 0;
  for_each_open_signal([&](int signal) {
    if ((shown & bit_of(signal)) != 0 && !keep_pending(block, signal, was_sent))
      gone |= bit_of(signal);
  });
  if (!was_sent && gone != 0) hide_pending(block->call, gone);
}

}  // namespace sysrewrite
