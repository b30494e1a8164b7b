#include "loader/count.h"

#include <asm/unistd.h>
#include <linux/fcntl.h>

#include <algorithm>
#include <cstring>

#include "loader/count_table.h"
#include "loader/exhaustive.h"
#include "loader/memory.h"
#include "loader/report.h"
#include "loader/state.h"

// Counting, and knowing when to print.
//
// The counters lie in shared memory, so that a forked child adds to the same ones; start.S tells
// why their address is a multiple of 512 KiB. One page of sysload's own .bss is replaced by shared
// memory too, for the one counter that is addressed without a register.
//
// The table is printed once, by the process that sysload started in, when it ends by itself:
//
//   exit_group   prints at once; the kernel then ends every thread
//   exit         ends one thread. The last one prints. Which is last is seen from
//                /proc/self/task: all threads listed there are this one or have passed the exit
//                hook before. As long as the first thread lives nobody has to look.
//
// A program that is killed, or replaced by execve, prints nothing.
//
// Legal in the exit hook: C++ on the static exit stack, with every signal blocked, under the lock.
// The calling thread's own registers are dead, other threads run on.

namespace sysrewrite {

namespace {

constexpr char kPhase[] = "hook count";
constexpr uint64_t kTableSize = uint64_t{kCounterCount} * sizeof(uint64_t);
static_assert(kTableSize == uint64_t{512} * 1024,
              "start.S makes addresses from 16 bits of the number");

// Source: linux, include/linux/dirent.h, struct linux_dirent64.
constexpr size_t kDirentReclenOffset = 16, kDirentNameOffset = 19;

void append_exiting(uint32_t tid) {
  CountState& count = sysload_state.count;
  if (count.exiting_count < count.exiting.size()) count.exiting[count.exiting_count++] = tid;
}

bool is_exiting(uint32_t tid) {
  const CountState& count = sysload_state.count;
  const auto* const end = count.exiting.begin() + count.exiting_count;
  return std::find(count.exiting.begin(), end, tid) != end;
}

uint32_t number_of(const char* name) {
  uint32_t number = 0;
  for (; *name >= '0' && *name <= '9'; ++name)
    number = number * 10 + static_cast<uint32_t>(*name - '0');
  return number;
}

// Calls `see` for the number of each thread of this process; false where /proc is not there.
template <typename See>
bool for_each_thread(See see) {
  const char path[] = "/proc/self/task";
  const sys::Fd fd = sys::call(__NR_openat, static_cast<uint64_t>(AT_FDCWD),
                               Memory::address_of(path).value, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (sys::failed(fd)) return false;
  alignas(8) std::byte buffer[2048];
  int64_t size = 0;
  while ((size = sys::call(__NR_getdents64, static_cast<uint64_t>(fd),
                           Memory::address_of(&buffer[0]).value, sizeof(buffer))) > 0) {
    const ByteView entries(&buffer[0], static_cast<size_t>(size));
    for (size_t at = 0; at < entries.size();) {
      const auto length = load<uint16_t>(entries, at + kDirentReclenOffset);
      if (!length || *length == 0) break;
      const auto name = Memory::address_of(entries.data() + at + kDirentNameOffset);
      if (const uint32_t tid = number_of(Memory::at<const char>(name))) see(tid);
      at += *length;
    }
  }
  sys::close(fd);
  return size == 0;
}

// Forgets threads that are gone, since their numbers come back.
void prune_exiting() {
  CountState& count = sysload_state.count;
  std::array<uint32_t, 512> still;
  uint32_t still_count = 0;
  const bool complete = for_each_thread([&](uint32_t tid) {
    if (is_exiting(tid) && still_count < still.size()) still[still_count++] = tid;
  });
  if (!complete) return;
  std::copy(still.begin(), still.begin() + still_count, count.exiting.begin());
  count.exiting_count = still_count;
}

bool made_no_threads() {
  const uint64_t* counters = sysload_state.count.counters;
  return counters != nullptr && counters[__NR_clone] == 0 && counters[__NR_clone3] == 0;
}

// Whether the process ends with this thread's exit.
bool is_last_thread() {
  if (made_no_threads()) return true;
  CountState& count = sysload_state.count;
  const uint32_t self = sys::tid();
  if (count.exiting_count == count.exiting.size()) prune_exiting();
  append_exiting(self);
  if (self == sysload_state.owner_pid) count.leader_exited = true;
  if (!count.leader_exited) return false;
  prune_exiting();
  uint32_t others = 0;
  const bool complete = for_each_thread([&](uint32_t tid) {
    if (!is_exiting(tid)) ++others;
  });
  return complete && others == 0;
}

extern "C" [[gnu::used, gnu::visibility("hidden")]] void sysload_at_exit(uint32_t number) {
  CountState& count = sysload_state.count;
  if (count.counters != nullptr) __atomic_fetch_add(&count.counters[number], 1, __ATOMIC_RELAXED);
  if (number == __NR_exit && !is_last_thread()) return;
  if (!count.can_print || count.printed) return;
  count.printed = true;
  if (count.counters != nullptr) print_count_table();
  print_caught();
}

}  // namespace

void prepare_exit_hook() {
  sysload_state.owner_pid = sys::pid();
  // Where standard error is closed, the descriptor may belong to anything by the end.
  sysload_state.count.can_print = sysload_state.server_name[0] != 0 ||
                                  !sys::failed(sys::call(__NR_fcntl, kStandardError, F_GETFD));
}

void prepare_count(const char* name) {
  CountState& count = sysload_state.count;
  // Twice the size always holds one aligned table.
  const int64_t answer = sys::map_anonymous(0, 2 * kTableSize, sys::kNoAccess);
  if (sys::failed(answer)) fail_errno(answer, kPhase, "cannot reserve the counters");
  const auto start = static_cast<uint64_t>(answer);
  const RuntimeAddr table = {align_down(start + kTableSize - 1, kTableSize)};
  const uint32_t protection = sys::kRead | sys::kWrite;
  int64_t mapped = sys::replace_shared(table, kTableSize, protection);
  if (sys::failed(mapped)) fail_errno(mapped, kPhase, "no memory for the counters");
  sys::unmap({start}, table.value - start);
  const uint64_t end = table.value + kTableSize;
  sys::unmap({end}, start + 2 * kTableSize - end);
  mapped = sys::replace_shared(Memory::address_of(&sysload_shared_page[0]),
                               sizeof(sysload_shared_page), protection);
  if (sys::failed(mapped)) fail_errno(mapped, kPhase, "no memory for the counters");
  sysload_state.table_div8 = table.value / sizeof(uint64_t);
  count.counters = Memory::at<uint64_t>(table);
  const char* last = name;
  for (const char* at = name; *at != 0; ++at)
    if (*at == '/' && at[1] != 0) last = at + 1;
  const size_t size = std::min(strlen(last), sizeof(count.name) - 1);
  memcpy(count.name, last, size);
  count.name[size] = 0;
}

namespace {

const char* unseen() {
  return sysload_state.count.counters != nullptr ? "not counted" : "not seen by hooks";
}

}  // namespace

void report_unseen(const ProgramFile& file) {
  const RewrittenFile& rewritten = file.rewritten();
  const uint32_t uncertain = rewritten.meta().uncertain_count;
  uint32_t native = 0;
  for (uint32_t i = 0; i < rewritten.site_count(); ++i)
    if (rewritten.site(i).tier == Tier::kNative) ++native;
  if (native == 0 && uncertain == 0) return;
  note(kPhase, file.path(), ": ", unseen(), ": ", uint64_t{native}, " system calls left native, ",
       uint64_t{uncertain}, " places that may be system calls (see sysrewrite inspect)");
}

void report_unseen_libraries(const char* interpreter) {
  note(kPhase, interpreter,
       " is not rewritten: neither it nor the libraries that it maps are counted, and there is no"
       " table where one of them exits");
}

void report_unseen_library(const char* path) {
  note(kPhase, path, " is not rewritten: its calls are not counted");
}

}  // namespace sysrewrite
