// The way of hooks' output to the process behind `sysrewrite run`: a ring in memory that all
// processes of the tree map. Writing needs no descriptor, and no system call but for waking a
// reader who sleeps, so it does not show to the program.
//
//   +0     reserved   bytes ever promised to writers
//   +64    consumed   bytes ever read
//   +128   is_asleep, bell: the reader sleeps on the bell (a futex)
//   +192   reader: its thread, which the kernel marks when that dies
//   +256   forking: children that are being made, and are not yet among the threads
//   +4096  which threads there are, so that the reader can look whether a hook of theirs comes back
//   ...    data: records, each a multiple of 8 bytes long, wrapping around
//
//   record   +0  u32: length | kCommitted, written last; 0: still being written
//            +4  u32: index of the hook
//            +8  the text
//
// A writer promises itself room, fills it in, and commits. Records are read in the order of the
// promises. What has been read is cleared, so a word that is not 0 is a record's.
//
// Where there is no room a writer waits, as long as there is a reader. A reader who ends closes the
// ring: what was promised by then is read, and nobody is promised any more. One who is killed
// cannot, so his word is that of a robust futex (linux,
// Documentation/locking/robust-futex-ABI.rst): the kernel marks it, whatever ended him and
// whichever namespaces writers are in.
//
// The writers are processes that may be killed, or may be hostile: the reader trusts no length, and
// gives a record that nobody commits up after a while.
#ifndef SYSREWRITE_TRAMPOLINE_OUTPUT_RING_H_
#define SYSREWRITE_TRAMPOLINE_OUTPUT_RING_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sysrewrite {

inline constexpr uint64_t kRingData = uint64_t{4} << 20;  // bytes, a power of two
inline constexpr uint64_t kMostRecord = kRingData / 8;

// A thread under hooks. Its process may be gone, or another program by now.
struct WatchedThread {
  uint32_t pid;  // 0: the entry is free
  uint32_t tid;
  uint64_t call;  // where its WatchedCall lies, in its process's memory
  uint64_t said;  // how often one of its hooks has said something, or waited to
};
inline constexpr uint32_t kMostWatched = 4096;

// What a thread is doing.
struct WatchedCall {
  uint64_t number, argument[6];
  uint64_t further[12];
  uint32_t running;  // as RunningHook has it
};

enum class HookFunction : uint32_t {
  kOfCall,  // entry() or exit()
  kInit,
  kThreadStarted,
  kThreadExiting,
  kForked,
  kFinishing,
};
inline constexpr char kHookFunctionNames[][20] = {"entry or exit",  "sysload_hook_init",
                                                  "thread_started", "thread_exiting",
                                                  "forked",         "finishing"};

// Which hook runs, and what of it, in a word. hook_entry.S writes 1: that of the first one's calls.
struct RunningHook {
  uint32_t word;  // index plus 1, and the function in the second byte; 0: none runs

  static constexpr RunningHook of(uint32_t index, HookFunction function) {
    return {(index + 1) | static_cast<uint32_t>(function) << 8};
  }
  uint32_t index() const { return (word & 0xff) - 1; }  // of none, and of nonsense: too large a one
  bool is_of_call() const { return word >> 8 == 0; }
  const char* function() const {
    constexpr uint32_t kCount = sizeof(kHookFunctionNames) / sizeof(kHookFunctionNames[0]);
    return kHookFunctionNames[word >> 8 < kCount ? word >> 8 : 0];
  }
};

struct OutputRing {
  static constexpr uint32_t kCommitted = 0x80000000;
  static constexpr uint64_t kClosed = uint64_t{1} << 63;  // in `reserved`
  static constexpr uint32_t kDied = 0x40000000;           // in `reader`: FUTEX_OWNER_DIED

  alignas(64) uint64_t reserved;
  alignas(64) uint64_t consumed;
  alignas(64) uint32_t is_asleep;
  uint32_t bell;
  alignas(64) uint32_t reader;
  alignas(64) uint32_t forking;
  alignas(4096) WatchedThread watched[kMostWatched];
  alignas(4096) std::byte data[kRingData];

  static uint64_t record_size(uint64_t length) { return 8 + (length + 7) / 8 * 8; }

  bool is_closed() const { return (__atomic_load_n(&reserved, __ATOMIC_RELAXED) & kClosed) != 0; }
  bool has_reader() const {
    return !is_closed() && (__atomic_load_n(&reader, __ATOMIC_RELAXED) & kDied) == 0;
  }

  // Promises nobody anything any more. What was promised ends at the place that is returned.
  uint64_t close() { return __atomic_fetch_or(&reserved, kClosed, __ATOMIC_SEQ_CST) & ~kClosed; }

  // Promises room for a record of at most kMostRecord; false where there is none now, or the ring
  // is closed. `*at` is its place.
  bool reserve(uint64_t length, uint64_t* at) {
    const uint64_t size = record_size(length);
    uint64_t start = __atomic_load_n(&reserved, __ATOMIC_RELAXED);
    do {
      if ((start & kClosed) != 0) return false;
      if (start + size - __atomic_load_n(&consumed, __ATOMIC_ACQUIRE) > kRingData) return false;
    } while (!__atomic_compare_exchange_n(&reserved, &start, start + size, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    // So that the reader knows what to step over, should this writer be killed before it commits.
    __atomic_store_n(word(start), static_cast<uint32_t>(length), __ATOMIC_RELEASE);
    *at = start;
    return true;
  }

  // Fills a record in and commits it. True where the reader has to be woken.
  bool commit(uint64_t at, uint32_t index, const char* text, uint64_t length) {
    copy_in(at + 8, text, length);
    memcpy(place(at + 4), &index, sizeof(index));
    __atomic_store_n(word(at), static_cast<uint32_t>(length) | kCommitted, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&is_asleep, __ATOMIC_SEQ_CST) == 0) return false;
    __atomic_fetch_add(&bell, 1, __ATOMIC_SEQ_CST);
    return true;
  }

  std::byte* place(uint64_t at) { return &data[at % kRingData]; }
  // Records begin at multiples of 8.
  uint32_t* word(uint64_t at) { return static_cast<uint32_t*>(static_cast<void*>(place(at))); }

  void copy_in(uint64_t at, const char* text, uint64_t length) {
    const uint64_t to_end = kRingData - at % kRingData;
    const uint64_t first = length < to_end ? length : to_end;
    memcpy(place(at), text, first);
    memcpy(place(at + first), text + first, length - first);
  }
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_OUTPUT_RING_H_
